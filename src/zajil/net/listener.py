"""Bind a listening socket, or say in one sentence why it cannot be."""

from __future__ import annotations

import errno
import grp
import os
import socket
import stat
from contextlib import suppress

from zajil.config.kinds import UNIX_PREFIX
from zajil.core.errors import Unavailable
from zajil.net.peer import join_host_port, split_host_port

BACKLOG = 1024
"""Connections that wait for accept(); the kernel cuts it to net.core.somaxconn."""

_REASONS = {
    errno.EADDRINUSE: "the port is in use by another program",
    errno.EACCES: "no permission; ports below 1024 need root or CAP_NET_BIND_SERVICE",
    errno.EADDRNOTAVAIL: "not an address of this machine",
    errno.EAFNOSUPPORT: "this machine has no such kind of address",
}
_UNIX_REASONS = {
    errno.EADDRINUSE: "another program listens there, or it is a file of another kind",
    errno.EACCES: "no permission to make a file there",
    errno.ENOENT: "the folder does not exist",
}


class BindFailed(Unavailable):
    """We cannot listen there; ``str()`` is the sentence for the operator."""

    def __init__(self, address: str, reason: str, number: int | None = None) -> None:
        super().__init__(f"cannot listen on {address}: {reason}")
        self.address = address
        self.reason = reason
        self.number = number
        """What the kernel said, of ``errno``."""


def bind(address: str, *, shared: bool = False) -> socket.socket:
    """Return a listening, non-blocking TCP socket; the caller closes it.

    Args:
        address: ``127.0.0.1:25`` or ``[::1]:25``; port 0 takes a free one.
        shared: others that say so too may listen on the same address.

    Raises:
        BindFailed: in use, no permission, not an address of this machine ...
    """
    try:
        host, port = split_host_port(address)
    except ValueError as error:
        raise BindFailed(address, str(error)) from None
    sock: socket.socket | None = None
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # asyncio sets TCP_NODELAY only where the protocol is named. Without it the second write of
        # an answer waits for the acknowledgment of the first, up to 40 ms.
        sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        # A restarted server must not wait for old connections to fade (TIME_WAIT).
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except (OSError, OverflowError) as error:
        if sock is not None:
            sock.close()
        number = error.errno if isinstance(error, OSError) else None
        raise BindFailed(address, _REASONS.get(number or 0, str(error)), number) from None
    sock.setblocking(False)
    return sock


def bind_unix(address: str, mode: int, group: str | None) -> socket.socket:
    """Return a listening, non-blocking Unix socket; the caller closes it, and ``remove_unix`` it.

    A socket file that nobody listens on any more is replaced; any other file is left alone.

    Args:
        address: ``unix:/PATH``.
        mode: permissions of the file; it never has more, not for a moment.
        group: its group; ``None``: that of the process.

    Raises:
        BindFailed: another program listens there, no permission, no such group ...
    """
    path = address.removeprefix(UNIX_PREFIX)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        before = os.umask(0o777)
        try:
            sock.bind(path)
        finally:
            os.umask(before)
        if group is not None:
            os.chown(path, -1, grp.getgrnam(group).gr_gid)
        os.chmod(path, mode)
        sock.listen(BACKLOG)
    except (OSError, KeyError) as error:
        sock.close()
        reason = f"there is no group {group}"
        if isinstance(error, OSError):
            reason = _UNIX_REASONS.get(error.errno or 0, error.strerror or str(error))
        number = error.errno if isinstance(error, OSError) else None
        raise BindFailed(address, reason, number) from None
    sock.setblocking(False)
    return sock


def set_unix_permissions(address: str, mode: int, group: str | None) -> None:
    """Give the file of a Unix socket that is open already its permissions.

    Raises:
        BindFailed: they cannot be changed.
    """
    path = address.removeprefix(UNIX_PREFIX)
    try:
        found = os.stat(path)
        if group is not None and found.st_gid != (gid := grp.getgrnam(group).gr_gid):
            os.chown(path, -1, gid)
        if stat.S_IMODE(found.st_mode) != mode:
            os.chmod(path, mode)
    except (OSError, KeyError) as error:
        reason = f"there is no group {group}"
        if isinstance(error, OSError):
            reason = f"cannot change its permissions: {error.strerror}"
        raise BindFailed(address, reason) from None


def remove_unix(sock: socket.socket) -> None:
    """Remove the file of a Unix socket that is about to be closed; nothing for others."""
    if sock.family == socket.AF_UNIX and sock.fileno() >= 0:
        with suppress(OSError):
            os.unlink(sock.getsockname())


def name_of(sock: socket.socket) -> str:
    """Return the address of a listening socket as the configuration writes it."""
    if sock.family == socket.AF_UNIX:
        return f"{UNIX_PREFIX}{sock.getsockname()}"
    return join_host_port(*sock.getsockname()[:2])


def _remove_stale(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)  # whoever made it is gone
