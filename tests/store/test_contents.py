"""The bytes of messages are compared with their digests, a seventh each night or all at once."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import sqlalchemy as sa

from kit.store import make_account, make_intake
from zajil.core.ids import AccountId, BlobId, MailboxId, Uid
from zajil.store.engine.check_results import (
    PARTS,
    ROWS,
    CheckResult,
    load_checks,
    record_checks,
)
from zajil.store.engine.open import Store
from zajil.store.mail.digests import compute_digests, write_digests
from zajil.store.mail.intake import write_intakes
from zajil.store.mail.message_changes import ExpungeMessages, expunge_messages
from zajil.store.repair.check import find_damage
from zajil.store.repair.contents import Contents, check_contents, part_of, results_of
from zajil.store.schema import blob, message

_SMALL = [b"Subject: %d\r\n\r\n" % number for number in range(20)]
_LARGE = b"large" * 100_000


@pytest.fixture
def filled(store: Store) -> Store:
    """Some messages of amal, the last in a file."""
    amal = make_account(store, "amal@north.test")
    for content in (*_SMALL, _LARGE):
        stage = store.blobs.stage_now if content is _LARGE else store.blobs.stage
        store.write_now(write_intakes, make_intake(stage([content]), local=[amal]))
    return store


def read_all(store: Store, **options: object) -> Contents:
    return check_contents(store, lambda done, total: None, **options)  # type: ignore[arg-type]


def blobs_of(store: Store) -> dict[str, tuple[int, bytes | None, str | None]]:
    query = sa.select(blob.c.id, blob.c.size, blob.c.digest, blob.c.location)
    rows = store.read_now(lambda conn: conn.execute(query).all())
    return {row.id: (row.size, row.digest and bytes(row.digest), row.location) for row in rows}


def the_file(store: Store) -> Path:
    (location,) = [one for _, _, one in blobs_of(store).values() if one]
    return store.blobs.files.folder / str(location)


def flip(data: bytes) -> bytes:
    """Change one bit in the middle."""
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


def change(store: Store, *statements: sa.Update | sa.Delete) -> None:
    with store._dialect.writer.begin() as tx:
        for statement in statements:
            tx.execute(statement)


def test_each_message_has_the_digest_of_its_bytes(filled: Store) -> None:
    """In memory, in a file, and what came piece by piece to a file of its own."""
    wanted = sorted(hashlib.sha256(one).digest() for one in (*_SMALL, _LARGE))
    assert sorted(digest or b"" for _, digest, _ in blobs_of(filled).values()) == wanted
    spill = filled.blobs.spill(0)
    filled.blobs.discard(filled.blobs.stage_now([b"head", spill.content()]))

    async def collect() -> bytes:
        for piece in (b"one", b"two" * 90_000, b"three"):
            wait = spill.add(piece)
            if wait is not None:
                await wait
        staged = filled.blobs.stage_now([b"head", spill.content(1)])
        filled.blobs.discard(staged)
        return staged.digest

    import asyncio

    found = asyncio.run(collect())
    assert found == hashlib.sha256(b"headne" + b"two" * 90_000 + b"three").digest()


def test_a_flipped_bit_is_found(filled: Store) -> None:
    right = read_all(filled)
    assert (right.blobs, right.bytes, right.damage) == (21, sum(map(len, (*_SMALL, _LARGE))), ())
    victim = next(one for one, (size, _, _) in blobs_of(filled).items() if size == len(_SMALL[3]))
    content = filled.read_now(lambda conn: filled.blobs.read(conn, BlobId(victim)))
    change(filled, sa.update(blob).where(blob.c.id == victim).values(content=flip(content)))
    the_file(filled).write_bytes(flip(_LARGE))
    # Neither a size nor a row says anything of it.
    assert find_damage(filled, is_served=False, progress=lambda done, total: None) == []
    found = read_all(filled)
    assert {one.kind for one in found.damage} == {"wrong-bytes"}
    assert "message 21 in mailbox INBOX of amal" in {one.what for one in found.damage}
    assert len(found.damage) == 2
    assert victim in found.damaged_ids
    assert all("SHA-256" in one.reason and not one.can_repair for one in found.damage)


def test_damaged_bytes_are_named_by_all_who_need_them(filled: Store) -> None:
    """A message that can be taken back, and a mail that waits in the queue."""
    queued = make_intake(filled.blobs.stage([b"queued"]), remote=["a@south.test"])
    filled.write_now(write_intakes, queued)
    inbox = filled.read_now(lambda conn: conn.scalar(sa.select(sa.func.min(message.c.mailbox_id))))
    gone = ExpungeMessages(AccountId(1), MailboxId(inbox or 0), (Uid(1),), False)
    filled.write_now(expunge_messages, gone)
    digest = {"digest": bytes(32)}
    change(filled, sa.update(blob).where(blob.c.content.is_not(None)).values(digest))
    names = {one.what for one in read_all(filled).damage}
    assert "deleted message 1 of account 1" in names
    assert f"mail {queued.mail_id} in the queue" in names


def test_a_seventh_at_a_time(filled: Store) -> None:
    """The parts together are everything, and a blob never changes its part."""
    parts = [read_all(filled, part=part) for part in range(PARTS)]
    assert sum(one.blobs for one in parts) == 21
    ids = sorted(blobs_of(filled))
    part = part_of(ids[0])
    other = next(one for one in ids if part_of(one) != part)
    assert read_all(filled, part=part, also=[other]).blobs == parts[part].blobs + 1
    seen: list[str] = []
    read_all(filled, part=part, look=lambda some: seen.extend(one.blob_id for one in some))
    assert seen == [one for one in ids if part_of(one) == part]


def test_what_cannot_be_compared_says_nothing(filled: Store) -> None:
    """A message of an older version; one whose file is missing is for the check of rows."""
    change(filled, sa.update(blob).values(digest=None))
    assert (read_all(filled).blobs, read_all(filled).damage) == (21, ())
    the_file(filled).unlink()
    # Of one that is too short ``find_damage`` tells.
    small = blob.c.content.is_not(None)
    change(filled, sa.update(blob).where(small).values(content=b"x", digest=bytes(32)))
    assert read_all(filled).damage == ()


def test_older_messages_get_their_digests(filled: Store) -> None:
    before = blobs_of(filled)
    change(filled, sa.update(blob).where(blob.c.size != len(_SMALL[0])).values(digest=None))
    after: str | None = ""
    while after is not None:
        found, after = compute_digests(filled, after)
        filled.write_now(write_digests, found)
    assert blobs_of(filled) == before
    change(filled, sa.update(blob).values(digest=None))
    the_file(filled).unlink()
    found, last = compute_digests(filled, "")
    assert len(found) == 20
    assert last is not None


def test_results_are_remembered(filled: Store) -> None:
    ids = sorted(blobs_of(filled))[:3]
    contents = Contents(21, 7, (), tuple(map(BlobId, ids)))
    rows = CheckResult(ROWS, 5, 1, 0, ("mailbox INBOX (1) has ...",))
    filled.write_now(record_checks, (rows, *results_of(contents, 5)))
    filled.write_now(record_checks, (rows,))
    found = filled.read_now(load_checks)
    assert found[ROWS] == rows
    assert set(found) == {*range(PARTS), ROWS}
    assert sorted(one for part in range(PARTS) for one in found[part].damaged) == ids
    assert (found[0].blobs, found[0].bytes) == (21, 7)
