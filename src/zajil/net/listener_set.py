"""The listening sockets of a server, over reloads.

Laws:
- A socket is open here as long as any configuration in use has its address: connections that wait
  in its queue outlive each worker, and each generation of workers.
- An address that a new configuration keeps has the same sockets as before.
- Nothing that is in use is touched before the new configuration is adopted.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Self

from zajil.config.kinds import UNIX_PREFIX
from zajil.config.options_server import NetOptions
from zajil.net.listener import (
    BindFailed,
    bind,
    bind_unix,
    name_of,
    remove_unix,
    set_unix_permissions,
)
from zajil.net.peer import join_host_port, split_host_port

_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
_LOWEST_FREE_PORT = 1024


class NeedsRestart(BindFailed):
    """We cannot listen there now, but a server that starts as this one did can."""

    service = ""
    """Which service should listen there."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The sockets of one configuration."""

    services: Mapping[str, Sequence[Sequence[socket.socket]]]
    """For each service, for each of its addresses, the sockets of the kernel: at least one for
    each worker."""
    by_key: Mapping[str, list[socket.socket]]
    fresh: Sequence[socket.socket]
    """Those that were made for it."""

    def of_worker(self, index: int, workers: int) -> dict[str, list[socket.socket]]:
        """Return what one of several workers serves: each socket is served by one of them."""
        return {
            name: list(chain.from_iterable(sockets[index::workers] for sockets in addresses))
            for name, addresses in self.services.items()
        }


@dataclass(slots=True)
class ListenerSet:
    """All listening sockets of the supervisor."""

    _current: dict[str, list[socket.socket]] = field(default_factory=dict)
    """By address; that of a free port (port 0) has its service and number in front."""
    _open: set[socket.socket] = field(default_factory=set)
    _passed: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """For each service whose sockets the service manager opened: their addresses."""

    @classmethod
    def with_passed(cls, passed: Mapping[str, Sequence[socket.socket]]) -> Self:
        """Return a set that has the sockets of some services already (``net.activation``)."""
        return cls(
            _current={name_of(sock): [sock] for sock in chain.from_iterable(passed.values())},
            _open=set(chain.from_iterable(passed.values())),
            _passed={name: [name_of(sock) for sock in socks] for name, socks in passed.items()},
        )

    def instead_of(self, configured: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
        """Return the addresses of each service: those of passed sockets, else the configured."""
        return {**configured, **self._passed}

    def bind(self, wanted: Mapping[str, Sequence[str]], workers: int, options: NetOptions) -> Bound:
        """Return the sockets of a configuration: those that are open, and new ones.

        The caller passes it to ``adopt`` or to ``drop``.

        Args:
            wanted: for each service its addresses, ``ADDRESS:PORT`` or ``unix:/PATH``.
            workers: how many serve them.
            options: permissions of Unix sockets.

        Raises:
            NeedsRestart: a port below 1024 without permission, or the port is one that we listen
                on already, in a way that cannot be changed now.
            BindFailed: as ``listener.bind`` and ``bind_unix``; nothing is left open.
        """
        by_key: dict[str, list[socket.socket]] = {}
        fresh: list[socket.socket] = []
        services: dict[str, list[list[socket.socket]]] = {}
        try:
            for name, addresses in wanted.items():
                services[name] = []
                for number, address in enumerate(addresses):
                    key = _key(name, number, address)
                    if key in by_key:
                        raise BindFailed(address, "it is listed twice")
                    sockets = list(self._current.get(key, ()))
                    before = set(sockets)
                    try:
                        self._extend(sockets, address, workers, options)
                    except NeedsRestart as error:
                        error.service = name
                        raise
                    finally:
                        fresh += [one for one in sockets if one not in before]
                    by_key[key] = sockets
                    services[name].append(sockets)
        except BaseException:
            _close(fresh, self._open)
            raise
        self._open.update(fresh)
        return Bound(services, by_key, fresh)

    def adopt(self, bound: Bound) -> None:
        """Use these sockets from now on, and close all others."""
        kept = set(chain.from_iterable(bound.by_key.values()))
        _close(self._open - kept, kept)
        self._open, self._current = kept, dict(bound.by_key)

    def drop(self, bound: Bound) -> None:
        """Close what was made for a configuration that is not used after all."""
        self._open -= set(bound.fresh)
        _close(bound.fresh, self._open)

    def keep_only(self, own: Iterable[socket.socket]) -> None:
        """Close all but some, in a worker: else it went on listening when the others end."""
        for sock in self._open - set(own):
            sock.close()
        self._open, self._current = set(), {}

    def close(self) -> None:
        """Listen no more; the file of a Unix socket that was passed stays."""
        passed = set(chain.from_iterable(self._passed.values()))
        _close(self._open, [sock for sock in self._open if name_of(sock) in passed])
        self._open, self._current = set(), {}

    def _extend(
        self, sockets: list[socket.socket], address: str, workers: int, options: NetOptions
    ) -> None:
        """Add sockets until there is one for each worker."""
        if address.startswith(UNIX_PREFIX):
            if not sockets:
                sockets.append(
                    bind_unix(address, int(options.socket_mode, 8), options.socket_group)
                )
            elif address not in chain.from_iterable(self._passed.values()):
                set_unix_permissions(address, int(options.socket_mode, 8), options.socket_group)
            # One queue of connections for all: Unix sockets know no SO_REUSEPORT.
            sockets += [sockets[0].dup() for _ in range(workers - len(sockets))]
        elif sockets:
            sockets += more_shared(sockets, workers - len(sockets))
        else:
            sockets += self._bind_tcp(address, workers)

    def _bind_tcp(self, address: str, workers: int) -> list[socket.socket]:
        is_ours = any(_overlap(address, other) for other in self._open)
        try:
            return bind_shared(address, workers, probe=not is_ours)
        except BindFailed as error:
            port = split_host_port(address)[1]
            if error.number == errno.EADDRINUSE and is_ours:
                reason = "this server listens on the same port until it is restarted"
                raise NeedsRestart(address, reason, error.number) from None
            if error.number == errno.EACCES and 0 < port < _LOWEST_FREE_PORT:
                raise NeedsRestart(address, error.reason, error.number) from None
            raise


def bind_shared(address: str, count: int, *, probe: bool = True) -> list[socket.socket]:
    """Return ``count`` listening sockets on one address; the kernel spreads connections over them.

    One for each worker: on a single shared socket the worker that wakes first takes them all.
    What came for a worker that died waits in its socket for the next one, because the supervisor
    holds the socket too.

    Args:
        address: ``ADDRESS:PORT``.
        count: at least 1.
        probe: see first that no other program of the same user has the address.

    Raises:
        BindFailed: as ``bind``.
    """
    if probe:
        # Attack: SO_REUSEPORT alone would also share a port with another program of the same user
        # (a second server, started by mistake); so see first that nobody has it.
        with bind(address) as probing:
            address = join_host_port(*probing.getsockname()[:2])
    made = [bind(address, shared=True)]
    made += more_shared(made, count - 1)
    return made


def more_shared(sockets: Sequence[socket.socket], count: int) -> list[socket.socket]:
    """Return further sockets on the address of some that are open.

    Where the kernel gives none, because another user bound the first ones, they share the queues
    of those that are there.
    """
    address = join_host_port(*sockets[0].getsockname()[:2])
    made: list[socket.socket] = []
    for number in range(count):
        try:
            made.append(bind(address, shared=True))
        except BindFailed:
            made.append(sockets[number % len(sockets)].dup())
    return made


def _key(service: str, number: int, address: str) -> str:
    """Return what stands for an address over reloads, whichever service has it."""
    return f"{service} {number} {address}" if address.endswith(":0") else address


def _overlap(address: str, sock: socket.socket) -> bool:
    """Say whether an address and a socket stand in each other's way."""
    if sock.family == socket.AF_UNIX:
        return False
    host, port = split_host_port(address)
    own_host, own_port = sock.getsockname()[:2]
    if port != own_port or (":" in host) != (":" in own_host):
        return False
    return host == own_host or host in _WILDCARDS or own_host in _WILDCARDS


def _close(sockets: Iterable[socket.socket], kept: Iterable[socket.socket] = ()) -> None:
    """Close sockets; the file of a Unix socket goes with the last of them."""
    in_use = {sock.getsockname() for sock in kept if sock.family == socket.AF_UNIX}
    for sock in sockets:
        if sock.family == socket.AF_UNIX and sock.getsockname() not in in_use:
            remove_unix(sock)
        sock.close()
