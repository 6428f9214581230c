"""SAVEDATE: when a message came into the mailbox. (RFC 8514)"""

from __future__ import annotations

import asyncio
from pathlib import Path

from kit.imap import imap_place, make_reader
from kit.mail import make_message
from kit.store import NOW_MS, make_intake, running
from zajil.imap.date_time import format_date_time
from zajil.net.system import SystemClock
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes

_OLD = '"17-Jul-1996 02:44:25 +0000"'


def test_when_it_was_put_there(store: Store, tmp_path: Path) -> None:
    """A delivered message was saved when it was received; APPEND, COPY and MOVE save it now."""
    amal = make_reader(store)
    staged = store.blobs.stage([make_message()])
    store.write_now(write_intakes, make_intake(staged, local=[amal]))

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as client:
            await client.ok("CREATE Trip")
            await client.append("Trip", make_message(), _OLD)
            await client.ok("SELECT INBOX")
            received = format_date_time(NOW_MS)
            lines = await client.ok("FETCH 1 (SAVEDATE INTERNALDATE)")
            assert lines[0] == b"* 1 FETCH (SAVEDATE %b INTERNALDATE %b)" % (received, received)
            await client.ok("COPY 1 Trip")
            await client.ok("MOVE 1 Trip")
            await client.ok("SELECT Trip")
            lines = await client.ok("UID FETCH 1:* (INTERNALDATE SAVEDATE)")
            today = format_date_time(SystemClock().now_ms())[:12]
            for number, internal in enumerate((_OLD.encode(), received, received), 1):
                begin = b"* %d FETCH (UID %d INTERNALDATE %b SAVEDATE " % (number, number, internal)
                assert lines[number - 1].startswith(begin + today)

    asyncio.run(run())


def test_search_by_the_day_of_saving(store: Store, tmp_path: Path) -> None:
    """As with INTERNALDATE the day counts; beside a text each message is looked at by itself."""
    amal = make_reader(store)
    staged = store.blobs.stage([make_message()])
    store.write_now(write_intakes, make_intake(staged, local=[amal]))
    day, before, after = (_day(NOW_MS + n * 86_400_000) for n in (0, -1, 1))

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as client:
            await client.append("INBOX", make_message(), _OLD)
            await client.ok("SELECT INBOX")
            for key, want in {
                f"SAVEDON {day}": b" 1",
                f"SAVEDON {before}": b"",
                f"SAVEDSINCE {day}": b" 1 2",
                f"SAVEDSINCE {after}": b" 2",
                f"SAVEDBEFORE {day}": b"",
                f"SAVEDBEFORE {after}": b" 1",
                f"NOT SAVEDBEFORE {after}": b" 2",
                "SAVEDATESUPPORTED": b" 1 2",
                "NOT SAVEDATESUPPORTED": b"",
                "SAVEDON 17-Jul-1996": b"",
                "ON 17-Jul-1996": b" 2",
                f"OR SAVEDON {day} TEXT nowhere": b" 1",
                f"SAVEDSINCE {after} NOT TEXT nowhere": b" 2",
            }.items():
                assert (await client.ok(f"SEARCH {key}"))[0] == b"* SEARCH" + want, key
            for bad in ("SAVEDON", "SAVEDON 1-1-2020", "SAVEDATE 1-Jan-2020"):
                assert b" BAD " in (await client.command(f"SEARCH {bad}"))[-1]

    asyncio.run(run())


def _day(moment_ms: int) -> str:
    """Return a day as SEARCH takes it."""
    return format_date_time(moment_ms)[1:12].decode().strip()
