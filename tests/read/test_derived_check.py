"""Summaries and words that are not those of their messages are found, and written anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from kit.store import make_account, make_intake
from zajil.core.ids import MailboxId
from zajil.read.derived_check import DerivedCheck
from zajil.read.indexer import reindex
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes
from zajil.store.mail.text_index import delete_segments
from zajil.store.mail.text_lookup import find_hits
from zajil.store.repair.contents import check_contents
from zajil.store.schema import message, summary, text_segment

Spoil = Callable[[sa.Connection], Any]
_MAILS = (
    b"From: Basim <b@south.test>\r\nSubject: Tea\r\n\r\nA cup of tea\r\n",
    b"From: c@south.test\r\nSubject: Zebra\r\nReferences: <1@x> <2@x>\r\n\r\nstripes\r\n",
    bytes(range(256)),
    b"",
)


@pytest.fixture
def indexed(store: Store) -> Store:
    """Some messages that the indexer has read."""
    amal = make_account(store, "amal@north.test")
    badr = make_account(store, "badr@north.test")
    for content in _MAILS:
        staged = store.blobs.stage([content])
        store.write_now(write_intakes, make_intake(staged, local=[amal, badr]))
    reindex(store, lambda done, total: None)
    return store


def look(store: Store) -> DerivedCheck:
    check = DerivedCheck(store)
    check_contents(store, lambda done, total: None, look=check.look)
    check.look_at_index()
    return check


def _of(subject: str) -> sa.ColumnElement[bool]:
    return summary.c.subject == subject


_SPOILS: dict[str, tuple[Spoil, str, int]] = {
    "a subject": (
        lambda tx: tx.execute(sa.update(summary).where(_of("Tea")).values(subject="Coffee")),
        "wrong-summary",
        1,
    ),
    "an envelope": (
        lambda tx: tx.execute(sa.update(summary).where(_of("Tea")).values(envelope=b"()")),
        "wrong-summary",
        1,
    ),
    "the people": (
        lambda tx: tx.execute(sa.update(summary).where(_of("Tea")).values(people="[[],[],[]]")),
        "wrong-summary",
        1,
    ),
    "a summary that is gone": (
        lambda tx: tx.execute(sa.delete(summary).where(_of("Zebra"))),
        "wrong-summary",
        1,
    ),
    "an index that is gone": (
        lambda tx: delete_segments(tx, list(tx.scalars(sa.select(text_segment.c.id)))),
        "wrong-words",
        2,
    ),
    "a segment that cannot be read": (
        lambda tx: tx.execute(sa.update(text_segment).values(blob_ids=b"x")),
        "wrong-words",
        3,
    ),
    "words that cannot be read": (
        lambda tx: tx.execute(sa.text("UPDATE text_block SET words = numbers")),
        "wrong-words",
        1,
    ),
}


def test_what_the_indexer_wrote_is_right(indexed: Store) -> None:
    assert look(indexed).damage == []


def test_what_waits_for_the_indexer_is_right(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    staged = store.blobs.stage([_MAILS[0]])
    store.write_now(write_intakes, make_intake(staged, local=[amal]))
    assert look(store).damage == []


@pytest.mark.parametrize("name", _SPOILS)
def test_what_is_wrong_is_written_anew(name: str, indexed: Store) -> None:
    spoil, kind, least = _SPOILS[name]
    with indexed._dialect.writer.begin() as tx:
        spoil(tx)
    found = look(indexed)
    kinds = [one.kind for one in found.damage]
    assert set(kinds) == {kind}
    assert len(kinds) >= least
    assert all(one.can_repair and one.reason for one in found.damage)
    found.repair()
    reindex_waiting(indexed)
    assert look(indexed).damage == []
    box = indexed.read_now(lambda conn: conn.scalar(sa.select(sa.func.min(message.c.mailbox_id))))
    hits = indexed.read_now(lambda conn: find_hits(conn, MailboxId(box or 0), "tea"))
    assert hits is not None
    assert list(hits.possible)[:1] == [1]


def reindex_waiting(store: Store) -> None:
    """Do what the indexer of a server does with messages that wait."""
    waits = sa.select(sa.func.count()).select_from(message).where(message.c.indexed == 0)
    if store.read_now(lambda conn: conn.scalar(waits)):
        reindex(store, lambda done, total: None)
