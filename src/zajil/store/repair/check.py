"""Find what is damaged in a store, and mend what can be mended without losing anything.

It works beside a running server: each look is a short snapshot, and what was seen in one is asked
again before it is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.service import QUEUED
from zajil.store.blobs.holdings import (
    WrongBytes,
    find_wrong_files,
    find_wrong_objects,
    in_file,
)
from zajil.store.blobs.moving import count_places
from zajil.store.blobs.used_keys import missing_keys
from zajil.store.engine.dialect import Progress
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import ORPHAN_AGE_MS, Store
from zajil.store.mail.blob_rows import release_blobs
from zajil.store.repair.contents import name_blob
from zajil.store.repair.counts import COUNT_RULES, repair_counts
from zajil.store.repair.damage import REPAIR, RESTORE, RULES, Damage, Rule
from zajil.store.repair.derived import reindex_accounts_of
from zajil.store.repair.values import VALUE_RULES, repair_values
from zajil.store.schema import (
    account,
    blob,
    deleted_message,
    expunged,
    mail,
    mailbox,
    message,
    recipient,
    summary,
    text_block,
    text_segment,
    thread_link,
)

_PORTION = 1000
_ALL_RULES = (*RULES, *COUNT_RULES, *VALUE_RULES)


def find_damage_in_copy(store: Store, progress: Progress) -> list[Damage]:
    """Look at the database of a copy without files: at itself, and at its rows."""
    found = _look(store, _integrity)
    if found:
        return found
    for done, rule in enumerate(_ALL_RULES):
        progress(done, len(_ALL_RULES))
        found += _look(store, partial(_apply, rule))
    progress(1, 1)
    return found


def find_damage(
    store: Store, *, is_served: bool, progress: Progress, is_light: bool = False
) -> list[Damage]:
    """Look at everything: the database itself, its rows, the files of large messages.

    Args:
        store: opened; not started.
        is_served: a server runs: a new file may belong to a transaction that is under way.
        progress: told of the steps: one for each rule, and for each portion of files.
        is_light: leave out what reads the whole database in one snapshot, and files without a row.
    """
    found = [] if is_light else _look(store, _integrity)
    if found:
        return found  # the answers of other queries would mean nothing
    files = store.read_now(lambda conn: conn.scalar(_COUNT_FILES)) or 0
    total, done = len(_ALL_RULES) + 2 + files // _PORTION, 0
    for rule in _ALL_RULES:
        found += _look(store, partial(_apply, rule))
        done += 1
        progress(done, total)
    for damage in (*_files(store), *([] if is_light else _objects(store))):
        if isinstance(damage, Damage):
            found.append(damage)
        else:
            done += 1
            progress(min(done, total), total)
    found += [] if is_light else _keys(store)
    orphans = [] if is_light else store.orphans(_age(is_served=is_served))
    found += [
        Damage("orphan", f"file blobs/{name}", "no row of the store names it", REPAIR, True)
        for name in orphans
    ]
    progress(total, total)
    return found


def repair(store: Store, *, is_served: bool) -> None:
    """Mend what ``find_damage`` calls reparable; the rest stays as it is.

    One commit, which locks what it changes; then files without a row are removed.
    """
    store.write_now(_repair, None)
    store.sweep(_age(is_served=is_served))


def _age(*, is_served: bool) -> int:
    # Without a server nothing is under way; the clock of a file may be ahead of ours.
    return ORPHAN_AGE_MS if is_served else -ORPHAN_AGE_MS


def _look(store: Store, query: Callable[[Connection], list[Damage]]) -> list[Damage]:
    try:
        found = store.read_now(query)
    except (sa.exc.DBAPIError, StoreUnavailable) as error:
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        reason = " ".join(str(cause).split())
        return [Damage("unreadable", "the database", reason, "restore it from a backup")]
    return found


def _apply(rule: Rule, conn: Connection) -> list[Damage]:
    return list(rule.find(conn))


def _integrity(conn: Connection) -> list[Damage]:
    if conn.dialect.name != "sqlite":
        return []  # PostgreSQL has amcheck for it
    lines = [str(line) for line in conn.scalars(sa.text("PRAGMA integrity_check"))]
    return [
        Damage("unreadable", "the database", " ".join(line.split()), "restore it from a backup")
        for line in lines
        if line != "ok"
    ]


def _files(store: Store) -> Iterator[Damage | None]:
    """Return what is wrong with the files of blobs; ``None`` after each portion."""
    return _compared(store, find_wrong_files)


def _objects(store: Store) -> Iterator[Damage | None]:
    """Return what is wrong with objects in S3; ``None`` after each portion."""
    if store.read_now(count_places)[1] == 0:
        return
    try:
        yield from _compared(store, find_wrong_objects)
    except StoreUnavailable as error:
        yield Damage("unreachable", "the messages in S3", str(error), CHECK_AGAIN)


def _compared(
    store: Store, find: Callable[[Store, Callable[[], None]], Iterator[WrongBytes]]
) -> Iterator[Damage | None]:
    waiting: list[None] = []
    for wrong in find(store, lambda: waiting.append(None)):
        yield from waiting
        waiting.clear()
        names = store.read_now(partial(name_blob, blob_id=wrong.blob_id))
        if names is not None:
            kind = "missing-blob" if wrong.is_missing else "wrong-size"
            yield Damage(kind, names, wrong.reason, RESTORE)
    yield from waiting


def _keys(store: Store) -> list[Damage]:
    return [
        Damage(
            "missing-key",
            f"key {one}",
            "messages are encrypted with it, and store.key_file does not contain it",
            "put the copy of the key there, in a line of its own",
        )
        for one in missing_keys(store)
    ]


def _repair(tx: Connection, items: Sequence[None]) -> list[None]:
    """Unit of work: idempotent; locks mailboxes and blobs that it changes; records nothing."""
    numbers = (
        sa.select(message.c.mailbox_id.label("id"), message.c.uid, message.c.modseq)
        .union_all(sa.select(expunged.c.mailbox_id, expunged.c.uid, expunged.c.modseq))
        .subquery()
    )
    for column, highest, step in (
        (mailbox.c.uid_next, numbers.c.uid, 1),
        (mailbox.c.modseq, numbers.c.modseq, 0),
    ):
        least = (
            sa.select(sa.func.max(highest) + step)
            .where(numbers.c.id == mailbox.c.id)
            .scalar_subquery()
        )
        tx.execute(sa.update(mailbox).where(column < least).values({column: least}))
    above = mailbox.c.recent_from > mailbox.c.uid_next
    tx.execute(sa.update(mailbox).where(above).values(recent_from=mailbox.c.uid_next))
    there = sa.exists().where(
        message.c.mailbox_id == expunged.c.mailbox_id, message.c.uid == expunged.c.uid
    )
    tx.execute(sa.delete(expunged).where(there))
    size = (
        sa.select(sa.func.octet_length(message.c.prefix) + blob.c.size)
        .where(blob.c.id == message.c.blob_id)
        .scalar_subquery()
    )
    tx.execute(sa.update(message).where(message.c.size != size).values(size=size))
    repair_values(tx)
    repair_counts(tx)
    no_mail = ~sa.exists().where(mail.c.id == recipient.c.mail_id)
    tx.execute(sa.delete(recipient).where(no_mail))
    waits = sa.exists().where(recipient.c.mail_id == mail.c.id, recipient.c.state.in_(QUEUED))
    tx.execute(sa.update(mail).where(mail.c.blob_id.is_not(None), ~waits).values(blob_id=None))
    unused = sa.select(blob.c.id).where(
        ~sa.exists().where(message.c.blob_id == blob.c.id),
        ~sa.exists().where(mail.c.blob_id == blob.c.id),
        ~sa.exists().where(deleted_message.c.blob_id == blob.c.id),
    )
    ids = tx.scalars(unused).all()
    for start in range(0, len(ids), _PORTION):
        release_blobs(tx, ids[start : start + _PORTION])
    tx.execute(sa.delete(summary).where(~sa.exists().where(blob.c.id == summary.c.blob_id)))
    _repair_index(tx)
    return [None] * len(items)


def _repair_index(tx: Connection) -> None:
    no_account = ~sa.exists().where(account.c.id == thread_link.c.account_id)
    tx.execute(sa.delete(thread_link).where(no_account))
    no_owner = ~sa.exists().where(account.c.id == text_segment.c.account_id)
    tx.execute(sa.delete(text_segment).where(no_owner))
    wordless = ~sa.exists().where(text_block.c.segment_id == text_segment.c.id)
    reindex_accounts_of(tx, [list(tx.scalars(sa.select(text_segment.c.id).where(wordless)))])
    no_segment = ~sa.exists().where(text_segment.c.id == text_block.c.segment_id)
    tx.execute(sa.delete(text_block).where(no_segment))


_COUNT_FILES = sa.select(sa.func.count()).select_from(blob).where(in_file())
CHECK_AGAIN = "check again when S3 answers"
