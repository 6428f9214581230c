"""A peer, or a full disk, costs what it may and no more; who comes after is served.

In one process, under both event loops: `tests/net/test_smtp_limits.py` (too many connections, too
many errors, no free file, a handshake that never comes); `kill -9` while mail flows:
`tests/journeys/test_worker_death.py`; a store that is away: `tests/receive/test_session.py`.
Here: processes, their limits set from outside by prlimit(2).
"""

from __future__ import annotations

import os
import resource
import select
import signal
import smtplib
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from kit.lab_process import LabDomain, LabProcess
from kit.load import tree_cpu
from kit.mailbox import wait_for_message
from kit.raw_smtp import RawPeer

pytestmark = [pytest.mark.timeout(240)]

IDLE_SECONDS = 5
MAIL_SECONDS = 8
SESSIONS = 12
BEGIN = ["EHLO client.test", "MAIL FROM:<a@elsewhere.test>", "RCPT TO:<amal@north.test>"]
GUARD_SECONDS = 60.0
GRACE_SECONDS = 100.0
"""server.shutdown_grace."""


@pytest.fixture(scope="module")
def small_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    """Servers of one worker with narrow limits."""
    options = [
        f"server.shutdown_grace={GRACE_SECONDS:.0f}s",
        f"limits.idle={IDLE_SECONDS}s",
        f"limits.data_idle={IDLE_SECONDS}s",
        f"limits.mail_time={MAIL_SECONDS}s",
        f"limits.handshake={IDLE_SECONDS}s",
        "limits.commands=0",
        f"limits.sessions_per_address={SESSIONS}",
        "limits.memory=64KiB",
    ]
    lab = LabProcess(
        "--dir",
        str(tmp_path_factory.mktemp("lab")),
        "--workers",
        "1",
        *(part for one in options for part in ("--set", one)),
    )
    try:
        yield lab
    finally:
        lab.stop()


@pytest.fixture(scope="module")
def small(small_lab: LabProcess) -> LabDomain:
    """The first of them."""
    return small_lab.domains[0]


def workers(domain: LabDomain) -> list[int]:
    children = Path(f"/proc/{domain.pid}/task/{domain.pid}/children").read_text()
    return [int(pid) for pid in children.split()]


def memory_of(pid: int) -> int:
    """Give the resident bytes of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def limited(pid: int, which: int, soft: int) -> Iterator[None]:
    """Narrow one limit of a process that runs."""
    before = resource.prlimit(pid, which)
    resource.prlimit(pid, which, (soft, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, which, before)


def letter(token: str, size: int = 100) -> bytes:
    head = f"From: <a@elsewhere.test>\r\nSubject: {token}\r\n\r\n".encode()
    return head + b"x" * 70 + b"\r\n" + (b"y" * 70 + b"\r\n") * (size // 72)


def send(domain: LabDomain, message: bytes) -> tuple[int, bytes]:
    """Hand a mail to port 25; give the answer to its end."""
    with domain.smtp() as client:
        client.ehlo()
        client.mail("a@elsewhere.test")
        code, text = client.rcpt(domain.accounts[0].address)
        return client.data(message) if code == 250 else (code, text)


def arrives(domain: LabDomain, token: str) -> bytes:
    with domain.imap(domain.accounts[0]) as mailbox:
        return wait_for_message(mailbox, "SUBJECT", token)


def subjects(domain: LabDomain, token: str) -> int:
    with domain.imap(domain.accounts[0]) as mailbox:
        mailbox.select("INBOX", readonly=True)
        return len(mailbox.search(None, "SUBJECT", token)[1][0].split())


# ---- slow loris ---------------------------------------------------------------------------------


def test_silence_is_ended(small: LabDomain) -> None:
    with ExitStack() as stack:
        addresses = [small.address(service) for service in ("smtp", "submission")]
        peers = [stack.enter_context(RawPeer(address)) for address in addresses]
        for peer in peers:
            assert peer.reply().startswith("421 4.4.2")
            assert peer.reply() == ""


def test_a_handshake_that_never_comes_is_ended(small: LabDomain) -> None:
    with ExitStack() as stack:
        addresses = [small.address(service) for service in ("submissions", "imaps", "pop3s")]
        silent = [
            stack.enter_context(socket.create_connection(address, GUARD_SECONDS))
            for address in addresses
        ]
        for sock in silent:
            with suppress(ConnectionResetError):
                assert sock.recv(100) == b""


def test_slow_loris_a_command_that_never_ends(small: LabDomain) -> None:
    """A byte now and then is no command: the time for a whole one counts."""
    start = time.monotonic()
    with RawPeer(small.address("smtp")) as peer:
        peer.say("EHLO client.test")
        assert dribble(peer.sock, b"N")
        assert peer.reply().startswith("421 4.4.2")
    assert time.monotonic() - start > IDLE_SECONDS


def test_slow_loris_a_message_that_never_ends(small: LabDomain) -> None:
    """Line after line is progress, and ends all the same: a mail has its time as a whole."""
    start = time.monotonic()
    with RawPeer(small.address("smtp")) as peer:
        peer.say_all([*BEGIN, "DATA"])
        assert dribble(peer.sock, b"line\r\n")
        assert peer.reply().startswith("421 4.4.2")
    assert time.monotonic() - start > MAIL_SECONDS


def test_slow_loris_a_chunk_that_never_comes(small: LabDomain) -> None:
    """RFC 3030: who promises octets and sends none waits no longer than others."""
    with RawPeer(small.address("smtp")) as peer:
        peer.say_all(BEGIN)
        peer.send(b"BDAT 1000000 LAST\r\n")
        assert peer.reply().startswith("421 4.4.2")


def dribble(sock: socket.socket, piece: bytes) -> bool:
    """Send it again and again, a tenth of a second apart, until an answer comes."""
    deadline = time.monotonic() + GUARD_SECONDS
    while time.monotonic() < deadline:
        sock.sendall(piece)
        if select.select([sock], [], [], 0.1)[0]:
            return True
    return False


def test_while_some_are_silent_others_are_served(small: LabDomain) -> None:
    token = uuid.uuid4().hex
    peers = [RawPeer(small.address("smtp")) for _ in range(SESSIONS - 2)]
    try:
        assert send(small, letter(token))[0] == 250
    finally:
        for peer in peers:
            peer.sock.close()
    arrives(small, token)


# ---- caps ---------------------------------------------------------------------------------------


def test_one_connection_too_many_is_refused_and_the_others_go_on(small: LabDomain) -> None:
    """CVE-2026-33263: over the cap there is an answer, not a crash."""
    peers: list[RawPeer] = []
    pid = workers(small)[0]
    try:
        while not peers or peers[-1].greeting.startswith("220"):
            assert len(peers) <= SESSIONS, "there is no cap"
            peers.append(RawPeer(small.address("smtp")))
        assert peers[-1].greeting.startswith("421 4.7.0")
        assert peers[0].say("NOOP").startswith("250")
    finally:
        for peer in peers:
            peer.sock.close()
    assert workers(small) == [pid]
    with RawPeer(small.address("smtp")) as peer:
        assert peer.say("EHLO client.test").startswith("250")


def test_a_line_without_end_is_cut(small: LabDomain) -> None:
    """No line fills the memory: RFC 5321 section 4.5.3.1.4."""
    before = memory_of(workers(small)[0])
    with RawPeer(small.address("smtp")) as peer:
        answer = b""
        try:
            for _ in range(200):
                peer.send(b"X" * 65536)
        except OSError:
            pass
        answer = peer.rest() if peer.sock.fileno() >= 0 else b""
        assert answer == b"" or answer.startswith(b"500 ")
    assert memory_of(workers(small)[0]) - before < 8 << 20


def test_who_does_not_read_our_answers_is_not_read_any_more(small: LabDomain) -> None:
    """Pipelined commands whose replies nobody takes: our memory stays as it is."""
    before = memory_of(workers(small)[0])
    with RawPeer(small.address("smtp")) as peer:
        peer.say("EHLO client.test")
        peer.sock.setblocking(False)
        sent, block = 0, b"NOOP\r\n" * 10_000
        while sent < 64 << 20:
            if not select.select([], [peer.sock], [], 1.0)[1]:
                break
            try:
                sent += peer.sock.send(block)
            except (BrokenPipeError, ConnectionResetError):
                break  # hung up: an answer too
        assert sent < 64 << 20
        assert memory_of(workers(small)[0]) - before < 16 << 20


def test_compression_is_not_offered(small: LabDomain) -> None:
    """A bomb needs somebody who unpacks (RFC 4978)."""
    with small.imap(small.accounts[0]) as mailbox:
        assert not any("COMPRESS" in word for word in mailbox.capabilities)


# ---- the machine is full ------------------------------------------------------------------------


def test_no_free_file_stops_nothing_for_ever_and_costs_no_time(small: LabDomain) -> None:
    """Stalwart 0.16.12: an accept loop must not spin while there is no free file (EMFILE)."""
    (pid,) = workers(small)
    # Its threads' connections to the store are open from now on.
    assert send(small, letter(uuid.uuid4().hex))[0] == 250
    with (
        limited(pid, resource.RLIMIT_NOFILE, 3),
        socket.create_connection(small.address("smtp"), GUARD_SECONDS) as waiting,
    ):
        cpu, start = tree_cpu([pid]).total, time.monotonic()
        # Nobody accepts it: the kernel keeps it.
        assert not select.select([waiting], [], [], 3.0)[0]
        assert tree_cpu([pid]).total - cpu < 0.5 * (time.monotonic() - start)
        _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (most, most))
        assert waiting.recv(100).startswith(b"220 ")
    assert workers(small) == [pid]


@pytest.mark.parametrize("size", [100, 100_000, 1_000_000], ids=["small", "a file", "large"])
def test_a_full_disk_is_4yz_and_never_250(small: LabDomain, size: int) -> None:
    """Design section 4: what cannot be written was not accepted; the peer keeps it."""
    (pid,) = workers(small)
    token = uuid.uuid4().hex
    with limited(pid, resource.RLIMIT_FSIZE, 1):
        try:
            code, text = send(small, letter(token, size))
        except smtplib.SMTPServerDisconnected:
            code, text = 421, b"4.3.0 hung up"
        assert 400 <= code < 500, (code, text)
    assert subjects(small, token) == 0
    code, text = send(small, letter(token, size))
    assert code == 250, text
    assert arrives(small, token).endswith(letter(token, size))
    assert subjects(small, token) == 1


# ---- ends ---------------------------------------------------------------------------------------


def test_a_worker_that_dies_keeps_no_lock(small: LabDomain) -> None:
    """Stalwart 0.16.16: who died in the middle of a mail stops nobody."""
    (pid,) = workers(small)
    token = uuid.uuid4().hex
    with RawPeer(small.address("smtp")) as peer:
        peer.say_all([*BEGIN, "DATA"])
        peer.send(letter(token))
        os.kill(pid, signal.SIGKILL)
        assert peer.rest() == b""
    assert send(small, letter(f"{token}-2"))[0] == 250
    arrives(small, f"{token}-2")
    assert subjects(small, f"{token}-2") == 1


def test_sigterm_lets_a_mail_in_flight_end(small_lab: LabProcess) -> None:
    """Design section 4: what gets a 250 while we end is there. The last test here."""
    token = uuid.uuid4().hex
    domain = small_lab.domains[0]
    status: list[int] = []
    stopping = threading.Thread(target=lambda: status.append(small_lab.stop(signal.SIGTERM)))
    with RawPeer(domain.address("smtp")) as peer, RawPeer(domain.address("smtp")) as idle:
        peer.say_all([*BEGIN, "DATA"])
        peer.send(letter(token))
        start = time.monotonic()
        stopping.start()
        # Who has no mail in flight is told to go: then it has begun to end.
        assert idle.reply().startswith("421 4.3.2")
        peer.send(b"last line\r\n.\r\n")
        answer = peer.reply()
        assert answer.startswith("250")
        assert peer.reply()[:9] in ("", "421 4.3.2")
        # Nobody waits for the grace period who has nothing to wait for.
        stopping.join()
    assert status == [0]
    assert time.monotonic() - start < GRACE_SECONDS
    mail_id = answer.rpartition(" ")[2]
    export = [
        sys.executable,
        "-m",
        "zajil",
        "--config",
        domain.config,
        "message",
        "export",
        mail_id,
    ]
    stored = subprocess.run(export, capture_output=True, check=True).stdout
    assert stored.endswith(letter(token) + b"last line\r\n")
