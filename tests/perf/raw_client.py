"""Clients of IMAP and POP3 that do little themselves: they send, and read until the answer ends."""

from __future__ import annotations

import re
import socket
import ssl

_PIECE = 262_144
_SECONDS = 600.0
_LITERAL = re.compile(rb"\{(\d+)\}\r\n")


def insecure_context() -> ssl.SSLContext:
    """Return a context that trusts any certificate: the servers are our own, on loopback."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _connect(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", port), _SECONDS)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(plain)


class RawImap:
    """One connection to an IMAP server; TLS from the first byte."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self.sock = _connect(port, context)
        self._number = 0
        self.read_until(b"\r\n")

    def log_in(self, login: str, password: str) -> None:
        """Log in with LOGIN."""
        self.command(f'LOGIN "{login}" "{password}"'.encode())

    def command(self, line: bytes) -> bytes:
        """Send a command; return all that came until its tagged response, with it.

        Raises:
            RuntimeError: the response was not OK.
        """
        self._number += 1
        tag = b"zq%dk" % self._number
        self.sock.sendall(tag + b" " + line + b"\r\n")
        return self.finish(tag)

    def finish(self, tag: bytes) -> bytes:
        """Read up to the tagged response.

        Raises:
            RuntimeError: the response was not OK.
        """
        pieces: list[bytes] = []
        tail = b""
        while True:
            piece = self.sock.recv(_PIECE)
            if not piece:
                raise RuntimeError(f"the server closed the connection: {tail[-200:]!r}")
            pieces.append(piece)
            tail = (tail + piece)[-4096:] if len(piece) < 4096 else piece[-4096:]
            if tail.endswith(b"\r\n"):
                last = tail[:-2].rpartition(b"\n")[2]
                if last.startswith(tag + b" "):
                    if not last.startswith(tag + b" OK"):
                        raise RuntimeError(last.decode("utf-8", "replace"))
                    return b"".join(pieces)

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.sock.sendall(data)

    def read_until(self, end: bytes) -> bytes:
        """Read until what came ends so."""
        data = b""
        while not data.endswith(end):
            piece = self.sock.recv(_PIECE)
            if not piece:
                raise RuntimeError(f"the server closed the connection: {data[-200:]!r}")
            data += piece
        return data

    def close(self) -> None:
        """End the connection without a word."""
        self.sock.close()


class RawPop3:
    """One connection to a POP3 server; TLS from the first byte."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self.sock = _connect(port, context)
        self._file = self.sock.makefile("rb", _PIECE)
        self._file.readline()

    def log_in(self, login: str, password: str) -> None:
        """Log in with USER and PASS."""
        self.line(f"USER {login}".encode())
        self.line(f"PASS {password}".encode())

    def line(self, command: bytes) -> bytes:
        """Send a command; return its first line.

        Raises:
            RuntimeError: it was not +OK.
        """
        self.sock.sendall(command + b"\r\n")
        return self._first()

    def download(self, first: int, last: int, ahead: int) -> int:
        """Fetch messages, so many commands ahead; return the number of bytes."""
        size = 0
        sent = first
        for number in range(first, last + 1):
            commands: list[bytes] = []
            while sent <= min(last, number + ahead):
                commands.append(b"RETR %d\r\n" % sent)
                sent += 1
            if commands:
                self.sock.sendall(b"".join(commands))
            self._first()
            while (line := self._file.readline()) != b".\r\n":
                size += len(line)
        return size

    def _first(self) -> bytes:
        line = self._file.readline()
        if not line.startswith(b"+OK"):
            raise RuntimeError(line.decode("utf-8", "replace"))
        return line

    def close(self) -> None:
        """End the connection without a word."""
        self._file.close()
        self.sock.close()
