"""Which program has a port of this machine, as /proc tells it (Linux)."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

PROC = Path("/proc")
_LISTENING = "0A"


def can_listen(host: str, port: int) -> OSError | None:
    """Try to listen on an address, and stop at once.

    Returns:
        ``None``: nobody else listens there; else why not: ``EADDRINUSE``, ``EACCES``,
        ``EADDRNOTAVAIL``.
    """
    version = ip_address(host).version
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_STREAM) as trial:
            # As servers do: connections of a program that just ended do not count.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if version == 6:
                trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            trial.bind((host, port))
            trial.listen(1)
    except OSError as error:
        return error
    return None


def is_taken(error: OSError) -> bool:
    """Return whether another program has the port."""
    return error.errno == errno.EADDRINUSE


def program_on(port: int) -> str | None:
    """Return the name of a program that listens on a TCP port, with its process id.

    Returns:
        ``master (pid 812)``; ``None``: it cannot be found, for instance because it belongs to
        another user.
    """
    wanted = {f"socket:[{inode}]" for inode in _inodes(port)}
    if not wanted:
        return None
    for process in PROC.iterdir():
        if process.name.isdigit() and any(name in wanted for name in _descriptors(process)):
            try:
                name = (process / "comm").read_text("utf-8", "replace").strip()
            except OSError:
                continue
            return f"{name} (pid {process.name})"
    return None


def _inodes(port: int) -> Iterator[str]:
    """Give the inodes of the sockets that listen on a port."""
    for table in ("tcp", "tcp6"):
        try:
            lines = (PROC / "net" / table).read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            words = line.split()
            if words[3] == _LISTENING and int(words[1].rpartition(":")[2], 16) == port:
                yield words[9]


def _descriptors(process: Path) -> Iterator[str]:
    try:
        for descriptor in (process / "fd").iterdir():
            yield os.readlink(descriptor)
    except OSError:
        return
