"""INBOX as POP3 sees it: one session at a time has it, with the sizes that POP3 sends.

Laws:
- One session has a maildrop. A lease holds it: the worker of the session renews it, and a worker
  that takes a dead one's place ends the leases of that one; those of a node that is gone are
  ended by another node.
- Clocks of nodes that differ, and workers that were suspended, can let two sessions in for a
  moment. So a session asks for its lease once more before it deletes, and what it does is
  idempotent.
- ``size`` of a message is what POP3 sends, but for two octets where its last line has no end
  (an upload may be so). Those messages are known up to a UID, and found out from there on.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId, MailboxId, Uid
from zajil.core.value_class import value_class
from zajil.store.engine.rows import insert_rows
from zajil.store.mail.blobs import Blobs
from zajil.store.mail.messages import get_messages, open_messages
from zajil.store.schema import blob, maildrop, maildrop_open_end, message

NOBODY = ""


@value_class(frozen=True, slots=True, kw_only=True)
class MaildropTake:
    """A session wants the maildrop of its account."""

    account_id: AccountId
    holder: str
    """Node and worker."""
    token: str
    """Of the session."""
    now_ms: int
    until_ms: int
    """When the lease ends."""


@value_class(frozen=True, slots=True)
class MaildropRenewal:
    """A worker still has maildrops."""

    holder: str
    tokens: tuple[str, ...]
    until_ms: int


@value_class(frozen=True, slots=True)
class OpenEnds:
    """What was found out about messages of an account's INBOX."""

    account_id: AccountId
    examined_uid: Uid
    """All up to here were looked at."""
    found: tuple[Uid, ...]
    """Those among the new ones whose last line has no end."""
    gone: tuple[Uid, ...]
    """Those known before that are no longer there."""


@value_class(frozen=True, slots=True)
class MaildropFacts:
    """What was found out before."""

    examined_uid: Uid
    open_ends: frozenset[Uid]


def take_maildrops(tx: Connection, items: Sequence[MaildropTake]) -> list[bool]:
    """Take maildrops; return for each whether the session has it now.

    Unit of work: idempotent; locks the rows.
    """
    return [_take(tx, item) for item in items]


def _take(tx: Connection, item: MaildropTake) -> bool:
    values = {"holder": item.holder, "token": item.token, "until_ms": item.until_ms}
    row = tx.execute(_LOCKED, {"account_": item.account_id}).one_or_none()
    if row is None:
        return tx.execute(_INSERT, {"account": item.account_id, **values}).rowcount == 1
    if row.token not in (NOBODY, item.token) and row.until_ms > item.now_ms:
        return False
    tx.execute(sa.update(maildrop).where(_of(item.account_id)).values(values))
    return True


def renew_maildrops(tx: Connection, items: Sequence[MaildropRenewal]) -> list[frozenset[str]]:
    """Renew leases; return the tokens of the sessions that still have theirs.

    Unit of work: idempotent.
    """
    kept = []
    for item in items:
        mine = sa.and_(maildrop.c.holder == item.holder, maildrop.c.token.in_(item.tokens))
        renewed = sa.update(maildrop).where(mine).values(until_ms=item.until_ms)
        kept.append(frozenset(tx.scalars(renewed.returning(maildrop.c.token))))
    return kept


def release_maildrops(tx: Connection, tokens: Sequence[str]) -> list[None]:
    """End the leases of sessions.

    Unit of work: idempotent.
    """
    tx.execute(sa.update(maildrop).where(maildrop.c.token.in_(tokens)).values(_FREE))
    return [None] * len(tokens)


def release_all_maildrops(tx: Connection, holders: Sequence[str]) -> list[int]:
    """End all leases of workers that stop, or that are dead; return how many each had.

    Unit of work: idempotent.
    """
    return [
        tx.execute(sa.update(maildrop).where(maildrop.c.holder == holder).values(_FREE)).rowcount
        for holder in holders
    ]


def release_maildrops_of_node(tx: Connection, nodes: Sequence[str]) -> list[int]:
    """End all leases of nodes that are gone; return how many each had.

    Unit of work: idempotent.

    Args:
        tx: an open transaction.
        nodes: what the names of their workers begin with.
    """
    return [
        tx.execute(
            sa.update(maildrop)
            .where(maildrop.c.holder.startswith(name, autoescape=True))
            .values(_FREE)
        ).rowcount
        for name in nodes
    ]


def record_open_ends(tx: Connection, items: Sequence[OpenEnds]) -> list[None]:
    """Note which messages have a last line without an end.

    Unit of work: idempotent.
    """
    for item in items:
        ends = maildrop_open_end.c
        old = sa.and_(ends.account_id == item.account_id, ends.uid.in_([*item.gone, *item.found]))
        tx.execute(sa.delete(maildrop_open_end).where(old))
        rows = [(item.account_id, uid) for uid in item.found]
        insert_rows(tx, (ends.account_id, ends.uid), rows)
        known = sa.update(maildrop).where(_of(item.account_id))
        tx.execute(known.values(examined_uid=item.examined_uid))
    return [None] * len(items)


def delete_maildrops_of(tx: Connection, account_ids: Sequence[AccountId]) -> None:
    """Forget those of accounts that go; part of ``store.people.accounts.delete_account``."""
    for table in (maildrop, maildrop_open_end):
        tx.execute(sa.delete(table).where(table.c.account_id.in_(account_ids)))


# ---- queries ------------------------------------------------------------------------------------


def load_maildrop_facts(conn: Connection, account_id: AccountId) -> MaildropFacts:
    """Return what is known of the messages of an account's INBOX."""
    examined = conn.scalar(sa.select(maildrop.c.examined_uid).where(_of(account_id)))
    mine = maildrop_open_end.c.account_id == account_id
    uids = conn.scalars(sa.select(maildrop_open_end.c.uid).where(mine))
    return MaildropFacts(Uid(examined or 0), frozenset(uids))


def list_sizes(
    conn: Connection, mailbox_id: MailboxId, after: Uid, most: int
) -> list[tuple[Uid, int]]:
    """Return UIDs and sizes of the next messages behind a UID, ascending."""
    given = {"mailbox_": mailbox_id, "after_": after, "most_": most}
    return [(row.uid, row.size) for row in conn.execute(_SIZES, given)]


def find_open_ends(
    conn: Connection, blobs: Blobs, mailbox_id: MailboxId, after: Uid, until: Uid
) -> list[Uid]:
    """Return the messages behind a UID, up to another one, whose last line has no end.

    Raises:
        StoreUnavailable: a file cannot be read.
    """
    given = {"mailbox_": mailbox_id, "after_": after, "until_": until}
    found = [Uid(uid) for uid in conn.scalars(_OPEN_ENDS, given)]
    in_files = [Uid(uid) for uid in conn.scalars(_IN_FILES, given)]
    for one, reader in open_messages(conn, blobs, get_messages(conn, mailbox_id, in_files)):
        if reader is not None:
            with reader:
                if reader.read_at(max(0, reader.size - 2), 2) != b"\r\n":
                    found.append(one.uid)
    return sorted(found)


# ---- inside -------------------------------------------------------------------------------------


def _of(account_id: AccountId) -> sa.ColumnElement[bool]:
    return maildrop.c.account_id == account_id


_FREE = {"holder": NOBODY, "token": NOBODY, "until_ms": 0}
_LOCKED = (
    sa.select(maildrop.c.token, maildrop.c.until_ms)
    .where(maildrop.c.account_id == sa.bindparam("account_"))
    .with_for_update()
)
_INSERT = sa.text(
    "INSERT INTO maildrop (account_id, holder, token, until_ms, examined_uid)"
    " VALUES (:account, :holder, :token, :until_ms, 0) ON CONFLICT (account_id) DO NOTHING"
)
_MAILBOX = message.c.mailbox_id == sa.bindparam("mailbox_")
_AFTER = message.c.uid > sa.bindparam("after_")
_SIZES = (
    sa.select(message.c.uid, message.c.size)
    .where(_MAILBOX, _AFTER)
    .order_by(message.c.uid)
    .limit(sa.bindparam("most_"))
)
_RANGE = (
    sa.select(message.c.uid)
    .join(blob, blob.c.id == message.c.blob_id)
    .where(_MAILBOX, _AFTER, message.c.uid <= sa.bindparam("until_"))
)
_OPEN_ENDS = _RANGE.where(
    blob.c.content.is_not(None),
    sa.func.substr(blob.c.content, sa.func.length(blob.c.content) - 1)
    != sa.literal(b"\r\n", sa.LargeBinary),
)
_IN_FILES = _RANGE.where(blob.c.content.is_(None))
