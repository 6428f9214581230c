"""One commit holds everything that accepting a mail means."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from kit.store import make_account, make_intake, open_test_store, running
from zajil.core.address import Address
from zajil.core.ids import MailboxId
from zajil.store.engine.errors import StoreFull
from zajil.store.engine.open import Store
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.intake import Intake, Place, write_intakes
from zajil.store.schema import blob, event, mail, message, recipient
from zajil.tracking.packing import unpack_events


def count(store: Store, table: sa.Table) -> int:
    return store.read_now(
        lambda conn: conn.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
    )


def with_bad_mailbox(item: Intake) -> Intake:
    (copy,) = item.local
    return replace(item, local=(replace(copy, places=(Place(MailboxId(9999), "INBOX"),)),))


def test_a_local_mail_lies_in_its_mailbox(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    item = make_intake(store.blobs.stage([b"Subject: a\r\n", b"\r\nhello\r\n"]), local=[amal])
    assert store.write_now(write_intakes, item) == item.mail_id
    row = store.read_now(lambda conn: conn.execute(sa.select(message)).one())
    assert (row.mailbox_id, row.uid, row.modseq) == (amal.inbox, 1, 2)
    assert row.prefix == "Delivered-To: amal@north.test\r\n"
    assert row.size == len(row.prefix) + item.size
    body = store.read_now(lambda conn: store.blobs.read(conn, row.blob_id))
    assert body == b"Subject: a\r\n\r\nhello\r\n"


def test_recipients_are_history_and_queue(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    item = make_intake(
        store.blobs.stage([b"x"]), local=[amal], remote=["سلمى@xn--mgbai9azgqp6j.test"]
    )
    refused = ((Address("nobody", "north.test"), "550 5.1.1 no such user"),)
    store.write_now(write_intakes, replace(item, refused=refused))
    rows = store.read_now(
        lambda conn: conn.execute(sa.select(recipient).order_by(recipient.c.position)).all()
    )
    assert [(row.state, row.account_id, row.mailbox, row.next_hop) for row in rows] == [
        ("delivered", amal.account_id, "INBOX", None),
        ("waiting", None, None, "xn--mgbai9azgqp6j.test"),
        ("refused", None, None, None),
    ]
    assert rows[1].address == "سلمى@xn--mgbai9azgqp6j.test"
    assert rows[2].reason == "550 5.1.1 no such user"
    kept = store.read_now(lambda conn: conn.execute(sa.select(mail)).one())
    assert kept.blob_id == item.content.blob_id
    assert (kept.id, tuple(unpack_events(kept.events))) == (item.mail_id, item.events)
    assert count(store, event) == 0


def test_a_mail_nobody_gets_leaves_no_blob(store: Store) -> None:
    item = make_intake(store.blobs.stage([b"x"]))
    store.write_now(write_intakes, item)
    assert (count(store, mail), count(store, blob)) == (1, 0)


def test_a_batch_of_all_kinds_is_one_commit(store: Store) -> None:
    """Rows that differ in what is NULL share their statements."""
    people = [make_account(store, f"u{number}@north.test") for number in range(3)]

    async def run() -> int:
        async with running(store):
            items = [
                make_intake(
                    store.blobs.stage([b"body"]),
                    local=people[: number % 4],
                    remote=["a@south.test"] if number % 3 == 0 else [],
                    reverse_path=None if number % 5 == 0 else "s@elsewhere.test",
                )
                for number in range(60)
            ]
            before = store.writer.commits
            await asyncio.gather(*[store.write(write_intakes, item) for item in items])
            return store.writer.commits - before

    assert asyncio.run(run()) <= 5
    assert count(store, mail) == 60
    uids = store.read_now(
        lambda conn: list(
            conn.scalars(sa.select(message.c.uid).where(message.c.mailbox_id == people[0].inbox))
        )
    )
    assert sorted(uids) == list(range(1, 46))


def test_a_mailbox_that_went_fails_its_mail_alone(store: Store) -> None:
    amal = make_account(store, "amal@north.test")

    async def run() -> list[object]:
        async with running(store):
            good = [make_intake(store.blobs.stage([b"x"]), local=[amal]) for _ in range(5)]
            bad = with_bad_mailbox(make_intake(store.blobs.stage([b"x"]), local=[amal]))
            items = [*good[:2], bad, *good[2:]]
            return await asyncio.gather(
                *[store.write(write_intakes, item) for item in items], return_exceptions=True
            )

    outcomes = asyncio.run(run())
    assert [isinstance(outcome, NoSuchMailbox) for outcome in outcomes] == [
        index == 2 for index in range(6)
    ]
    assert (count(store, message), count(store, mail), count(store, blob)) == (5, 5, 5)


def test_less_space_than_the_reserve_refuses_new_mail_only(store_url: str, tmp_path: Path) -> None:
    store = open_test_store(store_url, tmp_path / "data", free_space_reserve=1 << 60)
    amal = make_account(store, "amal@north.test")
    with pytest.raises(StoreFull, match=r"less than store\.free_space_reserve"):
        store.write_now(write_intakes, make_intake(store.blobs.stage([b"x"]), local=[amal]))
    assert count(store, mail) == 0
    store.close_now()
