"""What is damaged in a store is found, and mended only where nothing is lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kit.store import make_account, make_intake
from zajil.core.ids import Uid
from zajil.read.indexer import read_summaries
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes
from zajil.store.mail.message_changes import ExpungeMessages, expunge_messages
from zajil.store.mail.summaries import find_waiting, write_summaries
from zajil.store.people.accounts import delete_account
from zajil.store.repair.check import find_damage, repair
from zajil.store.repair.damage import Damage
from zajil.store.schema import (
    account,
    address,
    blob,
    delegation,
    deleted_message,
    expunged,
    kept_block,
    mail,
    mailbox,
    message,
    recipient,
    scram_key,
    summary,
    text_segment,
    thread_link,
    trained,
)

Spoil = Callable[[sa.Connection], Any]


def look(store: Store, *, is_served: bool = False) -> list[Damage]:
    return find_damage(store, is_served=is_served, progress=lambda done, total: None)


@pytest.fixture
def filled(store: Store) -> Store:
    """Two messages of amal, the second in a file, the third expunged; one mail in the queue.

    The first has a summary.
    """
    amal = make_account(store, "amal@north.test")
    for content in (b"small", b"large" * 100_000, b"gone"):
        staged = store.blobs.stage_now([content]) if len(content) > 9 else None
        item = make_intake(staged or store.blobs.stage([content]), local=[amal])
        store.write_now(write_intakes, item)
    store.write_now(
        expunge_messages, ExpungeMessages(amal.account_id, amal.inbox, (Uid(3),), False)
    )
    waiting = store.read_now(lambda conn: find_waiting(conn, 1))
    new = store.read_now(lambda conn: read_summaries(conn, store.blobs, waiting))
    store.write_now(write_summaries, new)
    queued = make_intake(store.blobs.stage([b"queued"]), remote=["a@south.test"])
    store.write_now(write_intakes, queued)
    return store


def the_file(store: Store) -> Path:
    found = store.read_now(lambda conn: conn.scalars(sa.select(blob.c.location)).all())
    (location,) = [one for one in found if one]
    return store.blobs.files.folder / str(location)


def test_a_whole_store_is_right(filled: Store) -> None:
    told = []
    found = find_damage(filled, is_served=False, progress=lambda *step: told.append(step))
    assert found == []
    assert told[-1][0] == told[-1][1]
    assert told == sorted(told)


def test_what_an_account_leaves_is_right(filled: Store) -> None:
    other = make_account(filled, "badr@north.test")
    filled.write_now(delete_account, other.account_id)
    assert look(filled) == []


_INBOX = sa.update(mailbox).where(mailbox.c.role == "inbox")
_JUNK = sa.update(mailbox).where(mailbox.c.role == "junk")
_QUEUED = sa.select(mail.c.blob_id).where(mail.c.blob_id.is_not(None))
_FIRST = message.c.uid == 1
_A_DELIVERED_MAIL = (
    sa.select(sa.func.min(recipient.c.mail_id))
    .where(recipient.c.state == "delivered")
    .scalar_subquery()
)
_ADDRESS = {"key": "x@north.test", "address": "x@north.test", "domain": "north.test"}
_CASES: dict[str, tuple[Spoil, str, str, bool]] = {
    "a message without its blob": (
        lambda tx: tx.execute(
            sa.delete(blob).where(blob.c.id.in_(sa.select(message.c.blob_id).where(_FIRST)))
        ),
        "missing-blob",
        "message 1 in mailbox INBOX of amal",
        False,
    ),
    "a mail in the queue without its blob": (
        lambda tx: tx.execute(
            sa.delete(blob).where(
                blob.c.id.in_(sa.select(mail.c.blob_id).where(mail.c.blob_id != ""))
            )
        ),
        "missing-blob",
        "to a@south.test",
        False,
    ),
    "a blob without its bytes": (
        lambda tx: tx.execute(sa.update(blob).where(blob.c.size == 5).values(content=None)),
        "missing-blob",
        "blob ",
        False,
    ),
    "a blob cut short": (
        lambda tx: tx.execute(sa.update(blob).where(blob.c.size == 5).values(content=b"sma")),
        "wrong-size",
        "blob ",
        False,
    ),
    "a wrong size": (
        lambda tx: tx.execute(sa.update(message).where(_FIRST).values(size=1)),
        "wrong-size",
        "message 1 in mailbox INBOX of amal",
        True,
    ),
    "a next UID that was given": (
        lambda tx: tx.execute(_INBOX.values(uid_next=2)),
        "wrong-count",
        "mailbox INBOX",
        True,
    ),
    "a next UID that an expunged message had": (
        lambda tx: tx.execute(_INBOX.values(uid_next=3)),
        "wrong-count",
        "mailbox INBOX",
        True,
    ),
    "a MODSEQ that was given": (
        lambda tx: tx.execute(_INBOX.values(modseq=1)),
        "wrong-count",
        "mailbox INBOX",
        True,
    ),
    "a wrong number of deleted messages": (
        lambda tx: tx.execute(sa.update(account).values(deleted_messages=5)),
        "wrong-count",
        "account amal",
        True,
    ),
    "a deleted message without its blob": (
        lambda tx: tx.execute(
            sa.delete(blob).where(blob.c.id.in_(sa.select(deleted_message.c.blob_id)))
        ),
        "missing-blob",
        "deleted message 1 of account 1",
        True,
    ),
    "a deleted message of no account": (
        lambda tx: tx.execute(sa.update(deleted_message).values(account_id=99)),
        "orphan",
        "deleted message 1 of account 99",
        True,
    ),
    "a wrong number of messages": (
        lambda tx: tx.execute(_INBOX.values(messages=1)),
        "wrong-count",
        "mailbox INBOX",
        True,
    ),
    "a wrong number of bytes in an empty mailbox": (
        lambda tx: tx.execute(_JUNK.values(size=7)),
        "wrong-count",
        "mailbox Junk",
        True,
    ),
    "recent messages above the next UID": (
        lambda tx: tx.execute(_INBOX.values(recent_from=9)),
        "wrong-count",
        "mailbox INBOX",
        True,
    ),
    "a message that is expunged too": (
        lambda tx: tx.execute(
            sa.insert(expunged).from_select(
                ["mailbox_id", "modseq", "uid"],
                sa.select(message.c.mailbox_id, message.c.modseq, message.c.uid).where(_FIRST),
            )
        ),
        "wrong-count",
        "message 1 in mailbox INBOX of amal",
        True,
    ),
    "messages of no mailbox": (
        lambda tx: tx.execute(sa.update(message).where(_FIRST).values(mailbox_id=77)),
        "orphan",
        "message 1 in mailbox 77 of nobody",
        False,
    ),
    "a blob of nobody": (
        lambda tx: tx.execute(sa.insert(blob).values(id="x", size=1, content=b"x")),
        "orphan",
        "blob x",
        True,
    ),
    "a queue row without its mail": (
        lambda tx: tx.execute(
            sa.update(recipient).where(recipient.c.state == "waiting").values(mail_id="gone")
        ),
        "orphan",
        "recipient a@south.test of mail gone",
        True,
    ),
    "a mail whose bytes nobody waits for": (
        lambda tx: tx.execute(
            sa.update(recipient).where(recipient.c.state == "waiting").values(state="delivered")
        ),
        "orphan",
        "mail ",
        True,
    ),
    "an account without an address": (
        lambda tx: tx.execute(sa.delete(address).where(address.c.account_id.is_not(None))),
        "orphan",
        "account amal",
        False,
    ),
    "a mailbox of no account": (
        lambda tx: tx.execute(_JUNK.values(account_id=99)),
        "orphan",
        "mailbox of account 99",
        False,
    ),
    "a summary without its blob": (
        lambda tx: tx.execute(sa.update(summary).values(blob_id="x")),
        "orphan",
        "the summary of blob x",
        True,
    ),
    "threads of no account": (
        lambda tx: tx.execute(sa.insert(thread_link).values(account_id=99, key=1, thread_id="x")),
        "orphan",
        "threads of account 99",
        True,
    ),
    "a flag that does not exist": (
        lambda tx: tx.execute(sa.update(message).where(_FIRST).values(flags=1 + 64)),
        "wrong-value",
        "message 1 in mailbox INBOX of amal",
        True,
    ),
    "a message that is indexed and has no thread": (
        lambda tx: tx.execute(sa.update(message).where(_FIRST).values(indexed=1, thread_id=None)),
        "wrong-value",
        "message 1 in mailbox INBOX of amal",
        True,
    ),
    "a message of an unknown kind": (
        lambda tx: tx.execute(sa.update(message).where(_FIRST).values(indexed=7)),
        "wrong-value",
        "message 1 in mailbox INBOX of amal",
        True,
    ),
    "a negative MODSEQ": (
        lambda tx: tx.execute(sa.update(message).where(_FIRST).values(modseq=-1)),
        "wrong-value",
        "message 1 in mailbox INBOX of amal",
        False,
    ),
    "a UIDVALIDITY of zero": (
        lambda tx: tx.execute(_JUNK.values(uid_validity=0)),
        "wrong-value",
        "mailbox Junk",
        False,
    ),
    "a wrong size of a mail in the queue": (
        lambda tx: tx.execute(sa.update(mail).where(mail.c.blob_id != "").values(size=1)),
        "wrong-size",
        "mail ",
        True,
    ),
    "a wrong size of a deleted message": (
        lambda tx: tx.execute(sa.update(deleted_message).values(size=1)),
        "wrong-size",
        "deleted message 1 of account 1",
        True,
    ),
    "a mail that would never be tried": (
        lambda tx: tx.execute(
            sa.update(recipient).where(recipient.c.state == "waiting").values(next_try_ms=None)
        ),
        "wrong-value",
        "to a@south.test",
        True,
    ),
    "an unknown state in the queue": (
        lambda tx: tx.execute(
            sa.update(recipient)
            .where(recipient.c.mail_id == _A_DELIVERED_MAIL)
            .values(state="lost")
        ),
        "wrong-value",
        " to amal@north.test",
        False,
    ),
    "an address of nobody": (
        lambda tx: tx.execute(sa.insert(address).values(_ADDRESS)),
        "wrong-value",
        "address x@north.test",
        False,
    ),
    "an alias that cannot be read": (
        lambda tx: tx.execute(sa.insert(address).values(**_ADDRESS, targets='["a')),
        "wrong-value",
        "alias x@north.test",
        False,
    ),
    "a forwarding that cannot be read": (
        lambda tx: tx.execute(sa.update(account).values(forward_to="{}")),
        "wrong-value",
        "account amal",
        False,
    ),
    "kept headers of no mailbox": (
        lambda tx: tx.execute(
            sa.insert(kept_block).values(mailbox_id=99, number=1, kind=b"x", data=b"x")
        ),
        "orphan",
        "kept headers",
        True,
    ),
    "what was learned for no account": (
        lambda tx: tx.execute(
            sa.insert(trained).values(account_id=99, blob_id="x", is_junk=True, is_shared=False)
        ),
        "orphan",
        "mail that was learned from",
        True,
    ),
    "keys of an app password that is gone": (
        lambda tx: tx.execute(
            sa.insert(scram_key).values(
                login="x",
                app_password_id=9,
                salt=b"",
                iterations=1,
                stored_key=b"",
                server_key=b"",
            )
        ),
        "orphan",
        "keys of app passwords",
        True,
    ),
    "a segment of the index without words": (
        lambda tx: tx.execute(
            sa.insert(text_segment).values(account_id=1, messages=1, blob_ids=b"x")
        ),
        "wrong-count",
        " of the index of words",
        True,
    ),
    "a delegation to no account": (
        lambda tx: tx.execute(sa.insert(delegation).values(address_key="x", account_id=99)),
        "orphan",
        "delegation of account 99",
        False,
    ),
}


@pytest.mark.parametrize("name", _CASES)
def test_damage_is_found_and_mended(name: str, filled: Store) -> None:
    spoil, kind, what, can_repair = _CASES[name]
    with filled._dialect.writer.begin() as tx:
        spoil(tx)
    found = look(filled)
    assert [one.kind for one in found if what in one.what] == [kind]
    assert [one.can_repair for one in found if what in one.what] == [can_repair]
    assert all(one.reason and one.advice for one in found)
    repair(filled, is_served=False)
    left = look(filled)
    assert any(what in one.what for one in left) is not can_repair
    assert not [one for one in left if one.can_repair]


@pytest.mark.parametrize(
    ("spoil", "kind", "reason"),
    [
        (lambda path: path.unlink(), "missing-blob", "is missing"),
        (lambda path: path.write_bytes(b"short"), "wrong-size", "has 5 bytes and should have 500"),
        (lambda path: path.write_bytes(b""), "wrong-size", "has 0 bytes"),
        (lambda path: path.unlink() or path.mkdir(), "wrong-size", "should have 500"),
        (
            lambda path: path.unlink() or path.parent.rmdir() or path.parent.write_bytes(b""),
            "missing-blob",
            "is missing",
        ),
    ],
    ids=["missing", "short", "empty", "folder", "no folder"],
)
def test_a_file_of_a_message(spoil: Any, kind: str, reason: str, filled: Store) -> None:
    path = the_file(filled)
    spoil(path)
    (found,) = look(filled, is_served=True)
    assert (found.kind, found.what) == (kind, "message 2 in mailbox INBOX of amal")
    assert reason in found.reason
    assert str(path) in found.reason
    assert not found.can_repair


def test_files_without_a_row(filled: Store) -> None:
    """Beside a server a young one may belong to a transaction that is under way."""
    kept = the_file(filled)
    stray, old = kept.with_name("stray"), kept.with_name("old")
    for path in (stray, old):
        path.write_bytes(b"x")
    os.utime(old, (1, 1))
    names = {f"file blobs/{path.parent.name}/{path.name}" for path in (stray, old)}
    assert {one.what for one in look(filled)} == names
    (found,) = look(filled, is_served=True)
    assert (found.what, found.kind, found.can_repair) == (
        f"file blobs/{old.parent.name}/old",
        "orphan",
        True,
    )
    repair(filled, is_served=True)
    assert (stray.exists(), old.exists(), kept.exists()) == (True, False, True)
    repair(filled, is_served=False)
    assert (stray.exists(), kept.exists()) == (False, True)
    assert look(filled) == []


def test_a_page_that_is_damaged(tmp_path: Path) -> None:
    """PRAGMA integrity_check tells what no query does."""
    from kit.store import open_test_store

    store = open_test_store("sqlite", tmp_path)
    amal = make_account(store, "amal@north.test")
    for number in range(50):
        content = store.blobs.stage([b"%d" % number * 3000])
        store.write_now(write_intakes, make_intake(content, local=[amal]))
    store._dialect.close()
    file = tmp_path / "store.sqlite"
    with file.open("r+b") as raw:
        raw.seek(file.stat().st_size - 8 * 16384)
        raw.write(os.urandom(4 * 16384))
    found = find_damage(store, is_served=False, progress=lambda done, total: None)
    store.close_now()
    assert "unreadable" in {one.kind for one in found}
    assert all("\n" not in one.reason for one in found)
