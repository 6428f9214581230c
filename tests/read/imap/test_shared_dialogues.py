"""Short dialogues of two accounts about one mailbox. (RFC 4314)"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from kit.imap import ImapClient, imap_place, make_reader
from kit.store import running
from zajil.store.engine.open import Store


def talk(
    store: Store, folder: Path, dialogue: Callable[[ImapClient, ImapClient], Awaitable[None]]
) -> None:
    """Let ``amal``, who has a mailbox ``Work`` with two messages, and ``badr`` talk."""
    make_reader(store)
    make_reader(store, "badr@north.test")

    async def run() -> None:
        async with (
            running(store),
            imap_place(store, folder) as place,
            place.session() as amal,
            place.session("badr") as badr,
        ):
            await amal.ok("CREATE Work")
            for _ in range(2):
                await amal.append("Work", b"Subject: x\r\n\r\n")
            await dialogue(amal, badr)

    asyncio.run(run())


def test_replace_needs_the_rights_of_now(store: Store, tmp_path: Path) -> None:
    """They were taken away after SELECT; the mailbox is there, so that none has to be made."""

    async def dialogue(amal: ImapClient, badr: ImapClient) -> None:
        await amal.ok("SETACL Work badr lrite")
        await badr.ok("SELECT Shared/amal/Work")
        for given, flags in (("lr", b""), ("lrt", b"\\Deleted")):
            await amal.ok(f"SETACL Work badr {given}")
            lines = await badr.command(b"REPLACE 1 INBOX {4+}\r\na: b")
            assert b" NO [NOPERM] " in lines[-1]
            assert any(b"[PERMANENTFLAGS (%b)]" % flags in line for line in lines)
        assert b"(MESSAGES 0)" in (await badr.ok("STATUS INBOX (MESSAGES)"))[0]

    talk(store, tmp_path, dialogue)


def test_notify_tells_of_access_that_was_lost(store: Store, tmp_path: Path) -> None:
    """RFC 5465 section 5.9; without the right to see it, the mailbox is gone."""

    async def dialogue(amal: ImapClient, badr: ImapClient) -> None:
        await amal.ok("SETACL Work badr lr")
        events = "(MessageNew MessageExpunge MailboxName)"
        await badr.ok(f"NOTIFY SET (subtree Shared {events})")
        await amal.ok("SETACL Work badr l")
        assert await badr.read_response() == rb'* LIST (\NoAccess) "/" "Shared/amal/Work"'
        await amal.append("Work", b"Subject: x\r\n\r\n")
        assert len(await badr.ok("NOOP")) == 1
        await amal.ok("SETACL Work badr lr")
        assert await badr.read_response() == rb'* LIST (\HasNoChildren) "/" "Shared/amal/Work"'
        assert (await badr.read_response()).startswith(b'* STATUS "Shared/amal/Work" (MESSAGES 3 ')
        await amal.ok("DELETEACL Work badr")
        assert await badr.read_response() == (
            rb'* LIST (\NonExistent \HasNoChildren) "/" "Shared/amal"'
        )
        assert (await badr.read_response()).startswith(rb"* LIST (\NonExistent ")

    talk(store, tmp_path, dialogue)
