"""STORE and flags: keywords have no case, and each is named by FLAGS before it stands elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kit.imap import imap_place, make_reader
from kit.store import running
from zajil.store.engine.open import Store
from zajil.store.feedback.training import Lesson, learn
from zajil.store.feedback.training_queue import TrainingClaim, claim_training
from zajil.store.mail.flags import MAX_KEYWORDS
from zajil.store.schema import message

SOON_MS = 1 << 42
"""Later than the test: what was said is due to be learned."""
LETTER = b"Subject: x\r\n\r\nbody\r\n"


def spell_keywords(tx: Connection, items: Sequence[tuple[int, str]]) -> list[None]:
    """Write rows as they were before keywords were compared without case."""
    for uid, words in items:
        tx.execute(sa.update(message).where(message.c.uid == uid).values(keywords=words))
    return [None] * len(items)


def test_keywords_have_no_case(store: Store, tmp_path: Path) -> None:
    """RFC 3501 section 9: strings of the grammar are without case; the first spelling stays."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            for words in ("", "($forwarded urgent)", "(Urgent URGENT)"):
                assert b" OK " in await imap.append("INBOX", LETTER, words)
            await imap.ok("SELECT INBOX")
            lines = await imap.ok("SELECT INBOX")  # anew: nothing is recent any more
            system = rb"\Answered \Flagged \Deleted \Seen \Draft"
            assert lines[1] == b"* FLAGS (" + system + b" $forwarded urgent)"
            assert (await imap.ok("FETCH 3 FLAGS"))[0] == b"* 3 FETCH (FLAGS (urgent))"
            lines = await imap.ok("STORE 1 +FLAGS ($Forwarded Work WORK \\SEEN \\seen)")
            assert lines[:-1] == [
                b"* FLAGS (" + system + b" $forwarded Work urgent)",
                b"* OK [PERMANENTFLAGS ("
                + system
                + rb" $forwarded Work urgent \*)] flags that last",
                rb"* 1 FETCH (FLAGS (\Seen $forwarded Work))",
            ]
            assert len(await imap.ok("UID STORE 1:2 +FLAGS.SILENT (wORK)")) == 1
            (line, _) = await imap.ok("STORE 1 -FLAGS ($FORWARDED \\sEEN)")
            assert line == b"* 1 FETCH (FLAGS (Work))"
            (line, _) = await imap.ok("UID STORE 2 FLAGS (work URGENT \\draft)")
            assert line == rb"* 2 FETCH (UID 2 FLAGS (\Draft Work urgent))"
            for key in ("KEYWORD work", "KEYWORD WORK", "NOT UNKEYWORD WoRK"):
                assert (await imap.ok(f"SEARCH {key}"))[0] == b"* SEARCH 1 2"
            assert (await imap.ok("SEARCH UNKEYWORD URGENT"))[0] == b"* SEARCH 1"
            await imap.ok("COPY 2 Archive")
            await imap.ok("UID STORE 1:* -FLAGS.SILENT (WORK)")
            assert (await imap.ok("SEARCH KEYWORD Work"))[0] == b"* SEARCH"
            lines = await imap.ok("SELECT Archive")
            assert lines[1] == b"* FLAGS (" + system + b" Work urgent)"

    asyncio.run(run())


def test_a_message_has_a_most_of_keywords(store: Store, tmp_path: Path) -> None:
    """Counted without regard to case; what is too much changes none of the messages near it."""
    make_reader(store)
    words = [f"k{number}" for number in range(MAX_KEYWORDS)]

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            for _ in range(2):
                await imap.append("INBOX", LETTER)
            await imap.ok("SELECT INBOX")
            for start in range(0, len(words), 32):
                some = " ".join(words[start : start + 32])
                await imap.ok(f"STORE 1 +FLAGS.SILENT ({some} {some.upper()})")
            assert b" NO [LIMIT]" in (await imap.command("STORE 1:2 +FLAGS (more)"))[-1]
            assert (await imap.ok("SEARCH KEYWORD more"))[0] == b"* SEARCH"
            await imap.ok("STORE 1 +FLAGS.SILENT (K7 \\Seen \\Flagged)")
            await imap.ok("STORE 1 -FLAGS.SILENT (K7)")
            await imap.ok("STORE 1 +FLAGS.SILENT (more)")
            assert (await imap.ok("SEARCH KEYWORD more SEEN"))[0] == b"* SEARCH 1"

    asyncio.run(run())


def test_a_store_that_has_both_spellings(store: Store, tmp_path: Path) -> None:
    """From before: one keyword is shown, found and removed, however the rows spell it."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            for _ in range(3):
                await imap.append("INBOX", LETTER)
            for uid, words in ((1, "Work"), (2, "WORK Work work"), (3, "work")):
                await store.write(spell_keywords, (uid, words))
            await imap.ok("SELECT INBOX")
            assert (await imap.ok("SELECT INBOX"))[1].endswith(rb" \Draft Work)")
            lines = await imap.ok("FETCH 1:* FLAGS")
            assert [line.partition(b"FLAGS ")[2] for line in lines[:-1]] == [b"(Work))"] * 3
            assert (await imap.ok("SEARCH KEYWORD wORK"))[0] == b"* SEARCH 1 2 3"
            lines = await imap.ok("STORE 1:* -FLAGS (WORK)")
            assert [line.partition(b"FLAGS ")[2] for line in lines[:-1]] == [b"())"] * 3
            assert (await imap.ok("SEARCH KEYWORD Work"))[0] == b"* SEARCH"

    asyncio.run(run())


@pytest.mark.parametrize("command", ["FETCH 1 FLAGS", "FETCH 1 BODY[TEXT]", "UID FETCH 1 FAST"])
def test_a_keyword_of_another_session_is_named_before_it_is_shown(
    store: Store, tmp_path: Path, command: str
) -> None:
    """RFC 3501 section 7.2.6: FLAGS says which flags there are."""
    make_reader(store)

    async def run() -> None:
        async with (
            running(store),
            imap_place(store, tmp_path) as place,
            place.session() as one,
            place.session() as two,
        ):
            await one.append("INBOX", LETTER)
            await one.ok("SELECT INBOX")
            await two.ok("SELECT INBOX")
            await two.ok("STORE 1 +FLAGS ($News)")
            lines = await one.ok(command)
            assert lines[0].startswith(b"* FLAGS (")
            assert lines[0].endswith(b" $News)")
            assert b"$News" in lines[1]
            assert sum(line.startswith(b"* FLAGS") for line in lines) == 1

    asyncio.run(run())


def test_what_reading_changed_stands_first(store: Store, tmp_path: Path) -> None:
    """The UID of STORE is told only where the client works with UIDs (RFC 3501 section 6.4.8)."""
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            for _ in range(2):
                await imap.append("INBOX", LETTER)
            await imap.ok("SELECT INBOX")
            await imap.ok("SELECT INBOX")
            (line, _) = await imap.ok("FETCH 1 (RFC822.SIZE BODY[TEXT])")
            assert line.startswith(rb"* 1 FETCH (FLAGS (\Seen) RFC822.SIZE ")
            (line, _) = await imap.ok("UID FETCH 2 BODY[TEXT]")
            assert line.startswith(rb"* 2 FETCH (FLAGS (\Seen) UID 2 BODY[TEXT] ")
            (line, _) = await imap.ok("FETCH 2 (BODY[TEXT] FLAGS)")
            assert line.startswith(b"* 2 FETCH (BODY[TEXT] "), "nothing changed: as asked"
            (line, _) = await imap.ok("STORE 1 -FLAGS (\\Seen)")
            assert line == b"* 1 FETCH (FLAGS ())"
            (line, _) = await imap.ok("UID STORE 1 -FLAGS (\\Seen)")
            assert line == b"* 1 FETCH (UID 1 FLAGS ())"

    asyncio.run(run())


def test_keywords_of_mail_programs_teach_and_stay(store: Store, tmp_path: Path) -> None:
    """RFC 9051 section 2.3.2: $Junk and $NotJunk are learned, the others are kept by a copy."""
    make_reader(store)

    async def taught() -> list[str]:
        said = await store.write(claim_training, TrainingClaim(SOON_MS, SOON_MS + 1000))
        for one in said:
            item = Lesson(
                account_id=one.account_id,
                blob_id=one.blob_id,
                is_junk=one.kind == "junk",
                tokens=frozenset(),
                may_share=lambda *_: False,
                kind=one.kind,
                lease_until_ms=SOON_MS + 1000,
            )
            await store.write(learn, item)
        return [one.kind for one in said]

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            await imap.append("INBOX", LETTER, "($Forwarded $MDNSent)")
            lines = await imap.ok("SELECT INBOX")
            (permanent,) = [line for line in lines if b"[PERMANENTFLAGS" in line]
            assert permanent.split(b")]")[0].endswith(rb"$Forwarded $MDNSent \*")
            assert await taught() == []
            await imap.ok("STORE 1 +FLAGS.SILENT ($Junk)")
            assert await taught() == ["junk"]
            await imap.ok("STORE 1 +FLAGS.SILENT ($NotJunk)")
            assert await taught() == ["not_junk"]
            await imap.ok("COPY 1 Archive")
            await imap.ok("MOVE 1 Drafts")
            for mailbox in ("Archive", "Drafts"):
                await imap.ok(f"SELECT {mailbox}")
                found = await imap.ok("SEARCH KEYWORD $forwarded KEYWORD $mdnsent")
                assert found[0] == b"* SEARCH 1", mailbox

    asyncio.run(run())
