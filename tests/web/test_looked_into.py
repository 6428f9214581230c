"""The owner of a mailbox sees who else opened it: in the browser and by IMAP, once a day each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from kit.imap import imap_place, make_reader
from kit.site import Site, letter, visiting
from kit.store import NOW_MS, running
from kit.webmail import member
from zajil.core.mailbox_rights import ALL_RIGHTS
from zajil.operations.audit import show_audit
from zajil.store.engine.open import Store
from zajil.store.engine.writer import Transaction
from zajil.store.mail.right_changes import ChangeRights, Grant, change_rights
from zajil.store.people.openings import Opening, is_new_opening, record_openings
from zajil.tracking.audit import AuditEvent

ACTIVITY = "/account/activity"
DAY_MS = 24 * 60 * 60 * 1000
NOBODY = "No one else looked into your mail."


async def share(site: Site, owner: str, reader: str, rights: str = "lr") -> None:
    grant = Grant(reader, frozenset(rights))
    await site.store.write(
        change_rights, ChangeRights(site.entry(owner).account_id, "INBOX", grant)
    )


def openings(store: Store) -> list[AuditEvent]:
    found = store.read_now(lambda conn: show_audit(conn))
    return [event for event in found if event.name in ("mailbox.opened", "journey.opened")]


def rename(tx: Transaction, items: Sequence[tuple[str, str]]) -> list[None]:
    for before, after in items:
        tx.execute(sa.text(f"ALTER TABLE {before} RENAME TO {after}"))
    return [None] * len(items)


def test_the_owner_sees_who_opened_a_mailbox(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            site.deliver("basim", letter("Tulips"))
            await share(site, "basim", "amal")
            basim, amal = await member(site, "basim"), await member(site, "amal")
            assert (await basim.get(site.inbox("basim"))).status == 200
            assert openings(store) == []
            assert NOBODY in (await basim.get(ACTIVITY)).text
            for path in ("", "/1", "/1/source", "?before=9", ""):
                assert (await amal.get(site.inbox("basim") + path)).status == 200
            (event,) = openings(store)
            assert (event.actor, event.origin, event.subject) == ("amal", "web", "basim")
            page = (await basim.get(ACTIVITY)).text
            assert "<bdi>amal</bdi> opened the mailbox Inbox of <bdi>basim</bdi>." in page
            assert NOBODY not in page
            # It is about the owner, not about the reader.
            assert NOBODY in (await amal.get(ACTIVITY)).text

    asyncio.run(scenario())


def test_each_reader_and_day_is_told_once(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            await share(site, "basim", "amal")
            await share(site, "basim", "salma")
            amal, salma = await member(site, "amal"), await member(site, "salma")
            for _ in range(2):
                for browser in (amal, salma, amal):
                    assert (await browser.get(site.inbox("basim"))).status == 200
                site.clock.advance(DAY_MS)
            assert [event.actor for event in reversed(openings(store))] == ["amal", "salma"] * 2

    asyncio.run(scenario())


@pytest.mark.parametrize("path", ["/1", "/1/source", "/1/state"])
def test_a_message_that_is_opened_by_its_address_counts(sqlite_store: Store, path: str) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("basim", letter("Tulips"))
            await share(site, "basim", "amal")
            amal = await member(site, "amal")
            assert (await amal.get(site.inbox("basim") + path)).status == 200
            assert len(openings(sqlite_store)) == 1

    asyncio.run(scenario())


@pytest.mark.parametrize("way", ["reply", "forward"])
def test_an_answer_that_quotes_a_message_counts(sqlite_store: Store, way: str) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("basim", letter("Tulips"))
            await share(site, "basim", "amal")
            amal, box = await member(site, "amal"), site.entry("basim").inbox
            assert "Tulips" in (await amal.get(f"/compose?{way}={box}.1")).text
            assert len(openings(sqlite_store)) == 1

    asyncio.run(scenario())


def test_what_may_not_be_read_is_not_recorded(sqlite_store: Store) -> None:
    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            site.deliver("basim", letter("Tulips"))
            await share(site, "basim", "amal", "l")
            amal = await member(site, "amal")
            for path in ("", "/1", "/1/source", "/1/state"):
                assert (await amal.get(site.inbox("basim") + path)).status == 404
            assert openings(sqlite_store) == []

    asyncio.run(scenario())


def test_an_administrator_who_opens_delivery_details_is_told(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            mails = [site.deliver("basim", letter(subject)) for subject in ("Tulips", "Roses")]
            own = site.deliver("amal", letter("Mine"))
            admin, basim = await member(site, "amal"), await member(site, "basim")
            for mail_id in mails:
                assert (await basim.get(f"/journey/{mail_id}")).status == 200
            assert (await basim.get(f"/journey/{own}")).status == 404
            assert (await admin.get(f"/journey/{own}")).status == 200
            assert openings(store) == []
            for path in (mails[0], mails[1], f"{mails[1]}.json"):
                assert (await admin.get(f"/journey/{path}")).status == 200
            (event,) = openings(store)
            assert (event.name, event.actor, event.subject) == ("journey.opened", "amal", "basim")
            page = (await basim.get(ACTIVITY)).text
            assert "<bdi>amal</bdi> opened the delivery details of a message of" in page

    asyncio.run(scenario())


def test_mail_can_be_read_where_nothing_is_recorded(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            mail_id = site.deliver("basim", letter("Tulips"))
            await share(site, "basim", "amal")
            amal = await member(site, "amal")
            await store.write(rename, ("audit", "elsewhere"))
            for path in (site.inbox("basim"), f"{site.inbox('basim')}/1", f"/journey/{mail_id}"):
                page = await amal.get(path)
                assert (page.status, "Tulips" in page.text) == (200, "journey" not in path)
            await store.write(rename, ("elsewhere", "audit"))
            assert openings(store) == []
            # It is tried again with the next page.
            assert (await amal.get(site.inbox("basim"))).status == 200
            assert len(openings(store)) == 1

    asyncio.run(scenario())


def test_another_worker_does_not_record_it_again(store: Store) -> None:
    """The store is asked, too: not what one process remembers alone."""

    async def scenario() -> None:
        async with visiting(store) as site:
            basim, amal = site.entry("basim"), site.entry("amal")
            by = (NOW_MS, "amal", "web", "")
            opening = Opening(by, amal.account_id, basim.inbox)
            own = Opening(by, basim.account_id, basim.inbox)
            assert store.read_now(lambda conn: is_new_opening(conn, opening))
            assert not store.read_now(lambda conn: is_new_opening(conn, own))
            # Workers that found out at the same moment that it is new.
            some = [store.write_large(record_openings, opening, amal.account_id) for _ in range(4)]
            assert sorted(await asyncio.gather(*some)) == [0, 0, 0, 1]
            assert not store.read_now(lambda conn: is_new_opening(conn, opening))
            browser = await member(site, "amal")
            await share(site, "basim", "amal")
            assert (await browser.get(site.inbox("basim"))).status == 200
            assert len(openings(store)) == 1

    asyncio.run(scenario())


def test_a_mailbox_selected_by_imap_counts_once(store: Store, tmp_path: Path) -> None:
    make_reader(store)
    make_reader(store, "badr@north.test")

    async def scenario() -> None:
        async with (
            running(store),
            imap_place(store, tmp_path) as place,
            place.session("amal") as amal,
            place.session("badr") as badr,
        ):
            await amal.ok("CREATE Work")
            await amal.ok(f"SETACL Work badr {''.join(ALL_RIGHTS)}")
            await amal.ok("SELECT Work")
            await badr.ok("STATUS Shared/amal/Work (MESSAGES)")
            assert openings(store) == []
            await store.write(rename, ("audit", "elsewhere"))
            await badr.ok("SELECT Shared/amal/Work")
            await store.write(rename, ("elsewhere", "audit"))
            assert openings(store) == []
            for command in ("EXAMINE", "SELECT", "SELECT"):
                await badr.ok(f"{command} Shared/amal/Work")
            (event,) = openings(store)
            assert (event.actor, event.origin, event.subject) == ("badr", "imap", "amal")
            assert getattr(event, "mailbox", "") == "Work"

    asyncio.run(scenario())
