"""``zajil journey``: refused mail and sessions without a mail are found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.command_line import Run, as_json
from kit.store import NOW_MS, open_test_store
from zajil.core.address import parse_address
from zajil.core.ids import MailId, SessionId
from zajil.store.engine.open import Store
from zajil.store.mail.refusals import RefusedMail, record_refused
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.tracking.events import (
    ConnectionsRefused,
    LoginFailed,
    MailRefused,
    SessionClosed,
    SessionOpened,
)

SESSION = SessionId("01m8session0000000000000")
MAIL = MailId("01m8refused00000000000000000")


@pytest.fixture
def store(server: Path) -> Iterator[Store]:
    opened = open_test_store("sqlite", server.parent / "data")
    yield opened
    opened.close_now()


def test_a_refused_mail_is_found_and_told(run: Run, store: Store) -> None:
    sender, recipient = parse_address("a@elsewhere.test"), parse_address("amal@north.test")
    reply = "550 5.7.1 message rejected by policy"
    events = (MailRefused(NOW_MS, reply),)
    store.write_now(
        record_refused,
        RefusedMail(
            mail_id=MAIL,
            session_id=SESSION,
            at_ms=NOW_MS,
            reverse_path=sender,
            header_from="",
            message_id="<1@x>",
            size=5,
            recipients=((recipient, reply),),
            events=events,
        ),
    )
    for arguments in (
        ("--from", "a@elsewhere.test"),
        ("--to", "amal@north.test"),
        ("--since", "2020-01-01T00:00"),
        ("--refused",),
    ):
        _, out, _ = run("journey", "find", *arguments)
        assert out.splitlines()[1].split()[0] == MAIL
        assert out.rstrip().endswith("1 refused")
    assert as_json(run, "journey", "find", "--refused")["mails"][0]["states"] == {"refused": 1}
    _, out, _ = run("journey", "show", MAIL)
    assert f"amal@north.test  refused: {reply}" in out


def test_sessions_without_a_mail(run: Run, store: Store) -> None:
    hostile = "amal\x1b[2J\N{RIGHT-TO-LEFT OVERRIDE}"
    rows = (
        (LoginFailed(1, hostile, "PLAIN", "wrong login or password", "imaps", "192.0.2.7"),),
        (ConnectionsRefused(2, "smtp", "192.0.2.8", "too many sessions in all", 12, 1),),
        (SessionOpened(3, "smtp", "192.0.2.9:25", ""), SessionClosed(3, "timeout", 0)),
        (SessionOpened(4, "smtp", "192.0.2.9:25", ""), SessionClosed(4, "quit", 2)),
    )
    for events in rows:
        store.write_now(record_events, EventBatch(SESSION, None, events[0].at_ms, events))
    found = as_json(run, "journey", "sessions")["sessions"]
    assert [(one["peer"], one["happened"]) for one in found] == [
        ("192.0.2.9:25", ["closed: timeout"]),
        ("192.0.2.8", ["12 connections refused: too many sessions in all"]),
        ("192.0.2.7", ["log-in failed: wrong login or password"]),
    ]
    _, out, _ = run("journey", "sessions", "AMAL")
    assert len(out.splitlines()) == 2
    assert "\x1b" not in out
    assert len(run("journey", "sessions", "--limit", "1")[1].splitlines()) == 2
    assert run("journey", "sessions", "--since", "soon")[0] == 2
