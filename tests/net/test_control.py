"""The control socket: one request, one answer, whatever a client does."""

from __future__ import annotations

import json
import os
import select
import socket
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from zajil.net.control import ControlClient, ControlServer, NotRunning, ask_server


@contextmanager
def answering(folder: Path) -> Iterator[Path]:
    """Answer each request with itself, in a thread; gives the path of the socket."""

    def take(client: ControlClient, request: Mapping[str, Any]) -> None:
        client.answer({"told": dict(request)})

    server = ControlServer(take)
    server.open(folder)
    end, stop = os.pipe()

    def serve() -> None:
        while True:
            readable, _, _ = select.select([end, *server.descriptors()], [], [], 60)
            if end in readable:
                return
            for descriptor in readable:
                server.readable(descriptor)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield folder / "run" / "control"
    finally:
        os.close(stop)
        thread.join()
        os.close(end)
        server.close()


def test_a_request_and_its_answer(tmp_path: Path) -> None:
    with answering(tmp_path) as path:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert ask_server(tmp_path, {"do": "status"}) == {"told": {"do": "status"}}
    assert not path.exists()
    with pytest.raises(NotRunning, match="no server runs"):
        ask_server(tmp_path, {"do": "status"})


def test_a_folder_with_a_long_name(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    with answering(folder):
        assert ask_server(folder, {"do": "x"}) == {"told": {"do": "x"}}


@pytest.mark.parametrize(
    "data", [b"junk\n", b"[]\n", b"x" * 5000, b"", b"[" * 4000 + b"\n", b'{"a":' * 800 + b"\n"]
)
def test_what_is_no_request_ends_its_own_connection(tmp_path: Path, data: bytes) -> None:
    with answering(tmp_path) as path:
        with socket.socket(socket.AF_UNIX) as client, socket.socket(socket.AF_UNIX) as silent:
            silent.connect(str(path))
            client.connect(str(path))
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            client.settimeout(60)
            with suppress(ConnectionResetError):  # not all of it was read
                assert client.recv(100) == b""
            silent.sendall(json.dumps({"do": "y"}).encode())
            silent.sendall(b"\n")
            assert silent.recv(100) == b'{"told": {"do": "y"}}\n'
        assert ask_server(tmp_path, {"do": "z"}) == {"told": {"do": "z"}}


def test_an_answer_ends_though_another_process_holds_the_connection(tmp_path: Path) -> None:
    """A worker that was just forked holds all sockets of the supervisor; it may hang."""
    held = []

    def take(client: ControlClient, request: Mapping[str, Any]) -> None:
        held.append(client.sock.dup())
        client.answer({})

    server = ControlServer(take)
    server.open(tmp_path)
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(60)
        client.connect(str(tmp_path / "run" / "control"))
        client.sendall(b"{}\n")
        for _ in range(2):
            server.readable(server.descriptors()[-1])
        assert client.recv(100) == b"{}\n"
        assert client.recv(100) == b""
    server.close()
    held[0].close()


def test_many_clients_that_say_nothing(tmp_path: Path) -> None:
    with answering(tmp_path) as path:
        idle = []
        for _ in range(100):
            client = socket.socket(socket.AF_UNIX)
            client.connect(str(path))
            idle.append(client)
        assert ask_server(tmp_path, {"do": "z"}) == {"told": {"do": "z"}}
        for client in idle:
            client.close()
