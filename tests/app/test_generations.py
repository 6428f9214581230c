"""A reload starts new workers beside the old ones: nobody is refused, and no session is cut."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from imaplib import IMAP4_SSL
from pathlib import Path
from poplib import POP3_SSL
from typing import Any

import httpx
import pytest

from kit.certificates import TestAuthority
from kit.lab_process import LabAccount
from kit.name_server import zone_server
from kit.raw_smtp import RawPeer
from kit.reloaded import Server, free_port, running, serving, trusting_anybody
from kit.zone import Zone
from zajil.net.control import ask_server

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return TestAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def everlasting(
    authority: TestAuthority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server") / "mail"
    with running(folder, authority.issue("mail.y.test")) as ours:
        yield ours


@pytest.fixture
def server(everlasting: Server) -> Iterator[Server]:
    """A server with its first configuration, and without old workers."""
    text = everlasting.configuration.read_text("utf-8")
    yield everlasting
    everlasting.configuration.write_text(text, "utf-8")
    everlasting.reload(" reloaded ")
    wait_for_workers(everlasting, 2)


def imap(server: Server) -> IMAP4_SSL:
    client = IMAP4_SSL(*server.addresses["imaps"], ssl_context=trusting_anybody(), timeout=60)
    client.login(server.login, server.password)
    client.select("INBOX")
    return client


@contextmanager
def web(server: Server) -> Iterator[httpx.Client]:
    """Log in to the pages."""
    host, port = server.addresses["web"]
    with httpx.Client(base_url=f"http://{host}:{port}", timeout=60) as client:
        token = re.search(r'name="csrf" value="([0-9a-f]+)"', client.get("/login").text)
        assert token
        form = {"login": server.login, "password": server.password, "next": "/mail"}
        assert client.post("/login", data={"csrf": token[1], **form}).status_code == 303
        yield client


def wait_for_workers(server: Server, count: int) -> list[int]:
    """Wait until there are so many, of all generations."""
    for _ in range(200):
        if len(workers := server.workers()) == count:
            return workers
        time.sleep(0.1)
    raise AssertionError(server.workers())


def is_refused(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, 30).close()
    except ConnectionRefusedError:
        return True
    return False


def wait_until_ended(pids: list[int]) -> None:
    """Wait for the end of processes that are not our children."""
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            assert select.select([descriptor], [], [], 60)[0], pid
        finally:
            os.close(descriptor)


def test_all_kinds_of_sessions_outlive_their_configuration(server: Server) -> None:
    """The host name, the limits, the checks, the number of workers and the listeners change."""
    another = free_port()
    old_workers = server.workers()
    idle, pop = (
        imap(server),
        POP3_SSL(*server.addresses["pop3s"], timeout=60, context=trusting_anybody()),
    )
    pop.user(server.login)
    pop.pass_(server.password)
    tag = idle._new_tag()  # imaplib of Python 3.11 knows no IDLE
    idle.send(tag + b" IDLE\r\n")
    assert idle.readline().startswith(b"+ ")
    with RawPeer(server.addresses["smtp"]) as peer, web(server) as browser:
        peer.say("EHLO client.test")
        assert peer.say("MAIL FROM:<a@elsewhere.test>").startswith("250 ")
        assert peer.say("RCPT TO:<b@y.test>").startswith("250 ")
        assert peer.say("DATA").startswith("354 ")
        peer.send(b"From: <a@elsewhere.test>\r\nSubject: half of it\r\n\r\nwor")
        with browser.stream("GET", "/live") as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith("retry:")

            server.set(
                server__hostname="new.y.test",
                server__workers=3,
                limits__errors=3,
                listen__smtp=["127.0.0.1:0", f"127.0.0.1:{another}"],
                listen__pop3s=[],
                check__greylist__enabled=False,
            )
            server.reload(" reloaded ")
            assert is_refused(server.addresses["pop3s"])
            for address in (server.addresses["smtp"], ("127.0.0.1", another)):
                with RawPeer(address) as fresh:
                    assert fresh.greeting.startswith("220 new.y.test ")
            assert set(old_workers) < set(server.workers())
            assert len(server.workers()) == 5

            assert "mail.y.test" in peer.greeting
            peer.send(b"ds\r\n.\r\n")
            assert peer.reply().startswith("250 ")
            assert b"EXISTS" in idle.readline()
            assert any(line.startswith("data: ") for line in lines)
        assert pop.noop().startswith(b"+OK")
        assert browser.get("/mail", follow_redirects=True).status_code == 200
    pop.quit()
    idle.send(b"DONE\r\n")
    while not (line := idle.readline()).startswith(tag):
        assert line
    idle.logout()
    wait_for_workers(server, 3)


def test_what_is_over_its_time_ends_as_at_a_shutdown(server: Server) -> None:
    server.set(server__reload_grace="1s")
    server.reload(" reloaded ")
    idle = imap(server)
    server.set(limits__errors=4)
    server.reload(" reloaded ")
    assert b"BYE" in idle.readline()
    idle.shutdown()


def churn(server: Server, stop: threading.Event, count: list[int]) -> None:
    """Greet, say QUIT, and hear the answer, again and again."""
    while not stop.is_set():
        with RawPeer(server.addresses["smtp"]) as peer:
            assert peer.greeting.startswith("220 "), peer.greeting
            assert peer.say("QUIT").startswith("221 ")
        count[0] += 1


@pytest.mark.parametrize(
    ("reloads", "connections"), [(3, 100), pytest.param(20, 1000, marks=pytest.mark.slow)]
)
def test_short_connections_notice_nothing(server: Server, reloads: int, connections: int) -> None:
    stop, counts, faults = threading.Event(), [[0] for _ in range(4)], []

    def work(count: list[int]) -> None:
        try:
            churn(server, stop, count)
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(count,)) for count in counts]
    for thread in threads:
        thread.start()
    try:
        for number in range(reloads):
            server.set(limits__errors=10 + number, server__workers=1 + number % 3)
            assert "limits.errors" in server.reload(" reloaded ")
        while not faults and sum(count for (count,) in counts) < connections:
            time.sleep(0.05)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not faults
    assert sum(count for (count,) in counts) >= connections


def command(server: Server, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run a command on the server; return its status and its JSON."""
    zajil = [sys.executable, "-m", "zajil", "--config", str(server.configuration)]
    done = subprocess.run([*zajil, *arguments, "--json"], capture_output=True, text=True)
    return done.returncode, json.loads(done.stdout)


def test_the_command_waits_for_the_outcome(server: Server) -> None:
    server.set(limits__errors=7, server__user="nobody")
    status, told = command(server, "reload")
    assert (status, told["ok"], told["changed"]) == (0, True, ["limits.errors"])
    assert told["restart"] == ["server.user"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server.set(listen__pop3=[f"127.0.0.1:{taken.getsockname()[1]}"])
        status, told = command(server, "reload")
    assert (status, told["ok"]) == (1, False)
    assert "the port is in use" in told["error"]
    with RawPeer(server.addresses["smtp"]):
        status, told = command(server, "status")
        assert (status, told["pid"], told["sessions"]["smtp"]) == (0, server.process.pid, 1)
        assert told["store_check"] is None  # the first one is at night
    assert {one["pid"] for one in told["workers"]} == set(server.workers())
    status, told = command(server, "config", "check")
    warnings = {one["option"]: one["reason"] for one in told["warnings"]}
    assert "not by a reload" in warnings["server.user"]
    assert not [one for one in told["mistakes"] if (one["option"] or "").startswith("listen.")]


def test_many_signals_make_few_reloads_and_the_last_file_counts(server: Server) -> None:
    before = len(server.lines)
    for number in range(10):
        server.set(limits__errors=10 + number)
        server.process.send_signal(signal.SIGHUP)
    server.set(server__hostname="last.y.test")
    server.reload("reloaded.*server.hostname")
    with RawPeer(server.addresses["smtp"]) as peer:
        assert peer.greeting.startswith("220 last.y.test ")
    assert sum(" reloaded " in line for line in server.lines[before:]) <= 11


def test_what_cannot_be_used_changes_nothing(server: Server) -> None:
    """A port that is taken, and workers that cannot start; then all is well again."""
    workers = server.workers()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server.set(listen__smtp=["127.0.0.1:0", f"127.0.0.1:{port}"], server__hostname="x.y.test")
        assert "the port is in use" in server.reload("cannot reload")
    whole = server.configuration.read_text("utf-8")
    server.configuration.write_text(f"{whole}\nx = {'[' * 99_999}", "utf-8")
    assert "it is not TOML" in server.reload("cannot reload")
    data_dir = server.configuration.parent / "data"
    assert ask_server(data_dir, {"do": "status"})["restart"] == []
    server.configuration.write_text(whole, "utf-8")
    server.set(listen__smtp=["127.0.0.1:0"])
    changes = data_dir / "run" / "changes"
    aside = changes.rename(changes.parent / "aside")
    changes.write_text("no folder")
    assert "ended with status" in server.reload("cannot reload")
    changes.unlink()
    aside.rename(changes)
    with RawPeer(server.addresses["smtp"]) as peer:
        assert peer.greeting.startswith("220 mail.y.test ")
    assert wait_for_workers(server, 2) == workers
    server.reload("reloaded.*server.hostname")
    with RawPeer(server.addresses["smtp"]) as peer:
        assert peer.greeting.startswith("220 x.y.test ")


def test_a_worker_of_each_generation_may_die(server: Server) -> None:
    """One of the current generation is replaced, a retired one is not."""
    old = server.workers()
    clients = [imap(server) for _ in range(8)]
    server.set(limits__errors=4)
    server.reload(" reloaded ")
    victim = next(pid for pid in server.workers() if pid not in old)
    os.kill(victim, signal.SIGKILL)
    server.wait_for(f"worker ended, starting another.*pid={victim} ")
    for pid in set(old) & set(server.workers()):
        os.kill(pid, signal.SIGKILL)
    for client in clients:
        client.shutdown()
    wait_until_ended(old)
    wait_for_workers(server, 2)


def test_the_supervisor_is_killed_during_a_reload(authority: TestAuthority, tmp_path: Path) -> None:
    """All workers end, and the next start finds nothing in its way."""
    with running(tmp_path / "mail", authority.issue("mail.y.test")) as server:
        server.set(limits__errors=4)
        server.reload("starting new workers")
        workers = server.workers()
        server.process.kill()
        server.process.wait()
        wait_until_ended(workers)
    with serving(server.configuration) as again, RawPeer(again.addresses["smtp"]) as peer:
        assert peer.greeting.startswith("220 ")


def test_a_worker_that_does_not_respond_is_replaced(server: Server) -> None:
    server.set(server__worker_timeout="1s")
    server.reload(" reloaded ")
    stopped, _ = wait_for_workers(server, 2)
    os.kill(stopped, signal.SIGSTOP)
    told = server.wait_for(f"worker ended, starting another.*pid={stopped} ")
    assert "did not respond for 1 seconds" in told


class SlowSink:
    """A server that takes each mail after a while, and notes its message id."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listening.getsockname()[1]

    def serve(self) -> None:
        """Take connections until the socket is shut down, each in a thread."""
        threads = []
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                break
            threads.append(threading.Thread(target=self._talk, args=(client,)))
            threads[-1].start()
        for thread in threads:
            thread.join()

    def _talk(self, client: socket.socket) -> None:
        with client, client.makefile("rwb") as wire:

            def say(text: bytes) -> None:
                wire.write(text + b"\r\n")
                wire.flush()

            say(b"220 sink.test ESMTP")
            for line in wire:
                if line[:4].upper() == b"DATA":
                    say(b"354 go on")
                    for part in wire:
                        if part.lower().startswith(b"subject: "):
                            subject = part[9:].decode().strip()
                        if part == b".\r\n":
                            break
                    time.sleep(0.3)  # the peer decides; a reload comes meanwhile
                    self.taken.append(subject)
                say(b"250 sink.test" if line[:4].upper() != b"QUIT" else b"221 bye")


@contextmanager
def slow_sink() -> Iterator[SlowSink]:
    sink = SlowSink()
    thread = threading.Thread(target=sink.serve)
    thread.start()
    try:
        yield sink
    finally:
        sink.listening.shutdown(socket.SHUT_RDWR)
        sink.listening.close()
        thread.join()


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def test_mails_in_the_queue_are_delivered_once(
    database: str, authority: TestAuthority, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Reloads come while deliveries are under way."""
    mails, url = 24, ""
    if database == "postgresql":
        url = request.getfixturevalue("postgres_url")
    pair = authority.issue("mail.y.test")
    zone: Zone = {"far.test": {"A": ["127.0.0.1"]}}
    with (
        zone_server(zone) as dns,
        slow_sink() as sink,
        running(tmp_path / "mail", pair, store_url=url) as server,
    ):
        server.set(
            dns__nameservers=[dns],
            deliver__port=sink.port,
            deliver__concurrency_per_host=2,
        )
        server.reload(" reloaded ")
        tls = trusting_anybody()
        with RawPeer(server.addresses["submissions"], tls) as peer:
            peer.say("EHLO client.test")
            account = LabAccount("b@y.test", server.login, server.password, admin=True)
            assert peer.log_in(account).startswith("235 ")
            for number in range(mails):
                peer.say("MAIL FROM:<b@y.test>")
                assert peer.say(f"RCPT TO:<x{number}@far.test>").startswith("250 ")
                peer.say("DATA")
                peer.send(f"From: <b@y.test>\r\nSubject: no {number}\r\n\r\n.\r\n".encode())
                assert peer.reply().startswith("250 ")
                if number % 8 == 4:
                    server.set(limits__errors=20 + number)
                    server.reload(" reloaded ")
        server.set(limits__errors=10)
        server.reload(" reloaded ")
        for _ in range(600):
            if len(sink.taken) >= mails:
                break
            time.sleep(0.1)
        server.process.terminate()
        server.process.wait()
    assert sorted(sink.taken) == sorted(f"no {number}" for number in range(mails))
