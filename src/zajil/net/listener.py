"""Bind a listening socket, or say in one sentence why it cannot be."""

from __future__ import annotations

import errno
import socket

from zajil.net.peer import join_host_port, split_host_port

BACKLOG = 1024
"""Connections that wait for accept(); the kernel cuts it to net.core.somaxconn."""

_REASONS = {
    errno.EADDRINUSE: "the port is in use by another program",
    errno.EACCES: "no permission; ports below 1024 need root or CAP_NET_BIND_SERVICE",
    errno.EADDRNOTAVAIL: "not an address of this machine",
    errno.EAFNOSUPPORT: "this machine has no such kind of address",
}


class BindFailed(Exception):
    """We cannot listen there; ``str()`` is the sentence for the operator."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"cannot listen on {address}: {reason}")
        self.address = address
        self.reason = reason


def bind_shared(address: str, count: int) -> list[socket.socket]:
    """Give ``count`` listening sockets on one address; the kernel spreads connections over them.

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
    """Give a listening, non-blocking TCP socket; the caller closes it.

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
        sock = socket.socket(family, socket.SOCK_STREAM)
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
