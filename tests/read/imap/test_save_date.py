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
