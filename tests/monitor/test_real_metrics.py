"""A real server is watched: its metrics, and what a load balancer asks."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from kit.certificates import TestAuthority
from kit.foreign import need_program
from kit.installation import Installation, running_installation
from kit.raw_smtp import RawPeer
from zajil.monitor.meters import CHORES, METERS

ON = 'listen.metrics=["127.0.0.1:0"]'
SAMPLE = re.compile(r"([a-z_]+)(\{[^}]*\})? ([0-9.e+-]+)\Z")


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, authority: TestAuthority
) -> Iterator[Installation]:
    """Give a server with two workers that is watched."""
    folder = tmp_path_factory.mktemp("watched") / "z"
    with running_installation(folder, authority.issue("mail.y.test"), ON) as it:
        yield it


def ask(server: Installation, path: str, method: str = "GET") -> httpx.Response:
    """Ask the listener for programs."""
    host, port = server.address("metrics")
    return httpx.request(method, f"http://{host}:{port}{path}", timeout=60)


def metrics(server: Installation) -> Mapping[str, float]:
    """Give all samples by name and labels."""
    lines = [line for line in ask(server, "/metrics").text.splitlines() if line[0] != "#"]
    found = [match for line in lines if (match := SAMPLE.match(line))]
    assert len(found) == len(lines)
    return {f"{match[1]}{match[2] or ''}": float(match[3]) for match in found}


def hand_in(server: Installation, recipient: str = "b@y.test") -> str:
    """Bring a mail; give the last reply."""
    with RawPeer(server.address("smtp")) as peer:
        peer.say("EHLO there.test")
        peer.say("MAIL FROM:<a@elsewhere.test>")
        reply = peer.say(f"RCPT TO:<{recipient}>")
        if reply.startswith("250"):
            peer.say("DATA")
            peer.send(b"From: <a@elsewhere.test>\r\nSubject: s\r\n\r\nb\r\n.\r\n")
            reply = peer.reply()
        peer.say("QUIT")
    return reply


@pytest.mark.interop
def test_promtool_finds_nothing_to_blame(server: Installation) -> None:
    promtool = need_program("promtool")
    text = ask(server, "/metrics").content
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_every_metric_is_there(server: Installation) -> None:
    told = set(re.findall(r"^# TYPE (\S+) ", ask(server, "/metrics").text, re.M))
    assert told == {meter.name for meter in METERS}


def test_what_any_worker_did_any_worker_tells(server: Installation) -> None:
    accepted = 'zajil_mails_accepted_total{service="smtp"}'
    refused = 'zajil_recipients_refused_total{status="5.1.1"}'
    before = metrics(server)
    for _ in range(6):
        assert hand_in(server).startswith("250")
        assert hand_in(server, "nobody@y.test").startswith("550 5.1.1")
    end = time.monotonic() + 60
    while True:
        now = metrics(server)
        if now[accepted] - before[accepted] == 6 and now[refused] - before[refused] == 6:
            break
        assert time.monotonic() < end, (before[accepted], now[accepted], now[refused])
        time.sleep(0.05)
    assert now["zajil_connections_total" + '{service="smtp"}'] >= 12
    assert now["zajil_store_commit_seconds_count"] > 0
    assert now["zajil_store_up"] == now["zajil_accounts"] == now["zajil_domains"] == 1
    assert now["zajil_disk_free_bytes"] > now["zajil_disk_reserve_bytes"] == 256 * 1024 * 1024
    assert now['zajil_certificate_not_after_timestamp_seconds{name="mail.y.test"}'] > time.time()
    assert now['zajil_queue_recipients{state="waiting"}'] == 0


def test_open_sessions_of_all_workers(server: Installation) -> None:
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(RawPeer(server.address("smtp"))).say("NOOP")
        assert metrics(server)['zajil_sessions{service="smtp"}'] >= 5


def test_chores_tell_when_they_were_done(server: Installation) -> None:
    end = time.monotonic() + 60
    name = "zajil_chore_last_success_timestamp_seconds"
    while True:
        now = metrics(server)
        done = {chore for chore in CHORES if f'{name}{{chore="{chore}"}}' in now}
        if done == set(CHORES):
            return
        assert time.monotonic() < end, set(CHORES) - done
        time.sleep(0.05)


def test_a_dead_worker_is_counted_and_its_counts_stay(server: Installation) -> None:
    hand_in(server)
    before = metrics(server)
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)
    end = time.monotonic() + 60
    while True:
        with suppress(httpx.TransportError):  # the dead one had the connection
            now = metrics(server)
            if now["zajil_worker_deaths_total"] == before["zajil_worker_deaths_total"] + 1:
                break
        assert time.monotonic() < end
        time.sleep(0.05)
    name = 'zajil_connections_total{service="smtp"}'
    assert now[name] >= before[name]


def test_health_and_readiness(server: Installation) -> None:
    health, ready = ask(server, "/health"), ask(server, "/ready")
    assert (health.status_code, health.json()) == (200, {"status": "ok"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "problems": {}})
    assert ready.headers["cache-control"] == "no-store"
    head = ask(server, "/ready", "HEAD")
    assert (head.status_code, head.content) == (200, b"")
    assert int(head.headers["content-length"]) > 0


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405"),
        (b"GET /nothing HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /../etc/passwd HTTP/1.1\r\n\r\n", b"404"),
        (b"GET /metrics\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", b"400"),
        (b"GET /health HTTP/1.1\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", b"400"),
    ],
)
def test_odd_requests(server: Installation, request_: bytes, status: bytes) -> None:
    with socket.create_connection(server.address("metrics"), 60) as sock:
        sock.sendall(request_)
        answer = sock.makefile("rb").readline()
    assert answer.startswith(b"HTTP/1.1 " + status)


def test_the_pages_of_people_have_no_metrics(server: Installation) -> None:
    host, port = server.address("web")
    for path in ("/metrics", "/health", "/ready"):
        assert httpx.get(f"http://{host}:{port}{path}").status_code in (303, 404)


def test_a_server_without_space_is_not_ready(tmp_path: Path, authority: TestAuthority) -> None:
    reserve = "store.free_space_reserve=1000000GiB"
    certificate = authority.issue("mail.y.test")
    with running_installation(tmp_path / "z", certificate, ON, reserve, workers=1) as server:
        assert hand_in(server).startswith("452 4.3.1")
        ready = ask(server, "/ready")
        now = metrics(server)
        assert ask(server, "/health").status_code == 200
    assert ready.status_code == 503
    assert ready.json()["status"] == "not ready"
    assert "less than store.free_space_reserve" in ready.json()["problems"]["disk"]
    assert now['zajil_store_errors_total{reason="full"}'] > 0
    assert now["zajil_disk_free_bytes"] < now["zajil_disk_reserve_bytes"]


def test_nothing_listens_unless_it_is_asked_for(tmp_path: Path, authority: TestAuthority) -> None:
    certificate = authority.issue("mail.y.test")
    with running_installation(tmp_path / "z", certificate, workers=1) as server:
        assert server.services["metrics"] == []
        worker = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()[0]
        maps = Path(f"/proc/{worker}/maps").read_text()
    assert "prometheus" not in maps
