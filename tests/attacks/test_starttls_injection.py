"""STARTTLS: nothing said in the clear counts behind it, on either side (RFC 3207 section 4.2).

The engines' own answers: `tests/wire/smtp/cve-2011-0411.wire`, `starttls*.wire`,
`tests/wire/imap/starttls-injection.wire`, and `tests/wire/pop3/stls-injection.wire`; under both
event loops: `tests/net/test_smtp_tls.py`; our client's:
`tests/smtp/test_client.py` and `tests/deliver/test_security.py`.
"""

from __future__ import annotations

import smtplib
import socket
import ssl

import pytest

from kit.lab_process import LabDomain
from kit.raw_smtp import RawPeer

SERVICES = ["smtp", "submission"]


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(
    "injected",
    [b"EHLO evil.test\r\n", b"E", b"\r\n", b"RSET\r\nMAIL FROM:<e@evil.test>\r\n", b"\0" * 2000],
    ids=["a command", "a byte", "an empty line", "a mail", "noise"],
)
def test_bytes_behind_starttls_close_the_connection(
    north: LabDomain, service: str, injected: bytes
) -> None:
    """CVE-2011-0411 (Postfix), CVE-2021-38542 and CVE-2022-28220 (James), CVE-2024-34083."""
    with RawPeer(north.address(service)) as peer:
        peer.say("EHLO client.test")
        peer.send(b"STARTTLS\r\n" + injected)
        # Whatever still comes, it is no answer to what was injected, and then nothing comes.
        assert peer.rest() in (b"", b"220 2.0.0 ready to start TLS\r\n")


def test_bytes_behind_starttls_close_the_connection_of_imap(north: LabDomain) -> None:
    """CVE-2021-33515 (Dovecot): the same for those who read."""
    with socket.create_connection(north.address("imap"), 60) as sock:
        assert sock.recv(4096).startswith(b"* OK")
        sock.sendall(b"a STARTTLS\r\nb NOOP\r\n")
        rest = b""
        while data := sock.recv(4096):
            rest += data
    assert b"b OK" not in rest


def test_bytes_behind_stls_close_the_connection_of_pop3(north: LabDomain) -> None:
    """CVE-2021-33515 (Dovecot), for those who fetch their mail; and no password in the clear."""
    with socket.create_connection(north.address("pop3"), 60) as sock:
        assert sock.recv(4096).startswith(b"+OK")
        sock.sendall(b"USER amal\r\n")
        assert sock.recv(4096).startswith(b"-ERR")
        sock.sendall(b"STLS\r\nCAPA\r\n")
        rest = b""
        while data := sock.recv(4096):
            rest += data
    assert b"UIDL" not in rest


def test_tls_begins_anew(north: LabDomain) -> None:
    """RFC 3207 section 4.2: the mail that was begun in the clear is forgotten, and the name."""
    with RawPeer(north.address("smtp")) as peer:
        said = ["EHLO client.test", "MAIL FROM:<a@elsewhere.test>", "RCPT TO:<amal@north.test>"]
        assert all(reply.startswith("250") for reply in peer.say_all(said))
        refused = peer.say("STARTTLS")
        if refused.startswith("503"):  # in the middle of a mail it may be refused
            peer.say("RSET")
            assert peer.say("STARTTLS").startswith("220")
        peer.start_tls(north.tls)
        assert peer.say("RCPT TO:<amal@north.test>").startswith("503")
        assert peer.say("DATA").startswith("503")
        assert peer.say("MAIL FROM:<a@elsewhere.test>").startswith("503")
        offers = peer.say("EHLO client.test")
        assert "STARTTLS" not in offers
        assert peer.say("STARTTLS")[:3] in ("502", "503", "554")


@pytest.mark.parametrize(
    "command",
    ["AUTH PLAIN AGFtYWwAeA==", "AUTH LOGIN", "AUTH PLAIN", "MAIL FROM:<amal@north.test>"],
)
def test_no_secret_is_asked_for_before_tls(north: LabDomain, command: str) -> None:
    """RFC 4954 section 4: neither a challenge nor a mail; nostarttls.secvuln.info."""
    with RawPeer(north.address("submission")) as peer:
        assert "AUTH" not in peer.say("EHLO client.test")
        assert peer.say(command)[:3] in ("502", "503", "504", "530", "538")


def test_a_refused_handshake_is_not_followed_by_plain_text(north: LabDomain) -> None:
    with RawPeer(north.address("submission")) as peer:
        peer.say("EHLO client.test")
        assert peer.say("STARTTLS").startswith("220")
        peer.send(b"EHLO still.in.the.clear\r\n" * 4)
        assert b"250" not in peer.rest()


@pytest.mark.parametrize(
    "request_line", ["POST / HTTP/1.1", "GET / HTTP/1.1", "HELP x\r\nGET / HTTP/1.0"]
)
def test_a_browser_is_no_client(north: LabDomain, request_line: str) -> None:
    """ALPACA: a request meant for a web server of the same name ends the connection."""
    with RawPeer(north.address("submissions"), north.tls) as peer:
        body = "Host: mx.north.test\r\nX: \r\nEHLO evil.test\r\nAUTH LOGIN\r\n"
        peer.send(f"{request_line}\r\n{body}".encode())
        rest = peer.rest()
    assert b"250" not in rest
    assert b"334" not in rest


def test_another_protocol_of_alpn_never_speaks_smtp_for_http(north: LabDomain) -> None:
    """RFC 7301: whoever asks for http/1.1 is not told that this is it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1", "h2"])
    with socket.create_connection(north.address("submissions"), 60) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="mx.north.test") as sock:
                assert sock.selected_alpn_protocol() is None
        except ssl.SSLError:
            pass  # RFC 7301 section 3.2: no_application_protocol is an answer too


def test_a_flood_of_server_names_leaves_nothing_behind(north: LabDomain) -> None:
    """CVE-2017-15130 (Dovecot): a name in SNI costs no memory that stays."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for number in range(60):
        name = f"{'x' * 60}.{number}.{'y' * 60}.evil.test"
        with (
            socket.create_connection(north.address("submissions"), 60) as plain,
            context.wrap_socket(plain, server_hostname=name) as sock,
        ):
            assert sock.recv(100).startswith(b"220")
    with RawPeer(north.address("submissions"), north.tls) as peer:
        assert peer.say("NOOP").startswith("250")


@pytest.mark.parametrize("service", SERVICES)
def test_a_log_in_does_not_outlive_its_connection(north: LabDomain, service: str) -> None:
    with smtplib.SMTP(*north.address(service), "client.test", timeout=60) as client:
        client.starttls(context=north.tls)
        client.ehlo()
        assert client.has_extn("auth") == (service == "submission")
