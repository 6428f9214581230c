"""`kill -9` of the worker that has a session: the maildrop is free, and nothing was deleted."""

from __future__ import annotations

import os
import signal
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from kit.certificates import TestAuthority
from kit.installation import Installation, running_installation

_SECONDS = 60


@contextmanager
def session(server: Installation, *commands: str) -> Iterator[list[str]]:
    """Log in and ask; give the last line of each answer, and stay connected."""
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    said = [f"USER {server.login}", f"PASS {server.password}", *commands]
    with (
        socket.create_connection(server.address("pop3s"), _SECONDS) as plain,
        tls.wrap_socket(plain) as sock,
        sock.makefile("rb") as lines,
    ):
        sock.sendall("".join(f"{line}\r\n" for line in said).encode())
        yield [lines.readline().decode().strip() for _ in range(len(said) + 1)]


@pytest.mark.timeout(240)
def test_a_killed_worker_lets_go_of_the_maildrop(tmp_path: Path) -> None:
    """Long before its lease ends: the worker that takes its place has the same name."""
    pair = TestAuthority(tmp_path).issue("mx.y.test")
    with running_installation(tmp_path / "zajil", pair, "server.workers=1") as server:
        with session(server) as first:
            assert first[-1] == "+OK logged in"
            with session(server) as second:
                assert second[-1].startswith("-ERR [IN-USE]")
            children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
            os.kill(int(children[0]), signal.SIGKILL)
            answers = [""]
            for _ in range(1000):  # until the next worker serves
                with suppress(OSError), session(server, "STAT", "QUIT") as said:
                    answers = said
                    if said[-1]:
                        break
        assert answers[2:] == ["+OK logged in", "+OK 0 0", "+OK bye"]
