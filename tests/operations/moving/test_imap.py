"""IMAP servers that break connections, lie, and write in odd forms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.moving import AT_MS, crlf, held, letter, make_maildir, move_in, move_out
from kit.odd_imap_server import Odd, serving
from kit.store import make_account, open_test_store
from zajil.net import imap_client
from zajil.operations.moving.imap_source import ImapSource
from zajil.operations.moving.imap_target import ImapTarget
from zajil.operations.moving.maildir import MaildirSource
from zajil.operations.moving.model import NoSource
from zajil.store.engine.open import Store


@pytest.fixture
def amal(tmp_path: Path) -> Iterator[Store]:
    store = open_test_store("sqlite", tmp_path / "data")
    make_account(store, "amal@north.test")
    yield store
    store.close_now()


def letters(*numbers: int) -> dict[int, bytes]:
    return {number: crlf(letter(number)) for number in numbers}


def bodies(store: Store, mailbox: str = "INBOX") -> list[bytes]:
    return [one[0] for one in held(store).get(mailbox, [])]


def test_a_connection_that_breaks_within_messages(amal: Store) -> None:
    """It is made again, and the message goes on where it was."""
    large = b"Subject: large\r\n\r\n" + b"0123456789abcde\r\n" * 100_000
    odd = Odd(
        {"INBOX": {**letters(1, 2), 3: large, **letters(4, 5)}},
        break_after=[30, 250_000, 700_000, 900_000],
    )
    with serving(odd) as account:
        report = move_in(amal, ImapSource(account))
    assert (report.moved, report.left_out, odd.connections) == (5, [], 5)
    assert bodies(amal) == list(odd.mailboxes["INBOX"].values())
    assert {one[1:] for one in held(amal)["INBOX"]} == {(frozenset({"\\Seen", "$x"}), AT_MS)}


def test_a_message_at_which_the_server_dies(amal: Store) -> None:
    """It is named, and the rest comes."""
    odd = Odd({"INBOX": letters(1, 2, 3)}, deadly={2})
    with serving(odd) as account:
        report = move_in(amal, ImapSource(account))
    assert [one.what for one in report.left_out] == ["INBOX, UID 2"]
    assert bodies(amal) == [crlf(letter(1)), crlf(letter(3))]


def test_a_message_that_is_refused(amal: Store) -> None:
    odd = Odd({"INBOX": letters(*range(1, 40))}, refuses={7})
    with serving(odd) as account:
        report = move_in(amal, ImapSource(account))
    assert [(one.what, one.why) for one in report.left_out] == [
        ("INBOX, UID 7", "[SERVERBUG] not this one")
    ]
    assert report.moved == 38


@pytest.mark.parametrize("quotes", [False, True])
@pytest.mark.parametrize("uid_last", [False, True])
def test_forms_of_answers(amal: Store, quotes: bool, uid_last: bool) -> None:
    """The UID behind the message; a small message in quotes; an empty one."""
    boxes = {"INBOX": {**letters(*range(1, 20)), 30: b"Subject: x", 31: b""}}
    odd = Odd(boxes, quotes=quotes, uid_last=uid_last)
    with serving(odd) as account:
        report = move_in(amal, ImapSource(account))
    assert sorted(bodies(amal)) == sorted([one for one in boxes["INBOX"].values() if one])
    assert [(one.what, one.why) for one in report.left_out] == [("INBOX, UID 31", "it is empty")]


def test_new_numbers_of_old_messages(amal: Store) -> None:
    """RFC 9051 section 2.3.1.1: after another UIDVALIDITY, messages are known by their bytes."""
    odd = Odd({"INBOX": letters(1, 2)})
    with serving(odd) as account:
        move_in(amal, ImapSource(account))
        odd.validity, odd.mailboxes["INBOX"] = 2, {5: crlf(letter(1)), 6: crlf(letter(3))}
        report = move_in(amal, ImapSource(account))
        assert (report.moved, report.known) == (1, 1)
        again = move_in(amal, ImapSource(account))
        assert (again.moved, again.known) == (0, 2)
    assert bodies(amal) == [crlf(letter(n)) for n in (1, 2, 3)]


@pytest.mark.parametrize("gmail", [False, True])
def test_all_mail_brings_only_what_no_other_mailbox_has(amal: Store, gmail: bool) -> None:
    """Gmail shows each message in "All Mail" and again under each label."""
    odd = Odd(
        {
            "[Gmail]/All Mail": letters(1, 2, 3),
            "INBOX": {7: crlf(letter(1))},
            "Work": {8: crlf(letter(2))},
            "[Gmail]/Starred": {9: crlf(letter(1))},
            "[Gmail]/Sent Mail": {4: crlf(letter(4))},
        },
        {
            "[Gmail]/All Mail": "\\All",
            "[Gmail]/Starred": "\\Flagged",
            "[Gmail]/Sent Mail": "\\Sent",
        },
    )
    if gmail:
        odd.capabilities += " X-GM-EXT-1"
        odd.gmail_ids = {
            "[Gmail]/All Mail": {1: 101, 2: 102, 3: 103},
            "INBOX": {7: 101},
            "Work": {8: 102},
            "[Gmail]/Sent Mail": {4: 104},
        }
    with serving(odd) as account:
        for _ in range(2):
            report = move_in(amal, ImapSource(account))
            found = held(amal)
            assert {name: len(messages) for name, messages in found.items()} == {
                "INBOX": 1,
                "Work": 1,
                "Sent": 1,
                "Archive": 1,
            }
            assert [one.what for one in report.left_out] == ["[Gmail]/Starred"]
        assert report.moved == 0
        # What the owner archived there meanwhile came before.
        odd.mailboxes["INBOX"], odd.gmail_ids["INBOX"] = {}, {}
        assert move_in(amal, ImapSource(account)).moved == 0
    if gmail:
        assert sum("BODY.PEEK" in one and "2," in one for one in odd.commands) == 0


@pytest.mark.parametrize(
    ("greeting", "why"),
    [
        (b"220 smtp ready\r\n", "it is no IMAP server"),
        (b"* BYE too many connections\r\n", "too many connections"),
    ],
)
def test_what_is_no_server(greeting: bytes, why: str) -> None:
    odd = Odd(greeting=greeting)
    with serving(odd) as account, pytest.raises(NoSource, match=why):
        ImapSource(account)


def test_since(amal: Store) -> None:
    odd = Odd({"INBOX": letters(1)})
    with serving(odd) as account:
        report = move_in(amal, ImapSource(account, AT_MS + 1), since_ms=AT_MS + 1)
    assert report.moved == 0
    assert "UID SEARCH SINCE 12-Sep-2020" in odd.commands


def test_out_to_a_server_that_does_not_answer(amal: Store, tmp_path: Path) -> None:
    """Whether a message is there is looked up: nothing twice, nothing missing."""
    files = {f"{n}.h:2,": letter(n) for n in range(5)}
    files["6.h:2,"] = files["7.h:2,"] = b"Subject: no Message-ID\n\nx\n"
    move_in(amal, MaildirSource(make_maildir(tmp_path / "m", {".": files})))
    odd = Odd({"INBOX": letters(3)}, deaf_appends=2)
    with serving(odd) as account:
        report = move_out(amal, ImapTarget(account))
        assert (report.left_out, report.known) == ([], 3)
        assert Counter(odd.mailboxes["INBOX"].values()) == Counter(map(crlf, files.values()))
        again = move_out(amal, ImapTarget(account))
        assert (again.moved, again.known) == (0, 7)


def test_answers_that_are_cut(amal: Store) -> None:
    """A UIDVALIDITY without a number, in an answer that ends there, is none."""
    odd = Odd({"INBOX": letters(1)}, validity="")
    with serving(odd) as account:
        assert move_in(amal, ImapSource(account)).moved == 1


def test_answers_without_end(amal: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those without a byte in them are counted: memory is bounded."""
    monkeypatch.setattr(imap_client, "_MAX_ANSWER", 1 << 20)
    odd = Odd({"INBOX": letters(1)}, greeting=b"* OK odd\r\n" + b"* \r\n" * 40_000)
    with serving(odd) as account, pytest.raises(NoSource, match="too much at once"):
        ImapSource(account)
