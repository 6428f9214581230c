"""A real server of two workers: named peers and strangers, LMTP, TLS sessions that resume."""

from __future__ import annotations

import imaplib
import os
import re
import socket
import ssl
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from kit.certificates import TestAuthority
from kit.installation import Installation, running_installation
from kit.load import descendants
from kit.raw_smtp import RawPeer

PROXY, XCLIENT, LENIENT, STRANGER = "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6"
HEADER = b"PROXY TCP4 192.0.2.1 192.0.2.25 4711 25\r\n"


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, authority: TestAuthority
) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("server")
    settings = [
        f'net.proxy_peers=["{PROXY}"]',
        f'net.xclient_peers=["{XCLIENT}"]',
        f'net.bare_lf_peers=["{LENIENT}"]',
        f'listen.lmtp=["127.0.0.1:0", "unix:{folder}/lmtp"]',
    ]
    with running_installation(folder / "zajil", authority.issue("mx.y.test"), *settings) as ours:
        yield ours


def hand_in(peer: RawPeer, token: str, *lines: bytes, end: bytes = b"\r\n") -> str:
    """Send a mail whose lines end so; give the answer to its end."""
    assert peer.say("MAIL FROM:<a@elsewhere.test>").startswith("250 ")
    assert peer.say("RCPT TO:<b@y.test>").startswith("250 ")
    assert peer.say("DATA").startswith("354 ")
    head = b"From: <a@elsewhere.test>", b"Subject: " + token.encode(), b""
    peer.send(b"".join(line + end for line in (*head, *lines)) + b"\r\n.\r\n")
    return peer.reply()


def read(server: Installation, token: str) -> bytes:
    """Give the one message with this subject as it lies in the mailbox."""
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    with imaplib.IMAP4_SSL(*server.address("imaps"), ssl_context=tls) as client:
        client.login(server.login, server.password)
        client.select("INBOX", readonly=True)
        (number,) = client.search(None, "SUBJECT", token)[1][0].split()
        fetched = client.fetch(number, "BODY.PEEK[]")[1][0]
        assert isinstance(fetched, tuple)
        return fetched[1]


def received_from(message: bytes) -> str:
    found = re.search(rb"Received: from [^\[]*\[([^\]]*)\]", message)
    assert found, message
    return found[1].decode()


# ---- named peers ---------------------------------------------------------------------------------


def test_a_named_proxy_is_believed(server: Installation) -> None:
    token = uuid.uuid4().hex
    with RawPeer(server.address("smtp"), source=PROXY, first=HEADER) as peer:
        peer.say("EHLO client.test")
        assert hand_in(peer, token).startswith("250 ")
    assert received_from(read(server, token)) == "192.0.2.1"


@pytest.mark.parametrize("service", ["smtp", "submission", "lmtp"])
def test_a_proxy_header_of_anybody_else_is_not_smtp(server: Installation, service: str) -> None:
    with RawPeer(server.address(service), source=STRANGER, first=HEADER) as peer:
        assert peer.greeting.startswith("220 ")
        assert peer.reply().startswith("5")
        assert peer.rest() == b""


def test_a_named_peer_speaks_for_another(server: Installation) -> None:
    token = uuid.uuid4().hex
    with RawPeer(server.address("smtp"), source=XCLIENT) as peer:
        assert "XCLIENT NAME ADDR " in peer.say("EHLO proxy.test")
        told = peer.say("XCLIENT ADDR=192.0.2.7 NAME=mx.far.test PORT=4711 PROTO=ESMTP")
        assert told.startswith("220 ")
        peer.say("EHLO mx.far.test")
        assert hand_in(peer, token).startswith("250 ")
    assert received_from(read(server, token)) == "192.0.2.7"


def test_anybody_else_speaks_for_himself(server: Installation) -> None:
    with RawPeer(server.address("smtp"), source=STRANGER) as peer:
        assert "XCLIENT" not in peer.say("EHLO stranger.test")
        assert peer.say("XCLIENT ADDR=192.0.2.7").startswith("5")
        assert peer.say("NOOP").startswith("250 ")


def test_bare_lf_of_a_named_peer_is_mended(server: Installation) -> None:
    token = uuid.uuid4().hex
    with RawPeer(server.address("smtp"), source=LENIENT) as peer:
        peer.say("EHLO printer.test")
        answer = hand_in(peer, token, b"Page 1", b"Page 2", end=b"\n")
        assert answer.startswith("250 ")
    message = read(server, token)
    assert b"Page 1\r\nPage 2\r\n" in message
    assert not re.search(rb"(?<!\r)\n", message)


def test_bare_lf_of_anybody_else_is_refused(server: Installation) -> None:
    with RawPeer(server.address("smtp"), source=STRANGER) as peer:
        peer.say("EHLO stranger.test")
        assert hand_in(peer, "never", b"Page 1", end=b"\n").startswith("5")


# ---- LMTP ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 1], ids=["TCP", "Unix"])
def test_lmtp_answers_for_each_recipient(server: Installation, number: int) -> None:
    token = uuid.uuid4().hex
    with RawPeer(server.address("lmtp", number)) as peer:
        assert peer.say("EHLO front.y.test").startswith("5")
        assert peer.say("LHLO front.y.test").startswith("250-")
        assert peer.say("MAIL FROM:<a@elsewhere.test>").startswith("250 ")
        assert peer.say("RCPT TO:<b@y.test>").startswith("250 ")
        assert peer.say("RCPT TO:<nobody@y.test>").startswith("550 ")
        assert peer.say("RCPT TO:<postmaster@y.test>").startswith("250 ")
        assert peer.say("DATA").startswith("354 ")
        peer.send(f"From: <a@elsewhere.test>\r\nSubject: {token}\r\n\r\nwords\r\n.\r\n".encode())
        assert [peer.reply()[:4] for _ in range(2)] == ["250 ", "250 "]
        assert peer.say("QUIT").startswith("221 ")
    assert b"words" in read(server, token)


# ---- TLS sessions --------------------------------------------------------------------------------


def worker_of(server: Installation, sock: socket.socket) -> int:
    """Give the process that holds the other end of a connection."""
    own, peer = (f"{port:04X}" for port in (sock.getsockname()[1], sock.getpeername()[1]))
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    (inode,) = [
        row[9] for row in rows if row[1].endswith(f":{peer}") and row[2].endswith(f":{own}")
    ]
    for pid in descendants([server.pid]):
        for file in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                if os.readlink(file) == f"socket:[{inode}]":
                    return pid
    raise AssertionError("nobody holds the connection")


def shake_hands(
    server: Installation, context: ssl.SSLContext, session: ssl.SSLSession | None
) -> tuple[int, bool, ssl.SSLSession | None]:
    """Give who answered, whether it resumed the session, and the new session."""
    with (
        socket.create_connection(server.address("submissions"), 10) as plain,
        context.wrap_socket(plain, server_hostname="mx.y.test", session=session) as sock,
    ):
        assert sock.recv(200).startswith(b"220 ")  # TLS 1.3: the ticket comes before it
        return worker_of(server, sock), bool(sock.session_reused), sock.session


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_session_resumes_with_any_worker(
    server: Installation, authority: TestAuthority, version: ssl.TLSVersion
) -> None:
    context = authority.client_context()
    context.minimum_version = context.maximum_version = version
    first, resumed, session = shake_hands(server, context, None)
    assert not resumed
    for _ in range(64):  # the kernel spreads connections by chance
        worker, resumed, _ = shake_hands(server, context, session)
        assert resumed
        if worker != first:
            return
    pytest.fail("one worker answered 64 times")
