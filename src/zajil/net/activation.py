"""Listening sockets that the service manager opened and passed to us (sd_listen_fds(3)).

systemd sets ``LISTEN_FDS`` and ``LISTEN_PID``, and ``LISTEN_FDNAMES`` from ``FileDescriptorName=``
of each socket unit: the name of a service as in ``[listen]``.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Collection

from zajil.core.errors import Unavailable

_FIRST_DESCRIPTOR = 3
_COUNT = re.compile("[0-9]{1,4}")
"""More descriptors than a process may have are a mistake, like no number."""
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


class BadActivation(Unavailable):
    """What was passed cannot be used; the text is one sentence for the operator."""


def take_passed_sockets(
    services: Collection[str], unix_services: Collection[str]
) -> dict[str, list[socket.socket]]:
    """Return the sockets that were passed, by service, non-blocking; a second call returns none.

    Args:
        services: the names that sockets may have.
        unix_services: those that may be Unix sockets.

    Raises:
        BadActivation: a name is not that of a service, or a descriptor is no listening socket.
    """
    # Another process of the same session may have been meant.
    is_for_us = os.environ.get("LISTEN_PID") == str(os.getpid())
    count = os.environ.get("LISTEN_FDS", "")
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    for variable in _VARIABLES:
        os.environ.pop(variable, None)  # no child must take them for its own
    if not is_for_us or not _COUNT.fullmatch(count):
        return {}
    taken: dict[str, list[socket.socket]] = {}
    for number in range(int(count)):
        descriptor = _FIRST_DESCRIPTOR + number
        name = names[number] if number < len(names) else ""
        if name not in services:
            known = ", ".join(services)
            raise BadActivation(
                f"systemd passed a socket with the name {name!r}; set FileDescriptorName= in its "
                f"unit to the service that it is for: {known}"
            )
        sock = _listening(descriptor, name)
        if sock.family == socket.AF_UNIX and name not in unix_services:
            raise BadActivation(f"the socket that systemd passed for {name} is a Unix socket")
        taken.setdefault(name, []).append(sock)
    return taken


def _listening(descriptor: int, name: str) -> socket.socket:
    problem = f"what systemd passed for {name} is not a listening stream socket"
    try:
        sock = socket.socket(fileno=descriptor)
        is_listening = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise BadActivation(f"{problem}: {error.strerror}") from None
    is_stream = sock.type == socket.SOCK_STREAM
    is_known = sock.family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)
    if not (is_listening and is_stream and is_known):
        raise BadActivation(problem)
    sock.set_inheritable(False)
    sock.setblocking(False)
    return sock
