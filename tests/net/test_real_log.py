"""The log of a real server: every event has its line, and fail2ban finds what it must."""

from __future__ import annotations

import configparser
import functools
import imaplib
import json
import re
import shutil
import smtplib
import ssl
import subprocess
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from kit.certificates import TestAuthority
from kit.installation import Installation, running_installation
from kit.raw_smtp import RawPeer

PAGE = (Path(__file__).parents[2] / "docs" / "run" / "log.md").read_text()
LINE = re.compile(r"(\S+Z) (debug|info|warning|error) (\"(?:[^\"\\]|\\.)*\"|[^\s\"]+)(.*)\Z")
PAIR = re.compile(r' ([a-z_0-9]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)')
FORGED = "x\r\n2026-11-28T09:30:00.125Z info session.login_failed peer=198.51.100.1 \u202e"
PEER, MEMBER, GUESSER = "127.0.0.11", "127.0.0.12", "127.0.0.13"


def use(server: Installation) -> None:
    """Do what an operator wants to read of."""
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    with RawPeer(server.address("smtp"), source=PEER) as peer:
        peer.say("EHLO there.test")
        peer.say("MAIL FROM:<a@elsewhere.test>")
        peer.say("RCPT TO:<nobody@y.test>")
        peer.say("RCPT TO:<someone@elsewhere.test>")
        peer.say("RSET")
        peer.say("MAIL FROM:<a@elsewhere.test>")
        assert peer.say("RCPT TO:<b@y.test>").startswith("250 ")
        peer.say("DATA")
        peer.send(b"From: <a@elsewhere.test>\r\nMessage-ID: <1@x>\r\nSubject: s\r\n\r\nb\r\n.\r\n")
        assert peer.reply().startswith("250 ")
        peer.say("MAIL FROM:<a@elsewhere.test>")
        peer.say("RCPT TO:<b@y.test>")
        peer.say("DATA")
        peer.send(b"From: <a@elsewhere.test>\r\nSubject: s\r\n\r\na bare\nline end\r\n.\r\n")
        assert peer.reply().startswith("550 5.5.2")
        peer.say("QUIT")
    with RawPeer(server.address("submissions"), tls, source=GUESSER) as peer:
        peer.say("EHLO there.test")
        secret = b64encode(f"\0{FORGED}\0wrong".encode()).decode()
        assert peer.say(f"AUTH PLAIN {secret}").startswith("535 ")
    with imaplib.IMAP4_SSL(*server.address("imaps"), ssl_context=tls) as imap:
        with suppress(imaplib.IMAP4.error):
            imap.login("b@y.test", "a wrong password")
        imap.login(server.login, server.password)
    with smtplib.SMTP_SSL(
        *server.address("submissions"), context=tls, source_address=(MEMBER, 0)
    ) as client:
        client.login(server.login, server.password)
        client.sendmail("b@y.test", ["b@y.test"], "From: b@y.test\r\nSubject: own\r\n\r\nx\r\n")
    host, port = server.address("web")
    with httpx.Client(base_url=f"http://{host}:{port}") as browser:
        for password in ("wrong", server.password):
            page = browser.get("/login").text
            token = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
            assert token
            form = {"csrf": token[1], "login": server.login, "password": password}
            browser.post("/login", data=form)


@pytest.fixture(scope="module")
def logs(
    tmp_path_factory: pytest.TempPathFactory, authority: TestAuthority
) -> Callable[[str], list[str]]:
    """Give a function that returns all lines of a server that has ended, by the format."""

    @functools.cache
    def lines_of(form: str) -> list[str]:
        folder = tmp_path_factory.mktemp("log")
        level, written = ("debug", "text") if form == "debug" else ("info", form)
        settings = [f"log.level={level}", f"log.format={written}"]
        certificate = authority.issue("mx.y.test")
        with running_installation(folder / "z", certificate, *settings, log=folder / "log") as it:
            use(it)
        lines = (folder / "log").read_text().splitlines()
        assert not [line for line in lines if it.password in line]
        return lines

    return lines_of


@pytest.fixture(params=["text", "json", "debug"])
def log(request: pytest.FixtureRequest, logs: Callable[[str], list[str]]) -> tuple[str, list[str]]:
    """Give the format, and all lines."""
    return request.param, logs(request.param)


def read(form: str, line: str) -> dict[str, str]:
    """Give a line as ``level``, ``event`` and its values."""
    assert line.isprintable(), line
    if form == "json":
        return {key: str(value) for key, value in json.loads(line).items()}
    found = LINE.match(line)
    assert found, line
    assert PAIR.sub("", found[4]) == "", line
    values = {
        key: json.loads(re.sub(r"\\x(..)", r"\\u00\1", value)) if value[:1] == '"' else value
        for key, value in PAIR.findall(found[4])
    }
    return {"level": found[2], "event": found[3], **values}


def test_every_event_has_its_line(log: tuple[str, list[str]]) -> None:
    form, lines = log
    items = [read(form, line) for line in lines]

    def of(event: str, *keys: str) -> list[tuple[str, ...]]:
        return [tuple(item[key] for key in keys) for item in items if item["event"] == event]

    assert of("mail.recipient_refused", "peer", "service", "from", "to", "reply") == [
        (PEER, "smtp", "a@elsewhere.test", to, reply)
        for to, reply in (
            ("nobody@y.test", "550 5.1.1 unknown recipient address"),
            ("someone@elsewhere.test", "550 5.7.1 relay access denied"),
        )
    ]
    ((mail_id, *accepted), (own_id, *submitted)) = of(
        "mail.accepted", "id", "peer", "service", "from", "recipients"
    )
    assert accepted == [PEER, "smtp", "a@elsewhere.test", "1"]
    assert submitted == [MEMBER, "submissions", "b@y.test", "1"]
    assert [
        (to, mailbox)
        for one, to, mailbox in of("deliver.filed", "id", "to", "mailbox")
        if one in (mail_id, own_id)
    ] == [("b@y.test", "INBOX")] * 2
    ((refused_id, *refused),) = of("mail.refused", "id", "peer", "from", "reply")
    assert refused == [
        PEER,
        "a@elsewhere.test",
        "550 5.5.2 bare CR or LF is not allowed, lines must end with CRLF",
    ]
    assert refused_id
    assert of("session.login_failed", "peer", "service", "login") == [
        (GUESSER, "submissions", FORGED),
        ("127.0.0.1", "imaps", "b@y.test"),
        ("127.0.0.1", "web", "b"),
    ]
    assert {(service, login) for service, login in of("session.login", "service", "login")} == {
        ("imaps", "b"),
        ("submissions", "b"),
        ("web", "b"),
    }


def test_at_debug_dialogues_are_told_without_secrets(log: tuple[str, list[str]]) -> None:
    form, lines = log
    items = [read(form, line) for line in lines]

    def said(event: str) -> list[str]:
        return [item["said"] for item in items if item["event"] == event]

    if form != "debug":
        assert said("smtp.dialogue") == said("imap.dialogue") == []
        return
    smtp, imap = said("smtp.dialogue"), said("imap.dialogue")
    assert "C: RCPT TO:<nobody@y.test>" in smtp
    assert "S: 550 5.1.1 unknown recipient address" in smtp
    assert "C: AUTH" in smtp
    assert any(line.endswith(" LOGIN (hidden)") for line in imap)
    assert any(" OK " in line for line in imap)
    text = "\n".join(lines)
    for secret in ("a bare", "line end\\r", "a wrong password", "Subject:"):
        assert secret not in text


def fail2ban_patterns() -> list[str]:
    """Give what fail2ban makes of the filter in the operator's page."""
    text = re.search(r"filter\.d/zajil\.conf`:\n\n```ini\n(.*?)```", PAGE, re.DOTALL)
    assert text
    parser = configparser.ConfigParser()
    parser.read_string(text[1])
    section = parser["Definition"]
    address = r"(?P<ip>(?:\d{1,3}\.){3}\d{1,3}|[0-9a-fA-F:]+)"
    return [
        pattern.strip().replace("<ADDR>", address) for pattern in section["failregex"].splitlines()
    ]


def found_by_filter(lines: list[str]) -> set[str]:
    """Give the addresses that the filter finds."""
    matches = [re.match(pattern, line) for line in lines for pattern in fail2ban_patterns()]
    return {match["ip"] for match in matches if match}


def test_the_documented_filter_finds_who_is_to_be_banned(log: tuple[str, list[str]]) -> None:
    form, lines = log
    if form == "json":
        pytest.skip("the filter reads text")
    everybody = {PEER, GUESSER, "127.0.0.1"}
    assert found_by_filter(lines) == everybody
    assert found_by_filter([f"mx zajil[123]: {line}" for line in lines]) == everybody
    # fail2ban takes the time out of a line before it looks.
    assert found_by_filter([line.partition("Z ")[2] for line in lines]) == everybody


@pytest.mark.skipif(shutil.which("fail2ban-regex") is None, reason="needs fail2ban")
def test_fail2ban_itself_reads_the_filter(log: tuple[str, list[str]], tmp_path: Path) -> None:
    form, lines = log
    if form == "json":
        pytest.skip("the filter reads text")
    text = re.search(r"filter\.d/zajil\.conf`:\n\n```ini\n(.*?)```", PAGE, re.DOTALL)
    assert text
    (tmp_path / "zajil.conf").write_text(text[1])
    (tmp_path / "log").write_text("".join(f"{line}\n" for line in lines))
    command = ["fail2ban-regex", str(tmp_path / "log"), str(tmp_path / "zajil.conf")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert re.search(r"Lines: \d+ lines, 0 ignored, 5 matched", done.stdout), done.stdout
