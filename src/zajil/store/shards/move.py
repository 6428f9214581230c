"""An account goes to another shard: what each of the two stores does for it (decision 0020).

Laws:
- An account is active in one shard at most, and reached by the catalogue there alone.
- Its messages are taken out of the old shard in the transaction that has found them to be the same
  as what was copied. A mail that was under way finds no mailbox then: it is deferred, not lost.
- All units can be repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.address import parse_address
from zajil.core.errors import Refused
from zajil.core.ids import AccountId, BlobId, MailboxId
from zajil.core.password import MOVED_AWAY
from zajil.core.service import RecipientState
from zajil.core.value_class import value_class
from zajil.store.engine.batch import DIRECTORY, QUEUE, touch
from zajil.store.engine.rows import AT_ONCE, insert_rows, portions
from zajil.store.mail.append import lock_mailboxes
from zajil.store.mail.blob_rows import release_blobs, write_blobs
from zajil.store.mail.blobs import Blobs, NoSuchBlob, StagedBlob
from zajil.store.mail.deleted import delete_deleted_of
from zajil.store.people.accounts import (
    AccountRow,
    delete_mailboxes_of,
    delete_rows_of,
    get_account,
)
from zajil.store.people.delegations import drop_delegations_for, drop_delegations_of
from zajil.store.schema import (
    account,
    address,
    blob,
    counter,
    deleted_message,
    mailbox,
    mailbox_right,
    message,
    recipient,
    summary,
)
from zajil.store.shards.rows import Digests, comparable, copy_rows, digest_rows, is_same

_UID_VALIDITY = "uid_validity"
"""Row of table ``counter`` (``store.mail.mailbox_changes``)."""


class CannotMove(Refused):
    """The new shard has the login name or address already; the text says which."""


class AlreadyEmptied(Refused):
    """The messages of the account are in the new shard alone; nothing was changed."""


class CopyDiffers(Refused):
    """What was written is not what was read: nothing was kept."""


# ---- bytes of messages ---------------------------------------------------------------------------


def blobs_of_account(conn: Connection, account_id: AccountId) -> dict[BlobId, int]:
    """Return the blobs of all messages of an account, deleted ones as well, with their sizes."""
    boxes = sa.select(mailbox.c.id).where(mailbox.c.account_id == account_id)
    kept = sa.select(message.c.blob_id).where(message.c.mailbox_id.in_(boxes))
    gone = sa.select(deleted_message.c.blob_id).where(deleted_message.c.account_id == account_id)
    search = sa.select(blob.c.id, blob.c.size).where(blob.c.id.in_(kept.union(gone)))
    return {BlobId(row.id): row.size for row in conn.execute(search.order_by(blob.c.id))}


_PIECE = 262_144
"""Bytes of a message that are copied at a time."""


@value_class(frozen=True, slots=True)
class CopiedBlobs:
    """What ``put_copied_blobs`` takes."""

    staged: tuple[StagedBlob, ...]
    summaries: tuple[tuple[object, ...], ...]
    """Rows of table ``summary``."""


def stage_copies(
    conn: Connection, source: Blobs, target: Blobs, blob_ids: Sequence[BlobId]
) -> CopiedBlobs:
    """Write the bytes of blobs to another shard, where they are large, and return all of them.

    They keep the digests of their rows: a message that is damaged here is damaged there, too.

    Args:
        conn: a snapshot of the old shard.
        source: blobs of the old shard.
        target: blobs of the new one.
        blob_ids: those that are deleted meanwhile are passed over.

    Raises:
        StoreFull, StoreUnavailable: one cannot be read or written.
    """
    query = sa.select(blob.c.id, blob.c.digest).where(blob.c.id.in_(blob_ids))
    digests = {row.id: row.digest for row in conn.execute(query)}
    staged: list[StagedBlob] = []
    for blob_id in (one for one in blob_ids if one in digests):
        with source.open(conn, blob_id) as reader:
            pieces = (
                reader.read_at(start, min(_PIECE, reader.size - start))
                for start in range(0, reader.size, _PIECE)
            )
            copy = target.stage_again(blob_id, reader.size, pieces)
        known = digests[blob_id]
        staged.append(copy if known is None else replace(copy, digest=bytes(known)))
    return CopiedBlobs(tuple(staged), read_summaries(conn, blob_ids))


def read_summaries(conn: Connection, blob_ids: Sequence[BlobId]) -> tuple[tuple[object, ...], ...]:
    """Return the summaries of some blobs, as ``CopiedBlobs`` takes them."""
    rows = conn.execute(sa.select(summary).where(summary.c.blob_id.in_(blob_ids)))
    return tuple(tuple(row) for row in rows)


def put_copied_blobs(tx: Connection, items: Sequence[CopiedBlobs]) -> list[None]:
    """Keep blobs of another shard under their ids, before anything refers to them.

    Unit of work: idempotent; locks nothing.
    """
    for item in items:
        there = _present(tx, [one.blob_id for one in item.staged])
        write_blobs(tx, [one for one in item.staged if one.blob_id not in there])
        insert_rows(tx, list(summary.columns), item.summaries, keep_old=True)
    return [None] * len(items)


def _present(conn: Connection, blob_ids: Sequence[BlobId]) -> set[BlobId]:
    found: set[BlobId] = set()
    for some in portions(sorted(blob_ids)):
        found.update(map(BlobId, conn.scalars(sa.select(blob.c.id).where(blob.c.id.in_(some)))))
    return found


# ---- rows ----------------------------------------------------------------------------------------


@value_class(frozen=True, slots=True)
class Incoming:
    """What ``receive_account`` takes."""

    source: Connection
    """A snapshot of the old shard."""
    account_id: AccountId


def receive_account(tx: Connection, items: Sequence[Incoming]) -> list[Digests]:
    """Copy the rows of accounts from their old shard; here they are suspended.

    What an earlier attempt has left is replaced.

    Unit of work: idempotent; touches the directory.

    Returns:
        For each the digests of what was read.

    Raises:
        AlreadyEmptied: there is nothing left to copy, and what is here stays.
        CannotMove: somebody here has its login name or address.
        NoSuchBlob: a message is not here yet: copy it, and try again.
        CopyDiffers: what was written is not what was read.
    """
    return [_receive(tx, item) for item in items]


def _receive(tx: Connection, item: Incoming) -> Digests:
    row = get_account(item.source, item.account_id)
    if row is None:
        raise LookupError(f"account {item.account_id} is not in its shard")
    if is_emptied(item.source, row):
        raise AlreadyEmptied(f"account {item.account_id} has no messages in its old shard")
    before = get_account(tx, item.account_id)
    if before is not None:
        if before.active or before.address.key != row.address.key:
            raise CannotMove(f"an account with the id {item.account_id} is there already")
        _forget_copy(tx, item.account_id)
    require_free(tx, row.login, row.address.key)
    _require_blobs(tx, item)
    _raise_uid_validity(tx, item.source)
    read = copy_rows(item.source, tx, item.account_id)
    written = digest_rows(tx, item.account_id)
    if not is_same(comparable(read), written) or _counts(read) != _counts(written):
        raise CopyDiffers("the copy is not the same as the original; nothing was changed")
    touch(tx, DIRECTORY)
    return read


def _forget_copy(tx: Connection, account_id: AccountId) -> None:
    """Remove the rows of an earlier attempt; the blobs stay, for the next one refers to them."""
    boxes = sa.select(mailbox.c.id).where(mailbox.c.account_id == account_id)
    tx.execute(sa.delete(message).where(message.c.mailbox_id.in_(boxes)))
    tx.execute(sa.delete(deleted_message).where(deleted_message.c.account_id == account_id))
    delete_rows_of(tx, [account_id])


def require_free(conn: Connection, login: str, address_key: str) -> None:
    """Do nothing if nobody in this shard has a login name or an address.

    Raises:
        CannotMove: somebody has.
    """
    if conn.scalar(sa.select(account.c.id).where(account.c.login == login)) is not None:
        raise CannotMove(
            f"the login {login} is taken in the other shard; `zajil account rename` changes it"
        )
    if conn.scalar(sa.select(address.c.key).where(address.c.key == address_key)) is not None:
        raise CannotMove(f"the address {address_key} is taken in the other shard")


def _counts(digests: Digests) -> dict[str, str]:
    return {name: text.partition(":")[0] for name, text in digests.items()}


def _require_blobs(tx: Connection, item: Incoming) -> None:
    wanted = list(blobs_of_account(item.source, item.account_id))
    there: set[BlobId] = set()
    for start in range(0, len(wanted), AT_ONCE):
        some = wanted[start : start + AT_ONCE]
        search = sa.select(blob.c.id).where(blob.c.id.in_(some)).order_by(blob.c.id)
        if tx.dialect.name == "postgresql":
            search = search.with_for_update(read=True, key_share=True)
        there.update(map(BlobId, tx.scalars(search)))
    missing = [one for one in wanted if one not in there]
    if missing:
        raise NoSuchBlob(missing[0])


def _raise_uid_validity(tx: Connection, source: Connection) -> None:
    """Have new mailboxes here get larger UIDVALIDITYs than any of the old shard."""
    search = sa.select(counter.c.value).where(counter.c.name == _UID_VALIDITY)
    theirs = source.scalar(search)
    if theirs is None:
        return
    mine = tx.scalar(search)
    if mine is None:
        tx.execute(sa.insert(counter).values(name=_UID_VALIDITY, value=theirs))
    elif mine < theirs:
        change = sa.update(counter).where(counter.c.name == _UID_VALIDITY)
        tx.execute(change.values(value=theirs))


@value_class(frozen=True, slots=True)
class Emptying:
    """What ``empty_account`` takes."""

    account_id: AccountId
    copied: Digests
    """Of what the new shard has."""


def empty_account(tx: Connection, items: Sequence[Emptying]) -> list[bool]:
    """Take the messages of suspended accounts away, if they are still what was copied.

    What waited in the queue for their mailboxes waits for their addresses from now on.

    Unit of work: idempotent; locks the mailboxes; touches them, the queue and the directory.

    Returns:
        For each whether it was done; ``False``: something changed, and nothing was done.
    """
    return [_empty(tx, item) for item in items]


def _empty(tx: Connection, item: Emptying) -> bool:
    mine = sa.select(mailbox.c.id).where(mailbox.c.account_id == item.account_id)
    lock_mailboxes(tx, [MailboxId(one) for one in tx.scalars(mine)])
    row = get_account(tx, item.account_id)
    if row is None or row.active or is_emptied(tx, row):
        return False
    if not is_same(digest_rows(tx, item.account_id, steady=True), item.copied):
        return False
    _send_on(tx, item.account_id)
    delete_mailboxes_of(tx, item.account_id)
    delete_deleted_of(tx, [item.account_id])
    rest = sa.update(account).where(account.c.id == item.account_id)
    tx.execute(rest.values(password_hash=MOVED_AWAY))
    touch(tx, DIRECTORY, QUEUE)
    return True


def is_emptied(conn: Connection, row: AccountRow) -> bool:
    """Return whether the messages of an account in its old shard were taken away.

    It says so itself, in the same commit: the catalogue is in another database, and hears later. An
    account without an INBOX has nothing that could be copied, whatever else became of it.
    """
    inbox = sa.select(mailbox.c.id).where(
        mailbox.c.account_id == row.account_id, mailbox.c.role == "inbox"
    )
    return row.password_hash == MOVED_AWAY or conn.scalar(inbox) is None


def _send_on(tx: Connection, account_id: AccountId) -> None:
    """Have copies that wait for a mailbox of the account be sent to its address."""
    waiting = sa.select(recipient.c.mail_id, recipient.c.position, recipient.c.address).where(
        recipient.c.account_id == account_id,
        recipient.c.state.in_((RecipientState.WAITING, RecipientState.HELD)),
        recipient.c.next_hop.is_(None),
    )
    for row in tx.execute(waiting).all():
        one = (recipient.c.mail_id == row.mail_id) & (recipient.c.position == row.position)
        tx.execute(
            sa.update(recipient)
            .where(one)
            .values(
                account_id=None,
                mailbox=None,
                next_hop=parse_address(row.address).domain,
                # Who tries it now cannot write what came of it.
                lease_owner=None,
                lease_token=None,
                lease_until_ms=None,
            )
        )


def let_go(tx: Connection, account_ids: Sequence[AccountId]) -> list[None]:
    """Remove what is left of accounts that are in another shard now; aliases to them stay.

    Unit of work: idempotent; touches the directory.
    """
    for account_id in account_ids:
        row = get_account(tx, account_id)
        if row is not None:
            drop_delegations_of(tx, account_id)
            drop_delegations_for(tx, row.address)
            delete_rows_of(tx, [account_id])
    touch(tx, DIRECTORY)
    return [None] * len(account_ids)


@value_class(frozen=True, slots=True)
class Undone:
    """What ``remove_copy`` takes."""

    account_id: AccountId
    blob_ids: tuple[BlobId, ...]
    """Of the account in its old shard."""


def remove_copy(tx: Connection, items: Sequence[Undone]) -> list[None]:
    """Remove what was copied of accounts that stay in their old shard.

    Unit of work: idempotent; touches the directory.
    """
    for item in items:
        there = get_account(tx, item.account_id)
        if there is not None and not there.active:
            delete_rows_of(tx, [item.account_id])
        for start in range(0, len(item.blob_ids), AT_ONCE):
            release_blobs(tx, item.blob_ids[start : start + AT_ONCE])
    touch(tx, DIRECTORY)
    return [None] * len(items)


def shared_with_others(conn: Connection, account_id: AccountId) -> list[str]:
    """Return sentences about mailboxes that are shared with an account, or by it."""
    boxes = {box.id: box.name for box in conn.execute(_BOXES, {"account_": account_id})}
    sentences: list[str] = []
    for row in conn.execute(_SHARED, {"ids_": list(boxes)}):
        login = conn.scalar(sa.select(account.c.login).where(account.c.id == row.account_id))
        sentences.append(f"its mailbox {boxes[row.mailbox_id]} is shared with {login}")
    theirs = sa.select(sa.func.count()).select_from(mailbox_right)
    count = conn.scalar(theirs.where(mailbox_right.c.account_id == account_id)) or 0
    if count:
        sentences.append(f"mailboxes of others are shared with it: {count}")
    return sentences


_BOXES = sa.select(mailbox.c.id, mailbox.c.name).where(
    mailbox.c.account_id == sa.bindparam("account_")
)
_SHARED = sa.select(mailbox_right.c.mailbox_id, mailbox_right.c.account_id).where(
    mailbox_right.c.mailbox_id.in_(sa.bindparam("ids_", expanding=True)),
    mailbox_right.c.account_id != 0,
)
