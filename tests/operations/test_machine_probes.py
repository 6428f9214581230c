"""The probes of this machine find what is really there."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from zajil.net.port_owner import can_listen, program_on
from zajil.operations import machine_probes
from zajil.operations.machine_probes import (
    probe_clock,
    probe_disk,
    probe_memory,
    probe_ports,
    probe_space,
)

GIB = 2**30


def test_a_port_in_use_is_told_with_the_program_that_has_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        (probe,) = probe_ports([f"127.0.0.1:{port}"])
        assert program_on(port) == f"{_own_name()} (pid {os.getpid()})"
    assert probe.level == "problem"
    assert f"Port {port} is in use by another program: {_own_name()}" in str(probe)
    assert can_listen("127.0.0.1", port) is None
    assert probe_ports([f"127.0.0.1:{port}"])[0].level == "ok"
    assert program_on(port) is None


def _own_name() -> str:
    return Path("/proc/self/comm").read_text("utf-8").strip()


def test_addresses_that_are_not_here() -> None:
    (probe,) = probe_ports(["203.0.113.77:2525"])
    assert (probe.level, probe.advice) == ("problem", "Correct the address in [listen].")
    (six,) = probe_ports(["[2001:db8::77]:2525"])
    assert six.level == "problem"


def test_a_disk_in_memory_is_no_place_for_mail(tmp_path: Path) -> None:
    for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines():
        point, kind = line.split()[4], line.partition(" - ")[2].split()[0]
        if kind != "tmpfs" or not Path(point).is_dir():
            continue
        probe = probe_disk(Path(point))
        assert (probe.level, probe.facts["kind"]) == ("problem", "tmpfs")
    assert probe_disk(tmp_path / "none").level == "problem"
    assert "No such file" in str(probe_disk(tmp_path / "none"))


@pytest.mark.usefixtures("real_fsync")
def test_a_disk_that_is_measured(tmp_path: Path) -> None:
    probe = probe_disk(tmp_path)
    assert probe.level in ("ok", "warning", "problem")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_answers_before_it_has_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a virtual disk whose cache is ``unsafe``: the call returns, and nothing was done."""
    monkeypatch.setattr(machine_probes, "_file_system", lambda _: ("ext4", ()))
    monkeypatch.setattr(os, "fsync", lambda _: None)
    probe = probe_disk(tmp_path)
    assert probe.level == "warning"
    assert "does not honour fsync" in str(probe)


def test_space_below_the_reserve_is_a_problem(tmp_path: Path) -> None:
    disk = os.statvfs(tmp_path)
    free = disk.f_bavail * disk.f_frsize
    assert probe_space(tmp_path, free + GIB).level == "problem"
    assert probe_space(tmp_path, max(free - GIB // 2, 0)).level == "warning"
    assert str(probe_space(tmp_path, 0)).startswith(probe_space(tmp_path, 0).facts["free"])


@pytest.mark.parametrize(
    ("total_kb", "free_kb", "level"),
    [(4_000_000, 2_000_000, "ok"), (4_000_000, 200_000, "warning"), (500_000, 450_000, "warning")],
)
def test_memory(total_kb: int, free_kb: int, level: str, tmp_path: Path) -> None:
    table = tmp_path / "meminfo"
    table.write_text(f"MemTotal: {total_kb} kB\nMemAvailable: {free_kb} kB\n", "ascii")
    assert probe_memory(table).level == level
    assert probe_memory(tmp_path / "none").level == "skipped"
    assert probe_memory().level in ("ok", "warning")


@contextmanager
def web_server(date: str | None) -> Iterator[str]:
    """A web server with a clock of its own; ``None``: it is right."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response_only(200)
            self.send_header("Date", date or formatdate(usegmt=True))
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("date", "level"),
    [(None, "ok"), (formatdate(1_700_000_000), "problem"), ("odd", "warning")],
    ids=["right", "wrong", "odd"],
)
def test_a_clock_that_nothing_synchronizes_is_compared(
    date: str | None, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_probes, "_is_synchronized", lambda: False)
    with web_server(date) as url:
        assert probe_clock(url).level == level
    assert probe_clock(url).level == "warning"
    assert probe_clock(None).level == "warning"


def test_the_kernel_says_whether_the_clock_is_synchronized() -> None:
    assert machine_probes._is_synchronized() in (True, False)
