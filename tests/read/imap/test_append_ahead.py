"""APPEND commands that a client sends without waiting: one commit, and an answer to each."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from kit.imap import ImapClient, ImapPlace, imap_place, literals, make_reader
from kit.store import open_test_store, running
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.mail.caps import Caps

Talk = Callable[[ImapPlace, ImapClient], Awaitable[None]]


def message(number: int) -> bytes:
    return b"Subject: %d\r\n\r\nbody\r\n" % number


def append(tag: bytes, data: bytes, mailbox: bytes = b"Drafts", arguments: bytes = b"") -> bytes:
    return b"%b APPEND %b %b{%d+}\r\n%b\r\n" % (tag, mailbox, arguments, len(data), data)


def talk(store: Store, tmp_path: Path, script: Talk) -> None:
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await script(place, imap)

    asyncio.run(run())


async def answers(imap: ImapClient, sent: Sequence[bytes]) -> list[bytes]:
    """Send commands at once; return their tagged responses without the tags."""
    await imap.send(b"".join(sent))
    tags = [one.split(b" ")[0] for one in sent]
    found: dict[bytes, bytes] = {}
    while len(found) < len(tags):
        tag, _, text = (await imap.read_response()).partition(b" ")
        if tag in tags:
            assert tag not in found
            found[tag] = text
    assert list(found) == tags, "they are answered in their order"
    return [found[tag] for tag in tags]


def uids(answered: Sequence[bytes]) -> list[int]:
    return [int(one[1]) for text in answered if (one := re.search(rb"APPENDUID \d+ (\d+)]", text))]


async def subjects(imap: ImapClient, mailbox: str) -> list[bytes]:
    """Return all messages of a mailbox, and select it."""
    await imap.ok(f"EXAMINE {mailbox}")
    lines = (await imap.ok("UID FETCH 1:* BODY.PEEK[]"))[:-1]
    return [found for line in lines for found in literals(line)]


def test_many_share_a_commit(store: Store, tmp_path: Path) -> None:
    async def script(place: ImapPlace, imap: ImapClient) -> None:
        await imap.append("Drafts", message(0))
        before = store.writer.commits
        sent = [append(b"a%d" % number, message(number)) for number in range(1, 61)]
        answered = await answers(imap, sent)
        assert uids(answered) == list(range(2, 62))
        # 60 messages of a few bytes come in a few packets; 20 share a commit at most.
        assert store.writer.commits - before <= 20
        assert await subjects(imap, "Drafts") == [message(number) for number in range(61)]

    talk(store, tmp_path, script)


def test_an_error_touches_no_other_command(store: Store, tmp_path: Path) -> None:
    """Whatever is wrong with a command: syntax, mailbox, size, its message."""

    async def script(place: ImapPlace, imap: ImapClient) -> None:
        await imap.append("Drafts", message(0))
        answered = await answers(
            imap,
            [
                append(b"a", message(1)),
                append(b"b", message(2), b"nowhere"),
                append(b"c", message(3)),
                append(b"d", message(4), arguments=b"(\\Seen "),
                append(b"e", b"nul \x00\r\n\r\n"),
                append(b"f", message(5)),
                append(b"g", b""),
                append(b"h", message(6), b"Sent"),
                append(b"i", message(7), arguments=b"(\\Draft) "),
                append(b"j", message(8)),
                b"k NONSENSE\r\n",
                append(b"l", message(9)),
                b"m NOOP\r\n",
            ],
        )
        words = [b" ".join(one.split(b" ")[:2]) for one in answered]
        stored, wrong = b"OK [APPENDUID", b"BAD flag"
        assert words[0:4] == [stored, b"NO [TRYCREATE]", stored, wrong]
        assert words[4:7] == [b"NO the", stored, b"NO the"]
        assert words[7:10] == [stored, stored, stored]
        assert words[10].startswith(b"BAD")
        assert words[11:] == [stored, b"OK NOOP"]
        assert await subjects(imap, "Drafts") == [message(one) for one in (0, 1, 3, 5, 7, 8, 9)]
        assert await subjects(imap, "Sent") == [message(6)]

    talk(store, tmp_path, script)


def test_the_next_command_sees_them(store: Store, tmp_path: Path) -> None:
    """Also where the next APPEND has not come whole."""

    async def script(place: ImapPlace, imap: ImapClient) -> None:
        await imap.append("Drafts", message(0))
        await imap.ok("SELECT Drafts")
        sent = [append(b"a%d" % number, message(number)) for number in range(1, 6)]
        await imap.send(b"".join(sent) + b"s STATUS Drafts (MESSAGES)\r\n")
        said = await imap.read_until(b"s")
        exists = [one for one in said if one.endswith(b" EXISTS")]
        assert exists[-1] == b"* 6 EXISTS"
        assert b'* STATUS "Drafts" (MESSAGES 6)' in said
        # The numbers before the answers, as for a command of its own.
        assert said.index(b"* 6 EXISTS") < [one[:3] for one in said].index(b"a5 ")
        await imap.send(append(b"b", message(6)) + b"c APPEND Drafts {9}\r\n")
        assert b" OK " in (await imap.read_until(b"b"))[-1]
        assert await imap.read_response() == b"+ go ahead"
        await imap.send(b"Subject: \r\n")
        assert b" OK " in (await imap.read_until(b"c"))[-1]
        half = append(b"e", message(8))
        await imap.send(append(b"d", message(7)) + half[:20])
        assert b" OK " in (await imap.read_until(b"d"))[-1]
        await imap.send(half[20:])
        assert b" OK " in (await imap.read_until(b"e"))[-1]

    talk(store, tmp_path, script)


def test_a_mailbox_that_went_is_missing_for_each(store: Store, tmp_path: Path) -> None:
    async def script(place: ImapPlace, imap: ImapClient) -> None:
        await imap.ok("CREATE Other")
        await imap.append("Other", message(0))
        async with place.session() as two:
            await two.ok("DELETE Other")
        sent = [append(b"a%d" % number, message(number), b"Other") for number in range(3)]
        answered = await answers(imap, [*sent, append(b"b", message(4))])
        assert [one[:15] for one in answered[:3]] == [b"NO [TRYCREATE] "] * 3
        assert uids(answered) == [1]

    talk(store, tmp_path, script)


def test_what_there_is_room_for_is_stored(tmp_path: Path) -> None:
    store = open_test_store("sqlite", tmp_path / "data", caps=Caps(account_messages=4))

    async def script(place: ImapPlace, imap: ImapClient) -> None:
        await imap.append("Drafts", message(0))
        answered = await answers(
            imap, [append(b"a%d" % number, message(number)) for number in range(1, 7)]
        )
        assert uids(answered) == [2, 3, 4]
        assert [one[:14] for one in answered[3:]] == [b"NO [OVERQUOTA]"] * 3
        assert len(await subjects(imap, "Drafts")) == 4

    try:
        talk(store, tmp_path, script)
    finally:
        store.close_now()


def test_no_answer_is_ok_before_the_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk refuses the commit: nothing was stored, and each command hears so."""
    store = open_test_store("sqlite", tmp_path / "data")

    async def script(place: ImapPlace, imap: ImapClient) -> None:
        await imap.append("Drafts", message(0))
        raise_now = StoreUnavailable("the disk is gone")

        def refuse() -> None:
            raise raise_now

        sent = [append(b"a%d" % number, message(number)) for number in range(1, 6)]
        monkeypatch.setattr(store.writer, "_require_space", refuse)
        answered = await answers(imap, sent)
        assert [one[:16] for one in answered] == [b"NO [UNAVAILABLE]"] * 5
        monkeypatch.undo()
        assert await subjects(imap, "Drafts") == [message(0)]
        assert uids(await answers(imap, sent)) == list(range(2, 7))

    try:
        talk(store, tmp_path, script)
    finally:
        store.close_now()


def test_a_client_that_hangs_up_leaves_whole_messages(store: Store, tmp_path: Path) -> None:
    async def script(place: ImapPlace, imap: ImapClient) -> None:
        await imap.append("Drafts", message(0))
        async with place.session() as two:
            await two.append("Drafts", message(1))
            sent = [append(b"a%d" % number, message(number)) for number in range(2, 30)]
            await two.send(b"".join(sent)[:-9])
        found = await subjects(imap, "Drafts")
        assert found == [message(number) for number in range(len(found))]

    talk(store, tmp_path, script)
