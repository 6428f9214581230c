"""Programs that are not ours hand letters in; what lies in the mailbox is what they had."""

from __future__ import annotations

import base64
import random
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kit.certificates import TestAuthority
from kit.foreign import need_msmtp_with_scram, need_program, need_swaks_with_tls
from kit.lab_process import LabAccount, LabDomain, LabProcess
from kit.mail_clients import CLIENTS, SPEAK_UTF8, Order
from kit.mailbox import wait_for_message

pytestmark = pytest.mark.interop

Letter = Callable[[Order, str], bytes]
SERVICES = ["submission", "submissions"]


def make_order(
    lab: LabProcess, domain: LabDomain, service: str, folder: Path, sender: int = 0
) -> Order:
    writer, reader = domain.accounts[sender], domain.accounts[1 - sender]
    host, port = domain.address(service)
    return Order(
        host,
        port,
        service == "submissions",
        lab.ca_file,
        writer.login,
        writer.password,
        writer.address,
        reader.address,
        folder / "letter.eml",
    )


def head(order: Order, token: str) -> bytes:
    return (
        "Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n"
        f"From: {order.sender}\r\nTo: {order.recipient}\r\nSubject: {token}\r\n"
        f"Message-ID: <{token}@client.test>\r\nMIME-Version: 1.0\r\n"
    ).encode()


def dotted(order: Order, token: str) -> bytes:
    """Lines that look like the end, and a long one (RFC 5321 section 4.5.2, 4.5.3.1.6)."""
    text = b".\r\n..\r\n.hidden\r\n\r\n" + b"x" * 998 + b"\r\n. \r\nFrom here\r\n\r\n"
    return head(order, token) + b"Content-Type: text/plain\r\n\r\n" + text


def eight_bit(order: Order, token: str) -> bytes:
    kind = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    return head(order, token) + (kind + "السلام عليكم\r\nوعليكم السلام\r\n").encode()


def heavy(order: Order, token: str) -> bytes:
    """An attachment of 1 MiB."""
    lines = base64.encodebytes(random.Random(token).randbytes(1 << 20)).replace(b"\n", b"\r\n")
    return head(order, token) + (
        b'Content-Type: multipart/mixed; boundary="=-b"\r\n\r\n--=-b\r\n\r\nlook\r\n'
        b'--=-b\r\nContent-Type: application/octet-stream; name="noise"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n" + lines + b"--=-b--\r\n"
    )


def read_message(domain: LabDomain, account: LabAccount, token: str) -> bytes:
    with domain.imap(account) as mailbox:
        return wait_for_message(mailbox, "SUBJECT", token)


def is_there(domain: LabDomain, account: LabAccount, token: str) -> bool:
    with domain.imap(account) as mailbox:
        mailbox.select("INBOX", readonly=True)
        return mailbox.search(None, "SUBJECT", token)[1] != [b""]


@pytest.mark.parametrize("letter", [dotted, eight_bit, heavy], ids=lambda make: make.__name__)
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_letter_arrives_byte_for_byte(
    lab: LabProcess, north: LabDomain, tmp_path: Path, client: str, service: str, letter: Letter
) -> None:
    """Below our trace fields nothing is changed (RFC 5321 section 6.4, RFC 6409 section 8)."""
    order = make_order(lab, north, service, tmp_path)
    token = uuid.uuid4().hex
    wanted = letter(order, token)
    order.letter.write_bytes(wanted)
    told = CLIENTS[client](order)
    assert told.went_out, told.words
    got = read_message(north, north.accounts[1], token)
    trace = got[: len(got) - len(wanted)]
    assert got[len(trace) :] == wanted
    assert b" with ESMTPSA\r\n" in trace  # RFC 3848


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("client", SPEAK_UTF8)
def test_an_arabic_address_writes_to_another(
    lab: LabProcess, zajil: LabDomain, tmp_path: Path, client: str, service: str
) -> None:
    """RFC 6531: envelope and header section in UTF-8; Received says so (section 4.3)."""
    order = make_order(lab, zajil, service, tmp_path)
    token = uuid.uuid4().hex
    wanted = eight_bit(order, token)
    order.letter.write_bytes(wanted)
    told = CLIENTS[client](order)
    assert told.went_out, told.words
    got = read_message(zajil, zajil.accounts[1], token)
    assert got.endswith(wanted)
    assert b" with UTF8SMTPSA\r\n" in got[: -len(wanted)]


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("client", CLIENTS)
def test_a_wrong_password_sends_nothing(
    lab: LabProcess, north: LabDomain, tmp_path: Path, client: str, service: str
) -> None:
    """RFC 4954 section 6: 535, which each of them shows or tells as a failed log-in."""
    order = make_order(lab, north, service, tmp_path).but(password="not the password")
    token = uuid.uuid4().hex
    order.letter.write_bytes(dotted(order, token))
    told = CLIENTS[client](order)
    assert not told.went_out
    assert "535" in told.words, told.words
    assert not is_there(north, north.accounts[1], token)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("client", CLIENTS)
def test_another_sender_sends_nothing(
    lab: LabProcess, north: LabDomain, tmp_path: Path, client: str, service: str
) -> None:
    """RFC 6409 section 6.1: an account sends as itself."""
    order = make_order(lab, north, service, tmp_path)
    order = order.but(sender=order.recipient)
    token = uuid.uuid4().hex
    order.letter.write_bytes(dotted(order, token))
    told = CLIENTS[client](order)
    assert not told.went_out
    assert "5.7.1" in told.words, told.words
    assert not is_there(north, north.accounts[1], token)


@pytest.mark.parametrize("service", SERVICES)
def test_scram_is_not_offered_where_ordinary_passwords_are_used(
    north: LabDomain, service: str
) -> None:
    """Programs that choose the strongest mechanism do not fall back when it fails."""
    who = north.accounts[0]
    with north.submission(who) if service == "submission" else north.submissions(who) as client:
        client.ehlo()
        assert client.esmtp_features["auth"].split() == ["PLAIN", "LOGIN"]
    with north.imap(who) as mailbox:
        assert not [word for word in mailbox.capabilities if "SCRAM" in word]


@pytest.fixture(scope="module")
def scram_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabProcess]:
    """Servers that offer SCRAM-SHA-256."""
    need_msmtp_with_scram()
    folder = str(tmp_path_factory.mktemp("scram"))
    process = LabProcess("--dir", folder, "--workers", "1", "--set", "login.scram=true")
    yield process
    process.stop()


@pytest.mark.timeout(240)
@pytest.mark.parametrize("service", SERVICES)
def test_msmtp_proves_an_app_password_without_sending_it(
    scram_lab: LabProcess, tmp_path: Path, service: str
) -> None:
    """RFC 5802, RFC 7677: SCRAM-SHA-256 as GNU SASL speaks it, both proofs looked at."""
    north = scram_lab.domains[0]
    token = uuid.uuid4().hex
    order = make_order(scram_lab, north, service, tmp_path).but(mechanism="SCRAM-SHA-256")
    added = ("app-password", "add", order.login, "--name", token, "--scope", "smtp")
    made = north.command("account", *added)["password"]
    order.letter.write_bytes(dotted(order, token))
    # Of a password that somebody chose nothing is kept that could be proved that way.
    assert "535" in CLIENTS["msmtp"](order).words
    assert "535" in CLIENTS["msmtp"](order.but(password=f"{made}x")).words
    told = CLIENTS["msmtp"](order.but(password=made))
    assert told.went_out, told.words
    read_message(north, north.accounts[1], token)
    (found,) = north.command("journey", "find", "--message-id", f"<{token}@client.test>")["mails"]
    events = north.command("journey", "show", found["mail_id"])["events"]
    (logged_in,) = [event for event in events if event["name"] == "session.login"]
    assert logged_in["mechanism"] == "SCRAM-SHA-256"


@pytest.mark.parametrize("client", CLIENTS)
def test_a_foreign_certificate_sends_nothing(
    lab: LabProcess, north: LabDomain, tmp_path: Path, client: str
) -> None:
    """A client that trusts another authority alone says nothing in the clear."""
    order = make_order(lab, north, "submission", tmp_path)
    order = order.but(ca_file=TestAuthority(tmp_path).ca_file)
    order.letter.write_bytes(dotted(order, "never sent"))
    assert not CLIENTS[client](order).went_out


def test_curl_reads_what_it_wrote(lab: LabProcess, north: LabDomain, tmp_path: Path) -> None:
    order = make_order(lab, north, "submission", tmp_path)
    token = uuid.uuid4().hex
    order.letter.write_bytes(dotted(order, token))
    assert CLIENTS["curl"](order).went_out
    reader = north.accounts[1]
    read_message(north, reader, token)

    def ask(url: str) -> str:
        secure = ["--silent", "--show-error", "--ssl-reqd", "--cacert", str(lab.ca_file)]
        who = ["--user", f"{reader.login}:{reader.password}"]
        return run(need_program("curl"), *secure, *who, url)

    imap = f"imap://{north.described['imap']}"
    number = ask(f"{imap}/INBOX?SUBJECT%20{token}").split()[-1]
    text = ask(f"{imap}/INBOX/;MAILINDEX={number}")
    assert "From here" in text
    assert ask(f"imaps://{north.described['imaps']}/INBOX/;MAILINDEX={number}") == text


def test_swaks_writes_to_another_server(
    lab: LabProcess, north: LabDomain, south: LabDomain, tmp_path: Path
) -> None:
    order = make_order(lab, north, "submission", tmp_path).but(recipient=south.accounts[1].address)
    token = uuid.uuid4().hex
    wanted = dotted(order, token)
    order.letter.write_bytes(wanted)
    told = CLIENTS["swaks"](order)
    assert told.went_out, told.words
    assert read_message(south, south.accounts[1], token).endswith(wanted)


def test_swaks_delivers_over_starttls(north: LabDomain, lab: LabProcess) -> None:
    swaks = need_swaks_with_tls()
    reader = north.accounts[0]
    host, port = north.address("smtp")
    token = uuid.uuid4().hex
    output = run(
        *[swaks, "--server", host, "--port", str(port), "--tls", "--helo", "client.test"],
        *["--tls-verify", "--tls-ca-path", str(lab.ca_file)],
        *["--from", "stranger@elsewhere.test", "--to", reader.address],
        *["--header", f"Subject: {token}"],
    )
    assert "queued as" in output
    assert b" with ESMTPS\r\n" in read_message(north, reader, token)


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
