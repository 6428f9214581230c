"""Whose an address is."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from kit.store import make_account, running
from zajil.core.address import parse_address
from zajil.core.directory import AccountEntry, AliasEntry, DirectoryAnswer
from zajil.store.engine.open import Store
from zajil.store.people.aliases import AliasRow, create_alias

AMAL = parse_address("Amal@north.test")
FRESH_MS = 100_000
"""500,000 messages of a new INBOX, by 5,000 a second."""
NOBODY = parse_address("nobody@north.test")
ELSEWHERE = parse_address("amal@elsewhere.test")


def test_peek_knows_what_was_found(store: Store) -> None:
    amal = make_account(store, "amal@north.test")

    async def run() -> None:
        async with running(store):
            assert store.directory.peek(ELSEWHERE) is None  # nothing is loaded
            await store.directory.load()
            assert store.directory.peek(ELSEWHERE) == DirectoryAnswer(False, None)
            assert store.directory.peek(AMAL) is None
            found = await store.directory.find(AMAL)
            assert found == DirectoryAnswer(True, replace(amal, fresh_ms=FRESH_MS))
            assert store.directory.peek(AMAL) == found
            assert await store.directory.find(NOBODY) == DirectoryAnswer(True, None)
            assert store.directory.peek(NOBODY) == DirectoryAnswer(True, None)
            assert await store.directory.find(ELSEWHERE) == DirectoryAnswer(False, None)

    asyncio.run(run())


def test_an_entry_names_the_mailboxes_and_targets(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    assert amal.inbox != amal.junk
    assert amal.active


def test_an_alias_stands_for_addresses_here_and_elsewhere(store: Store) -> None:
    make_account(store, "amal@north.test")
    alias = AliasRow(parse_address("team@north.test"), (AMAL, ELSEWHERE))
    store.write_now(create_alias, alias)

    async def run() -> DirectoryAnswer:
        async with running(store):
            return await store.directory.find(parse_address("TEAM@north.test"))

    assert asyncio.run(run()) == DirectoryAnswer(True, AliasEntry(alias.address, alias.targets))


def test_our_own_change_is_seen_at_once(store: Store) -> None:
    make_account(store, "amal@north.test")

    async def run() -> None:
        async with running(store):
            team = parse_address("team@north.test")
            assert (await store.directory.find(team)).entry is None
            await store.write(create_alias, AliasRow(team, (AMAL,)))
            assert store.directory.peek(team) is None
            assert isinstance((await store.directory.find(team)).entry, AliasEntry)
            assert isinstance((await store.directory.find(AMAL)).entry, AccountEntry)

    asyncio.run(run())


def test_an_answer_from_before_a_change_is_not_kept(store: Store) -> None:
    make_account(store, "amal@north.test")

    async def run() -> None:
        async with running(store):
            await store.directory.load()
            asked = asyncio.ensure_future(store.directory.find(AMAL))
            await asyncio.sleep(0)  # its query is under way
            store.directory.forget()
            assert isinstance((await asked).entry, AccountEntry)
            assert store.directory.peek(AMAL) is None

    asyncio.run(run())


def test_the_server_s_own_name_is_here_and_has_no_entries(store: Store) -> None:
    make_account(store, "amal@north.test")

    async def run() -> None:
        async with running(store):
            store.directory.hostname = "mail.north.test"
            postmaster = parse_address("postmaster@mail.north.test")
            # Nothing is in memory: right after the start, or after a change.
            assert await store.directory.find(postmaster) == DirectoryAnswer(True, None)
            assert store.directory.peek(postmaster) == DirectoryAnswer(True, None)
            assert store.directory.peek(parse_address("x@mail2.north.test")) == DirectoryAnswer(
                False, None
            )

    asyncio.run(run())
