"""SORT and THREAD. (RFC 5256, RFC 5267, RFC 5957)"""

from __future__ import annotations

import asyncio
from pathlib import Path

from kit.imap import imap_place, make_reader
from kit.store import running
from zajil.store.engine.open import Store

MESSAGES = (
    # From, subject, Date, INTERNALDATE, more fields
    ("Zoe <bob@a.test>", "Re: beta", "Tue, 3 Nov 2026 10:00:00 +0000", "5-Jan-2026", ""),
    ("amal@a.test", "alpha", "Mon, 2 Nov 2026 23:00:00 -0500", "4-Jan-2026", "To: x@a.test"),
    ("=?utf-8?Q?=C3=89va?= <carl@a.test>", "[list] Beta", "no date", "3-Jan-2026", "Cc: q@a.test"),
    ("Bob <AMAL@b.test>", "Fwd: gamma", "Sun, 1 Nov 2026 10:00:00 +0000", "2-Jan-2026", ""),
)
SORTED = {
    "(ARRIVAL)": "4 3 2 1",
    "(REVERSE ARRIVAL)": "1 2 3 4",
    "(DATE)": "3 4 2 1",  # without a date it is INTERNALDATE
    "(FROM)": "2 4 1 3",
    "(REVERSE FROM)": "3 1 2 4",
    "(FROM REVERSE DATE)": "2 4 1 3",
    "(FROM DATE)": "4 2 1 3",
    "(SUBJECT)": "2 1 3 4",
    "(SUBJECT DATE)": "2 3 1 4",
    "(TO)": "1 3 4 2",
    "(CC)": "1 2 4 3",
    "(DISPLAYFROM)": "2 4 3 1",
    "(REVERSE DISPLAYTO ARRIVAL)": "2 4 3 1",
    "(SIZE)": "2 4 1 3",
}


def test_criteria(store: Store, tmp_path: Path) -> None:
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            for who, subject, sent, received, more in MESSAGES:
                lines = (f"From: {who}", f"Subject: {subject}", f"Date: {sent}", more)
                head = "\r\n".join(filter(None, lines))
                date = f'" {received} 10:00:00 +0000"'
                await imap.append("INBOX", f"{head}\r\n\r\nx\r\n".encode(), date)
            await imap.ok("SELECT INBOX")
            sizes = await imap.ok("FETCH 1:4 (RFC822.SIZE)")
            by_size = sorted(sizes[:-1], key=lambda line: int(line.split()[-1].rstrip(b")")))
            SORTED["(SIZE)"] = " ".join(line.split()[1].decode() for line in by_size)
            for _ in range(2):  # what is kept in memory is the same
                for criteria, want in SORTED.items():
                    (line, _) = await imap.ok(f"SORT {criteria} UTF-8 ALL")
                    assert line.decode() == f"* SORT {want}", criteria
            (line, done) = await imap.ok("UID SORT RETURN (MIN MAX ALL COUNT) (FROM) UTF-8 1:4")
            tag = done.split()[0]
            assert line == b'* ESEARCH (TAG "%b") UID MIN 2 MAX 3 ALL 2,4,1,3 COUNT 4' % tag
            (line, _) = await imap.ok("SORT RETURN (PARTIAL -1:-2) (FROM) UTF-8 ALL")
            assert line.endswith(b" PARTIAL (-1:-2 1,3)")
            assert (await imap.ok("SORT (DATE) US-ASCII DELETED"))[0] == b"* SORT"
            answer = await imap.command("SORT (DATE) KOI8-R ALL")
            assert b" NO [BADCHARSET" in answer[-1]
            for bad in ("() UTF-8 ALL", "(FOO) UTF-8 ALL", "(DATE) UTF-8", "(REVERSE) UTF-8 ALL"):
                assert b" BAD " in (await imap.command(f"SORT {bad}"))[-1]

    asyncio.run(run())


def test_threads(store: Store, tmp_path: Path) -> None:
    make_reader(store)
    messages = (
        b"Message-ID: <1@a>\r\nSubject: plan",
        b"Message-ID: <2@a>\r\nIn-Reply-To: <1@a>\r\nSubject: Re: plan",
        b"Message-ID: <3@a>\r\nReferences: <1@a> <2@a>\r\nIn-Reply-To: <x@a>\r\nSubject: Re: plan",
        b"Message-ID: <4@a>\r\nReferences: <1@a>\r\nSubject: Re: plan",
        b"Message-ID: <5@a>\r\nSubject: other",
    )

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            for day, head in enumerate(messages, 1):
                date = b"\r\nDate: %d Nov 2026 10:00:00 +0000" % day
                await imap.append("INBOX", head + date + b"\r\n\r\nx\r\n")
            await imap.ok("SELECT INBOX")
            (line, _) = await imap.ok("THREAD REFERENCES UTF-8 ALL")
            assert line == b"* THREAD (1 (2 3)(4))(5)"
            (line, _) = await imap.ok("UID THREAD ORDEREDSUBJECT UTF-8 ALL")
            assert line == b"* THREAD (1 (2)(3)(4))(5)"
            # The parent was not searched for: those it holds together stay together.
            (line, _) = await imap.ok("THREAD REFERENCES UTF-8 2:5")
            assert line == b"* THREAD ((2 3)(4))(5)"
            assert (await imap.ok("THREAD REFERENCES UTF-8 DELETED"))[0] == b"* THREAD"
            assert b" BAD " in (await imap.command("THREAD FOO UTF-8 ALL"))[-1]

            # What was answered is kept, for exactly these messages and numbers.
            (line, _) = await imap.ok("THREAD REFERENCES UTF-8 ALL")
            assert line == b"* THREAD (1 (2 3)(4))(5)"
            head = b"Message-ID: <6@a>\r\nReferences: <5@a>\r\nSubject: Re: other"
            await imap.append("INBOX", head + b"\r\n\r\nx\r\n")
            (line, _) = await imap.ok("THREAD REFERENCES UTF-8 ALL")
            assert line == b"* THREAD (1 (2 3)(4))(5 6)"
            await imap.ok(r"STORE 1 +FLAGS (\Deleted)")
            await imap.ok("EXPUNGE")
            threads = [await imap.ok(f"{uid}THREAD REFERENCES UTF-8 ALL") for uid in ("", "UID ")]
            assert [lines[0] for lines in threads] == [
                b"* THREAD ((1 2)(3))(4 5)",
                b"* THREAD ((2 3)(4))(5 6)",
            ]

    asyncio.run(run())
