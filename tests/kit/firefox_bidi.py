"""Debian's Firefox as Playwright can drive it: started by this program, WebDriver BiDi in between.

Playwright speaks WebDriver BiDi with Firefox, but sends commands that an ESR release does not know
yet and gives up when one fails. This program is started in Firefox's place: it starts Firefox, and
passes the WebSocket on with such commands replaced by ``session.status``.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

_UNKNOWN = re.compile(rb'"method":"(emulation\.setMediaFeaturesOverride)"')
_LISTENING = re.compile(rb"(WebDriver BiDi listening on ws://127\.0\.0\.1:)(\d+)")
_FINAL_TEXT = 0x81
_MASKED = 0x80


def write_starter(folder: Path, firefox: str) -> Path:
    """Write a program that starts Firefox through this one; Playwright's ``executable_path``."""
    starter = folder / "firefox"
    starter.write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} {firefox} "$@"\n')
    starter.chmod(0o755)
    return starter


def _read_exactly(sock: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        part = sock.recv(min(size, 65536))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _read_frame(sock: socket.socket) -> tuple[bytes, bytes, bytes]:
    """Read a masked frame; return its head, its key and its payload, still masked."""
    head = _read_exactly(sock, 2)
    size = head[1] & 0x7F
    if size >= 126:
        head += _read_exactly(sock, 2 if size == 126 else 8)
        size = int.from_bytes(head[2:], "big")
    return head, _read_exactly(sock, 4), _read_exactly(sock, size)


def _unmask(payload: bytes, key: bytes) -> bytes:
    whole = (key * (len(payload) // 4 + 1))[: len(payload)]
    number = int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")
    return number.to_bytes(len(payload), "big")


def _pass_commands(browser: socket.socket, firefox: socket.socket) -> None:
    while True:
        head, key, masked = _read_frame(browser)
        text = _unmask(masked, key)
        if _UNKNOWN.search(text[:200]) or _UNKNOWN.search(text[-200:]):
            number = json.loads(text)["id"]
            text = json.dumps({"id": number, "method": "session.status", "params": {}}).encode()
            head, masked = bytes((_FINAL_TEXT, _MASKED | len(text))), _unmask(text, key)
        firefox.sendall(head + key + masked)


def _pass_answers(firefox: socket.socket, browser: socket.socket) -> None:
    while part := firefox.recv(65536):
        browser.sendall(part)
    browser.shutdown(socket.SHUT_WR)


def _serve(client: socket.socket, port: int) -> None:
    with client, socket.create_connection(("127.0.0.1", port)) as firefox:
        request = b""
        while b"\r\n\r\n" not in request:
            request += client.recv(65536)
        # Without extensions, frames are not compressed; Firefox accepts only its own name.
        request = re.sub(rb"(?i)\r\nSec-WebSocket-Extensions:[^\r]*", b"", request)
        request = re.sub(rb"(?i)\r\nHost:[^\r]*", b"\r\nHost: 127.0.0.1:%d" % port, request)
        firefox.sendall(request)
        answers = threading.Thread(target=_pass_answers, args=(firefox, client), daemon=True)
        answers.start()
        try:
            _pass_commands(client, firefox)
        except (EOFError, OSError):
            firefox.close()


def main(command: list[str]) -> int:
    """Start Firefox, and pass on what Playwright says to it; return Firefox's exit status."""
    listener = socket.create_server(("127.0.0.1", 0))
    own_port = listener.getsockname()[1]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    real_port: list[int] = []

    def accept() -> None:
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_serve, args=(client, real_port[0]), daemon=True).start()

    assert process.stderr is not None
    for line in process.stderr:
        if found := _LISTENING.search(line):
            real_port.append(int(found[2]))
            threading.Thread(target=accept, daemon=True).start()
            line = _LISTENING.sub(rb"\g<1>%d" % own_port, line)
        sys.stderr.buffer.write(line)
        sys.stderr.buffer.flush()
    return process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
