"""QUOTA over IMAP, and what a full account is refused. (RFC 9208)"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from kit.imap import ImapClient, imap_place, make_reader
from kit.store import open_test_store, running
from zajil.store.engine.open import Store
from zajil.store.mail.caps import Caps

MESSAGE = b"Subject: x\r\n\r\n" + b"x" * 984 + b"\r\n"
"""1000 bytes."""
HALF = b"Subject: x\r\n\r\n" + b"x" * 486
OVER = b" NO [OVERQUOTA] an account has at most 3000 bytes"


@pytest.fixture
def limited(store_url: str, tmp_path: Path) -> Store:
    """Accounts may have 3000 bytes and 5 messages."""
    caps = Caps(account_size=3000, account_messages=5)
    return open_test_store(store_url, tmp_path / "data", caps=caps)


@asynccontextmanager
async def talking(store: Store, folder: Path) -> AsyncIterator[ImapClient]:
    make_reader(store)
    async with running(store), imap_place(store, folder) as place, place.session() as imap:
        yield imap


def test_usage_and_limits_are_sent(limited: Store, tmp_path: Path) -> None:
    async def run() -> None:
        async with talking(limited, tmp_path) as imap:
            assert b" OK " in await imap.append("INBOX", MESSAGE)
            assert b" OK " in await imap.append("Archive", MESSAGE)
            quota = b'* QUOTA "" (STORAGE 2 3 MESSAGE 2 5 MAILBOX 6 2000)'
            assert (await imap.ok('GETQUOTA ""'))[0].rstrip() == quota
            lines = await imap.ok("GETQUOTAROOT Archive")
            roots = [b'* QUOTAROOT "Archive" ""', b'* QUOTAROOT Archive ""']
            assert lines[0].rstrip() in roots
            assert lines[1].rstrip() == quota
            await imap.ok("SELECT INBOX")
            await imap.ok(r"STORE 1 +FLAGS (\Deleted)")
            (line, _) = await imap.ok("STATUS INBOX (DELETED DELETED-STORAGE)")
            assert b"(DELETED 1 DELETED-STORAGE 1000)" in line
            await imap.ok("EXPUNGE")
            assert b"(STORAGE 1 3 MESSAGE 1 5 " in (await imap.ok('GETQUOTA ""'))[0]

    asyncio.run(run())


def test_without_limits_no_resource_is_named(store_url: str, tmp_path: Path) -> None:
    caps = Caps(account_size=0, account_messages=0, mailboxes=0)
    store = open_test_store(store_url, tmp_path / "data", caps=caps)

    async def run() -> None:
        async with talking(store, tmp_path) as imap:
            assert (await imap.ok('GETQUOTA ""'))[0].rstrip() == b'* QUOTA "" ()'

    asyncio.run(run())


def test_what_is_refused(limited: Store, tmp_path: Path) -> None:
    async def run() -> None:
        async with talking(limited, tmp_path) as imap:
            for command, answer in (
                ("GETQUOTA other", b" NO [NONEXISTENT] "),
                ("GETQUOTAROOT nowhere", b" NO [NONEXISTENT] "),
                ('SETQUOTA "" (STORAGE 9)', b" NO [NOPERM] "),
                ("SETQUOTA other (STORAGE 9)", b" NO [NONEXISTENT] "),
            ):
                assert answer in (await imap.command(command))[-1], command

    asyncio.run(run())


def test_a_full_account_takes_nothing_more(limited: Store, tmp_path: Path) -> None:
    """APPEND and COPY are refused, and nothing is kept of them; MOVE goes on."""

    async def run() -> None:
        async with talking(limited, tmp_path) as imap:
            for _ in range(2):
                assert b" OK " in await imap.append("INBOX", MESSAGE)
            assert b" OK " in await imap.append("INBOX", HALF)
            assert OVER in await imap.append("INBOX", MESSAGE)
            await imap.ok("SELECT INBOX")
            assert OVER in (await imap.command("COPY 1 Archive"))[-1]
            (line, _) = await imap.ok("STATUS Archive (MESSAGES)")
            assert b"MESSAGES 0" in line
            await imap.ok("MOVE 1 Archive")
            await imap.ok("COPY 2 Archive")
            assert OVER in await imap.append("INBOX", b"x")
            await imap.ok(r"STORE 1 +FLAGS (\Deleted)")
            await imap.ok("EXPUNGE")
            assert b" OK " in await imap.append("INBOX", MESSAGE)

    asyncio.run(run())


def test_messages_are_limited_too(limited: Store, tmp_path: Path) -> None:
    async def run() -> None:
        async with talking(limited, tmp_path) as imap:
            for _ in range(5):
                assert b" OK " in await imap.append("INBOX", b"a: b\r\n\r\nx")
            answer = await imap.append("INBOX", b"x")
            assert b" NO [OVERQUOTA] an account has at most 5 messages" in answer
            await imap.ok("SELECT INBOX")
            # What is replaced makes room for what replaces it.
            await imap.ok(b"REPLACE 1 INBOX {9+}\r\na: c\r\n\r\nx")

    asyncio.run(run())


def test_appends_at_once_do_not_pass_the_limit(limited: Store, tmp_path: Path) -> None:
    async def run() -> None:
        make_reader(limited)
        boxes = ["INBOX", "Archive", "Sent", "Junk", "Trash", "Drafts"]
        async with (
            running(limited),
            imap_place(limited, tmp_path) as place,
            AsyncExitStack() as stack,
        ):
            sessions = [await stack.enter_async_context(place.session()) for _ in boxes]
            answers = await asyncio.gather(
                *[one.append(box, MESSAGE) for one, box in zip(sessions, boxes, strict=True)]
            )
            assert sum(b" OK " in one for one in answers) == 3
            assert sum(OVER in one for one in answers) == 3

    asyncio.run(run())


def test_the_quota_of_others_is_not_told(limited: Store, tmp_path: Path) -> None:
    make_reader(limited, "badr@north.test")

    async def run() -> None:
        async with talking(limited, tmp_path) as imap:
            await imap.ok("SETACL Sent anyone lr")
            await imap.ok("UNAUTHENTICATE")
            await imap.log_in("badr")
            lines = await imap.ok("GETQUOTAROOT Shared/amal/Sent")
            assert lines[:-1] == [b'* QUOTAROOT "Shared/amal/Sent"']

    asyncio.run(run())
