"""What the log says of events."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.journeys import MAIL, SESSION, example_event
from zajil.tracking import events as tracked
from zajil.tracking.codec import ALL_EVENTS
from zajil.tracking.events import TrackingEvent
from zajil.tracking.log_line import LogLine
from zajil.tracking.log_view import LogView

PAGE = (Path(__file__).parents[2] / "docs" / "run" / "log.md").read_text()
OPENED = tracked.SessionOpened(1, "smtp", "192.0.2.1:4711", "192.0.2.25:25")
SENDER = tracked.SenderNamed(1, "noor@south.test", "")
REFUSED = tracked.RecipientRefused(2, "nobody@north.test", "550 5.1.1 unknown recipient address")


def lines_of(view: LogView, *events: TrackingEvent, mail_id: str | None = None) -> list[LogLine]:
    return list(view.lines(SESSION, mail_id, events))


def only(
    view: LogView, *events: TrackingEvent, mail_id: str | None = None
) -> tuple[str, dict[str, object]]:
    (line,) = lines_of(view, *events, mail_id=mail_id)
    return f"{line.level} {line.event}", dict(line.values)


def test_an_accepted_mail_is_one_line() -> None:
    line = only(
        LogView(),
        OPENED,
        SENDER,
        tracked.RecipientNamed(2, "amal@north.test", "local"),
        tracked.MessageReceived(3, 512, "noor@south.test", "<1@south.test>"),
        tracked.CheckDone(3, "spf", "pass", "", ()),
        tracked.MailAccepted(4, 1),
        mail_id=MAIL,
    )
    assert line == (
        "info mail.accepted",
        {
            "peer": "192.0.2.1",
            "service": "smtp",
            "id": MAIL,
            "from": "noor@south.test",
            "recipients": 1,
            "size": 512,
            "message_id": "<1@south.test>",
        },
    )


def test_later_mails_of_a_session_name_its_peer_and_login() -> None:
    view = LogView()
    lines_of(view, OPENED, tracked.LoggedIn(1, "amal", "PLAIN"))
    _, values = only(view, tracked.MailAccepted(9, 2), mail_id=MAIL)
    assert (values["peer"], values["login"], values["from"]) == ("192.0.2.1", "amal", "<>")
    lines_of(view, tracked.SessionClosed(10, "quit", 2))
    _, values = only(view, tracked.MailAccepted(11, 2), mail_id=MAIL)
    assert "peer" not in values


@pytest.mark.parametrize(
    ("peer", "shown"),
    [
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("192.0.2.1", "192.0.2.1"),
        ("local", "local"),
    ],
)
def test_the_peer_stands_without_its_port(peer: str, shown: str) -> None:
    opened = tracked.SessionOpened(1, "lmtp", peer, "")
    _, values = only(LogView(), opened, SENDER, REFUSED)
    assert next(iter(values.items())) == ("peer", shown)


def test_a_failed_login_brings_its_peer() -> None:
    """It is recorded at once, before the session is."""
    failed = tracked.LoginFailed(1, "amal", "PLAIN", "wrong", "imaps", "2001:db8::1")
    assert only(LogView(), failed) == (
        "info session.login_failed",
        {
            "peer": "2001:db8::1",
            "service": "imaps",
            "login": "amal",
            "mechanism": "PLAIN",
            "reason": "wrong",
        },
    )


def test_a_refused_mail_says_why() -> None:
    verdict = tracked.VerdictReached(2, None, "reject", 9.0, ("the heaviest reason", "another"))
    other = tracked.VerdictReached(2, "amal@north.test", "junk", 9.0, ("of one account",))
    refused = tracked.MailRefused(3, "550 5.7.1 message rejected by policy")
    name, values = only(LogView(), OPENED, SENDER, verdict, other, refused, mail_id=MAIL)
    assert (name, values["id"], values["reason"]) == (
        "info mail.refused",
        MAIL,
        "the heaviest reason",
    )


def test_a_flood_becomes_a_few_lines_and_a_count() -> None:
    view = LogView()
    count = sum(len(lines_of(view, OPENED, REFUSED)) for _ in range(500))
    assert count == 20
    other = tracked.SessionOpened(1, "smtp", "192.0.2.2:1", "")
    assert len(list(view.lines("another", None, (other, REFUSED)))) == 1
    assert view.owes_lines
    (left_out,) = view.finish(70_000)
    assert left_out.event == "log.left_out"
    assert left_out.values == {"peer": "192.0.2.1", "event": "mail.recipient_refused", "count": 480}
    assert not view.owes_lines


def test_floods_of_many_peers_do_not_grow_without_end() -> None:
    view = LogView()
    lines = 0
    for number in range(5000):
        opened = tracked.SessionOpened(1, "smtp", f"10.0.{number // 250}.{number % 250}:1", "")
        lines += len(list(view.lines(f"s{number}", None, (opened, REFUSED))))
    assert lines == 2000 + 20


def test_want_of_space_is_told_once_and_then_now_and_then() -> None:
    view = LogView()

    def refused(at_ms: int) -> list[LogLine]:
        fault = tracked.FaultHappened(at_ms, "7 MB free in /data", "Traceback")
        reply = "452 4.3.1 insufficient system storage, try again later"
        return lines_of(view, OPENED, fault, tracked.MailRefused(at_ms, reply), mail_id=MAIL)

    told = [line for at_ms in range(1000, 1_300_000, 1000) for line in refused(at_ms)]
    assert [(line.level, line.event) for line in told] == [("error", "store.no_space")] * 3
    assert told[0].values["reason"] == "7 MB free in /data"
    assert [line.values["refused"] for line in told] == [1, 601, 1201]
    again = lines_of(view, OPENED, tracked.MailAccepted(1_300_000, 1), mail_id=MAIL)
    assert [line.event for line in again] == ["store.space_again", "mail.accepted"]
    assert [line.event for line in refused(1_400_000)] == ["store.no_space"]


def test_at_debug_a_dialogue_has_a_line_for_each_of_its_own() -> None:
    attempt = tracked.AttemptMade(1, "mx", "192.0.2.9:25", None, ("S: 220 hi", "C: EHLO us"), "ok")
    assert lines_of(LogView(), attempt) == []
    lines = lines_of(LogView(is_debug=True), attempt, mail_id=MAIL)
    assert [line.event for line in lines] == ["deliver.attempt", *["deliver.dialogue"] * 2]
    assert [line.values.get("said") for line in lines[1:]] == ["S: 220 hi", "C: EHLO us"]


@settings(max_examples=20)
@given(st.data())
@pytest.mark.parametrize("name", sorted(ALL_EVENTS))
def test_every_event_can_be_told_and_is_documented(name: str, data: st.DataObject) -> None:
    """Also one that is added tomorrow; what is told at info stands in the operator's page."""
    event = example_event(ALL_EVENTS[name], data.draw)
    for line in lines_of(LogView(), event, mail_id=MAIL):
        assert f"| `{line.event}` |" in PAGE
        keys = documented_keys(line.event)
        assert keys >= set(line.values), set(line.values) - keys
    assert lines_of(LogView(is_debug=True), OPENED, event, mail_id=MAIL)


def documented_keys(name: str) -> set[str]:
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |"))
    return set(row.split("|")[3].strip().strip("`").replace("[", "").replace("]", "").split())


def test_nothing_is_left_of_a_view_that_saw_many_sessions() -> None:
    view = LogView()
    for number in range(12_000):
        list(view.lines(f"s{number}", None, (OPENED,)))
    sizes: Mapping[str, object] = view._sessions
    assert len(sizes) == 10_000
