"""Messages that were moved in from elsewhere, each once: which ones an account has had already.

Laws:
- The row that says so is written in the commit that appends the message: a run that is killed
  leaves neither without the other.
- What was moved in once is not moved in again, wherever it is now: its owner may have deleted it.
- No delivery: no filter, no notification, no journey.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from enum import Enum

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, BlobId, MailboxId, Uid
from zajil.core.value_class import value_class
from zajil.store.engine.batch import caps_of, require_space, time_of
from zajil.store.engine.rows import execute_text, insert_rows, mark_of, marks_of, portions
from zajil.store.mail.append import Append, append_messages
from zajil.store.mail.blob_rows import write_blobs
from zajil.store.mail.blobs import StagedBlob
from zajil.store.mail.flags import pack_flags
from zajil.store.mail.open_mailboxes import open_mailboxes
from zajil.store.mail.room import require_room
from zajil.store.mail.uploads import MailboxIsFull
from zajil.store.schema import imported, mailbox, push_subscription


class Doubles(Enum):
    """Where a message whose key is new may have come from before: it is known by its bytes."""

    NONE = "none"
    MAILBOX = "mailbox"
    """From this mailbox, when its keys had another beginning (before the dot)."""
    SOURCE = "source"
    """From another mailbox of the source: this one has the messages of all."""


@value_class(frozen=True, slots=True)
class ImportOrigin:
    """A mailbox of a source, as rows name it."""

    account_id: AccountId
    source: str
    mailbox: str


@value_class(frozen=True, slots=True, kw_only=True)
class ImportedMessage:
    """A message on its way in."""

    key: str
    """Names it in the mailbox of the source, in each run."""
    mailbox_id: MailboxId
    content: StagedBlob
    flags: frozenset[str]
    received_at_ms: int
    """INTERNALDATE."""


@value_class(frozen=True, slots=True, kw_only=True)
class Import:
    """What ``import_messages`` takes: messages of one mailbox of a source."""

    origin: ImportOrigin
    messages: tuple[ImportedMessage, ...]
    ignore_quota: bool = False
    doubles: Doubles = Doubles.NONE


def import_messages(tx: Connection, items: Sequence[Import]) -> list[tuple[Uid | None, ...]]:
    """Put messages at the end of mailboxes, without those that came earlier.

    Unit of work: idempotent; locks the mailboxes; touches their topics.

    Returns:
        For each item one UID per message; ``None``: it came earlier, and its blob is not used.

    Raises:
        NoSuchMailbox: one is gone; nothing of this batch will be committed.
        MailboxIsFull: it would have more messages than a mailbox may.
        OverQuota: the account would have more than it may.
        StoreFull: less space is free than the reserve.
    """
    require_space(tx)
    wanted = {
        (item.origin.account_id, one.mailbox_id, "i") for item in items for one in item.messages
    }
    open_mailboxes(tx, wanted)
    results = [_import(tx, item) for item in items]
    limited = {one.mailbox_id for it in items if not it.ignore_quota for one in it.messages}
    if limited:
        require_room(tx, limited)
    return results


def _import(tx: Connection, item: Import) -> tuple[Uid | None, ...]:
    fresh = _remember(tx, item)
    new = [one for one in item.messages if one.key in fresh]
    write_blobs(tx, [one.content for one in new])
    appends = []
    for one in new:
        bits, keywords = pack_flags(one.flags)
        appends.append(
            Append(
                mailbox_id=one.mailbox_id,
                blob_id=one.content.blob_id,
                size=one.content.size,
                received_at_ms=one.received_at_ms,
                flags=bits,
                keywords=keywords,
                saved_at_ms=time_of(tx),
            )
        )
    placed = append_messages(tx, appends)
    uids_in: dict[MailboxId, list[Uid]] = defaultdict(list)
    for append, place in zip(appends, placed, strict=True):
        uids_in[append.mailbox_id].append(place.uid)
    for mailbox_id, some in uids_in.items():
        _require_space_in(tx, mailbox_id)
        _silence(tx, item.origin.account_id, mailbox_id, some)
    uids = dict(zip([one.key for one in new], [one.uid for one in placed], strict=True))
    return tuple([uids.get(one.key) for one in item.messages])


def _remember(tx: Connection, item: Import) -> AbstractSet[str]:
    """Write the rows of messages that have none; return the keys of these."""
    origin = item.origin
    known = find_imported(tx, origin, [one.key for one in item.messages])
    # Of two with one key, the first is taken.
    new = {one.key: one for one in reversed(item.messages) if one.key not in known}
    blobs = _find_doubles(tx, item, list(new.values()))
    rows = [
        (
            *_values(origin),
            one.key,
            blobs.get(one.key, one.content.blob_id),
            digest_of(one.content),
        )
        for one in reversed(new.values())
    ]
    insert_rows(tx, _COLUMNS, rows)
    return new.keys() - blobs.keys()


def _find_doubles(
    tx: Connection, item: Import, new: Sequence[ImportedMessage]
) -> dict[str, BlobId]:
    """Return, by key, the blobs of messages that came before with another key."""
    if item.doubles is Doubles.NONE:
        return {}
    mark, origin = mark_of(tx), item.origin
    by_digest: dict[str, list[tuple[str, str, BlobId]]] = defaultdict(list)
    for some in portions({digest_of(one.content) for one in new}):
        # The names are constants.
        query = (
            "SELECT digest, mailbox, key, blob_id FROM imported"  # noqa: S608
            f" WHERE account_id = {mark} AND source = {mark} AND digest IN {marks_of(tx, some)}"
        )
        for digest, *row in execute_text(tx, query, (origin.account_id, origin.source, *some)):
            by_digest[digest].append(tuple(row))
    found: dict[str, BlobId] = {}
    for one in new:
        for name, key, blob_id in by_digest[digest_of(one.content)]:
            is_here = name == origin.mailbox
            is_older = is_here and key.partition(".")[0] != one.key.partition(".")[0]
            if is_older or (item.doubles is Doubles.SOURCE and not is_here):
                found[one.key] = blob_id
    return found


def digest_of(content: StagedBlob) -> str:
    """Return how rows name the bytes of a message."""
    return content.digest.hex()[:_DIGEST]


def find_imported(conn: Connection, origin: ImportOrigin, keys: Sequence[str]) -> set[str]:
    """Return those of the keys whose messages were moved in."""
    found: set[str] = set()
    mark = mark_of(conn)
    for some in portions(keys):
        # The names are constants.
        query = (
            f"SELECT key FROM imported WHERE account_id = {mark} AND source = {mark}"  # noqa: S608
            f" AND mailbox = {mark} AND key IN {marks_of(conn, some)}"
        )
        found.update(row[0] for row in execute_text(conn, query, (*_values(origin), *some)))
    return found


def find_lost(conn: Connection, origin: ImportOrigin, keys: Sequence[str]) -> set[str]:
    """Return those of the keys whose messages the account has no more, not even deleted."""
    lost: set[str] = set()
    mark = mark_of(conn)
    for some in portions(keys):
        # The names are constants.
        query = (
            f"SELECT key FROM imported WHERE account_id = {mark} AND source = {mark}"  # noqa: S608
            f" AND mailbox = {mark} AND key IN {marks_of(conn, some)}"
            " AND NOT EXISTS (SELECT 1 FROM message JOIN mailbox AS box"
            " ON box.id = message.mailbox_id WHERE message.blob_id = imported.blob_id"
            " AND box.account_id = imported.account_id)"
        )
        lost.update(row[0] for row in execute_text(conn, query, (*_values(origin), *some)))
    return lost


@value_class(frozen=True, slots=True)
class Forgotten:
    """What ``forget_imported`` takes."""

    origin: ImportOrigin
    keys: tuple[str, ...]


def forget_imported(tx: Connection, items: Sequence[Forgotten]) -> list[None]:
    """Forget that messages were moved in: the next run moves them in again.

    Unit of work: idempotent; locks nothing; touches nothing.
    """
    for item in items:
        for some in portions(item.keys):
            tx.execute(
                sa.delete(imported).where(
                    imported.c.account_id == item.origin.account_id,
                    imported.c.source == item.origin.source,
                    imported.c.mailbox == item.origin.mailbox,
                    imported.c.key.in_(some),
                )
            )
    return [None] * len(items)


def delete_imported_of(tx: Connection, account_ids: Sequence[AccountId]) -> None:
    """Forget those of accounts that go; part of ``store.people.accounts.delete_account``."""
    tx.execute(sa.delete(imported).where(imported.c.account_id.in_(account_ids)))


# ---- inside -------------------------------------------------------------------------------------

_DIGEST = 32
"""Characters of it that are kept: 128 bits."""
_COLUMNS = (
    imported.c.account_id,
    imported.c.source,
    imported.c.mailbox,
    imported.c.key,
    imported.c.blob_id,
    imported.c.digest,
)


def _values(origin: ImportOrigin) -> tuple[AccountId, str, str]:
    return origin.account_id, origin.source, origin.mailbox


def _require_space_in(tx: Connection, mailbox_id: MailboxId) -> None:
    most = caps_of(tx).mailbox_messages
    held = tx.scalar(sa.select(mailbox.c.messages).where(mailbox.c.id == mailbox_id)) or 0
    if most and held > most:
        raise MailboxIsFull(f"a mailbox has at most {most} messages")


def _silence(
    tx: Connection, account_id: AccountId, mailbox_id: MailboxId, uids: Sequence[Uid]
) -> None:
    """Let browsers that were told of everything so far not be told of these. (INBOX)"""
    inbox = sa.select(mailbox.c.id).where(mailbox.c.id == mailbox_id, mailbox.c.role == "inbox")
    tx.execute(
        sa.update(push_subscription)
        .where(
            push_subscription.c.account_id == account_id,
            push_subscription.c.told_uid == uids[0],
            inbox.exists(),
        )
        .values(told_uid=uids[-1] + 1)
    )
