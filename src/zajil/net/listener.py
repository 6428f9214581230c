"""Bind a listening socket, or say in one sentence why it cannot be."""

from __future__ import annotations

import errno
import grp
import os
import socket
import stat
from contextlib import suppress

from zajil.config.kinds import UNIX_PREFIX
from zajil.config.options_server import NetOptions
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

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"cannot listen on {address}: {reason}")
        self.address = address
        self.reason = reason


def bind_for_workers(address: str, count: int, options: NetOptions) -> list[socket.socket]:
    """Return a listening socket for each worker, on ``ADDRESS:PORT`` or ``unix:/PATH``.

    Raises:
        BindFailed: as ``bind`` and ``bind_unix``.
    """
    if not address.startswith(UNIX_PREFIX):
        return bind_shared(address, count)
    sock = bind_unix(address, int(options.socket_mode, 8), options.socket_group)
    # One queue of connections for all: Unix sockets know no SO_REUSEPORT.
    return [sock, *(sock.dup() for _ in range(count - 1))]


def bind_shared(address: str, count: int) -> list[socket.socket]:
    """Return ``count`` listening sockets on one address; the kernel spreads connections over them.

    One for each worker: on a single shared socket the worker that wakes first takes them all.
    What came for a worker that died waits in its socket for the next one, because the supervisor
    holds the socket too.

    Raises:
        BindFailed: as ``bind``.
    """
    # Attack: SO_REUSEPORT alone would also share a port with another program of the same user
    # (a second server, started by mistake); so see first that nobody has it.
    probe = bind(address)
    if count == 1:
        return [probe]
    taken = join_host_port(*probe.getsockname()[:2])
    probe.close()
    return [bind(taken, shared=True) for _ in range(count)]


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
        raise BindFailed(address, _REASONS.get(number or 0, str(error))) from None
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
        raise BindFailed(address, reason) from None
    sock.setblocking(False)
    return sock


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
