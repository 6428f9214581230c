"""Unix sockets: permissions, stale files, and files that are not ours to touch."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

from zajil.config.options_server import NetOptions
from zajil.net.listener import BindFailed, bind_unix, name_of
from zajil.net.listener_set import ListenerSet


def test_workers_share_one_socket(tmp_path: Path) -> None:
    path = tmp_path / "lmtp"
    listeners = ListenerSet()
    bound = listeners.bind({"lmtp": [f"unix:{path}"]}, 2, NetOptions(socket_mode="0600"))
    (sockets,) = bound.services["lmtp"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [name_of(sock) for sock in sockets] == [f"unix:{path}"] * 2
    listeners.adopt(bound)
    listeners.close()
    assert not path.exists()


def test_a_file_left_behind_is_replaced(tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'lmtp'}"
    bind_unix(address, 0o660, None).close()
    bind_unix(address, 0o660, None).close()


def test_a_living_socket_and_other_files_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "lmtp"
    living = bind_unix(f"unix:{path}", 0o660, None)
    with pytest.raises(BindFailed, match="another program"):
        bind_unix(f"unix:{path}", 0o660, None)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    living.close()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(BindFailed, match="another kind"):
        bind_unix(f"unix:{tmp_path / 'file'}", 0o660, None)
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(BindFailed, match="folder"):
        bind_unix(f"unix:{tmp_path / 'none' / 'lmtp'}", 0o660, None)
