"""A peer that says exactly the bytes it is told: for what no decent program would send."""

from __future__ import annotations

import socket
import ssl
from base64 import b64encode
from collections.abc import Iterable

from kit.lab_process import LabAccount

_SECONDS = 60.0
"""A guard against a server that hangs; two cores may be busy with other tests."""


class RawPeer:
    """One connection; ``with`` closes it. The greeting is read."""

    def __init__(
        self,
        address: tuple[str, int],
        tls: ssl.SSLContext | None = None,
        *,
        source: str | None = None,
        first: bytes = b"",
    ) -> None:
        """Connect.

        Args:
            address: where; ``("unix:/a/path", 0)`` is a Unix socket.
            tls: shake hands before the first byte.
            source: our own address; default: the system chooses.
            first: sent at once, before the greeting is read and before TLS.
        """
        self._host, path = address[0], address[0].removeprefix("unix:")
        self.sock: socket.socket
        if path != self._host:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(_SECONDS)
            self.sock.connect(path)
        else:
            own = (source, 0) if source else None
            self.sock = socket.create_connection(address, _SECONDS, own)
            # Each piece is a segment of its own.
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(first)
        self._unread = b""
        if tls is not None:
            self.start_tls(tls)
        self.greeting = self.reply()

    def __enter__(self) -> RawPeer:
        return self

    def __exit__(self, *exc: object) -> None:
        self.sock.close()

    def start_tls(self, tls: ssl.SSLContext) -> None:
        """Shake hands."""
        self.sock = tls.wrap_socket(self.sock, server_hostname=self._host)

    def send(self, *pieces: bytes) -> None:
        """Send pieces, each in a segment (or TLS record) of its own."""
        for piece in pieces:
            self.sock.sendall(piece)

    def reply(self) -> str:
        """Return the next reply, its lines joined by LF; ``""``: the server closed."""
        lines = []
        while (line := self._line()) != "":
            lines.append(line)
            if line[3:4] != "-":
                break
        return "\n".join(lines)

    def say(self, *lines: str) -> str:
        """Send lines in one segment; give the reply to the last."""
        self.send("".join(f"{line}\r\n" for line in lines).encode())
        replies = [self.reply() for _ in lines]
        return replies[-1]

    def say_all(self, lines: Iterable[str]) -> list[str]:
        """Send one line after the other; return all replies."""
        return [self.say(line) for line in lines]

    def log_in(self, account: LabAccount) -> str:
        """AUTH PLAIN."""
        secret = b64encode(f"\0{account.login}\0{account.password}".encode()).decode()
        return self.say(f"AUTH PLAIN {secret}")

    def rest(self) -> bytes:
        """Read until the server closes; give all that came."""
        parts = [self._unread]
        self._unread = b""
        try:
            while part := self.sock.recv(65536):
                parts.append(part)
        except ConnectionResetError:
            pass
        return b"".join(parts)

    def _line(self) -> str:
        while b"\r\n" not in self._unread:
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return ""
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\r\n")
        return line.decode()
