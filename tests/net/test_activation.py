"""Sockets that systemd opens: the server serves them, beside those that it opens itself."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from kit.certificates import TestAuthority
from kit.foreign import need_program
from kit.installation import set_up
from zajil.net.activation import take_passed_sockets

_SECONDS = 60.0
_OFF = ("submission", "submissions", "imap", "imaps", "pop3", "pop3s", "web", "http", "https")
_AS_SYSTEMD = """
import os, sys
names, fds, command = sys.argv[1], sys.argv[2].split(","), sys.argv[3:]
kept = [os.dup2(os.dup(int(fd)), 100 + i) for i, fd in enumerate(fds)]
for i, fd in enumerate(kept):
    os.dup2(fd, 3 + i)
    os.set_inheritable(3 + i, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(fds)), LISTEN_FDNAMES=names)
os.execv(command[0], command)
"""


_LAUNCH = [sys.executable, "-c", _AS_SYSTEMD]


@dataclass(frozen=True, slots=True)
class Activated:
    services: dict[str, list[str]]
    process: subprocess.Popen[bytes]


@contextmanager
def activated(
    folder: Path, tls: tuple[Path, Path], passed: list[tuple[str, socket.socket]], *settings: str
) -> Iterator[Activated]:
    """Serve with sockets that are open already, passed as sd_listen_fds(3) describes."""
    options = [f"tls.certificate={tls[0]}", f"tls.key={tls[1]}", "log.level=warning"]
    options += [f"listen.{name}=[]" for name in _OFF] + list(settings)
    arguments = [part for one in options for part in ("--set", one)]
    read, write = os.pipe()
    names = ":".join(name for name, _ in passed)
    numbers = ",".join(str(sock.fileno()) for _, sock in passed)
    configuration = str(set_up(folder / "mail").configuration)
    server = [sys.executable, "-m", "zajil", "--config", configuration, *arguments, "serve"]
    # The first numbers are for what is passed.
    high = os.dup2(write, 200)
    process = subprocess.Popen(
        [*_LAUNCH, names, numbers, *server, "--ready-fd", str(high)],
        pass_fds=[high, *(sock.fileno() for _, sock in passed)],
    )
    os.close(write)
    os.close(high)
    try:
        with open(read) as ready:
            yield Activated(json.loads(ready.readline()), process)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(_SECONDS) == 0


def listening_tcp() -> socket.socket:
    sock = socket.create_server(("127.0.0.1", 0))
    sock.settimeout(_SECONDS)
    return sock


def listening_unix(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen()
    return sock


def greeting(sock: socket.socket) -> bytes:
    client = socket.socket(sock.family)
    client.settimeout(_SECONDS)
    with client:
        client.connect(sock.getsockname())
        return client.recv(512)


def test_passed_sockets_are_served_beside_own_ones(
    tmp_path: Path, authority: TestAuthority
) -> None:
    """Also over a reload; a connection that came before the server gets its greeting."""
    smtp, lmtp = listening_tcp(), listening_unix(tmp_path / "lmtp")
    early = socket.create_connection(smtp.getsockname()[:2], timeout=_SECONDS)
    own = 'listen.pop3=["127.0.0.1:0"]'
    tls = authority.issue("mx.y.test")
    with smtp, lmtp, early, activated(tmp_path, tls, [("smtp", smtp), ("lmtp", lmtp)], own) as ours:
        port = smtp.getsockname()[1]
        assert ours.services["smtp"] == [f"127.0.0.1:{port}"]
        assert ours.services["lmtp"] == [f"unix:{tmp_path}/lmtp"]
        assert early.recv(512).startswith(b"220 ")
        host, _, own_port = ours.services["pop3"][0].rpartition(":")
        with socket.create_connection((host, int(own_port)), timeout=_SECONDS) as client:
            assert client.recv(512).startswith(b"+OK")
        ours.process.send_signal(signal.SIGHUP)
        for sock in (smtp, lmtp) * 4:
            assert greeting(sock).startswith(b"220 ")
    # What systemd has made is its own to remove.
    assert (tmp_path / "lmtp").exists()


_TAKE = """
from zajil.net.activation import BadActivation, take_passed_sockets
try:
    print(sorted(take_passed_sockets(["smtp", "imap", "lmtp"], ["lmtp"])))
except BadActivation as error:
    print(error)
print(sorted(take_passed_sockets(["smtp", "imap", "lmtp"], ["lmtp"])))
"""


@pytest.mark.parametrize("count", ["", "-1", "x", "٣", "9" * 5000])
def test_what_is_no_number_of_sockets_passes_none(
    count: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", count)
    monkeypatch.setenv("LISTEN_FDNAMES", "smtp")
    assert take_passed_sockets(["smtp"], []) == {}
    assert "LISTEN_FDS" not in os.environ


def test_a_passed_socket_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    def take(name: str, sock: socket.socket) -> str:
        done = subprocess.run(
            [*_LAUNCH, name, str(sock.fileno()), sys.executable, "-c", _TAKE],
            pass_fds=[sock.fileno()],
            stdout=subprocess.PIPE,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
        said, again = done.stdout.splitlines()
        assert again == "[]"
        return said

    with listening_tcp() as sock:
        assert take("smtp", sock) == "['smtp']"
        assert "the name 'zajil.socket'; set FileDescriptorName=" in take("zajil.socket", sock)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        assert "for smtp is not a listening stream socket" in take("smtp", sock)
    with listening_unix(tmp_path / "imap") as sock:
        assert "for imap is a Unix socket" in take("imap", sock)
        assert take("lmtp", sock) == "['lmtp']"


@pytest.mark.interop
def test_systemd_starts_the_server_at_the_first_connection(
    tmp_path: Path, authority: TestAuthority
) -> None:
    """systemd-socket-activate passes sockets as the service manager does."""
    configuration = str(set_up(tmp_path / "mail").configuration)
    certificate, key = authority.issue("mx.y.test")
    options = [f"tls.certificate={certificate}", f"tls.key={key}"]
    options += [f"listen.{name}=[]" for name in ("smtp", *_OFF)]
    path = tmp_path / "lmtp"
    command = [need_program("systemd-socket-activate"), "--fdname=lmtp", "-l", str(path)]
    command += [sys.executable, "-m", "zajil", "--config", configuration]
    command += [part for one in options for part in ("--set", one)]
    process = subprocess.Popen([*command, "serve"], stderr=subprocess.PIPE)
    try:
        end = time.monotonic() + _SECONDS
        while not path.exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(_SECONDS)
            client.connect(str(path))
            assert re.match(rb"220 mail\.y\.test ", client.recv(512))
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=_SECONDS)
    assert b"stopped status=0" in log
