"""Annotations of mailboxes and of the server. (RFC 5464)

Laws:
- An annotation below ``/private`` is of one account, also on a mailbox of another; one below
  ``/shared`` is of the mailbox.
- Annotations go with their mailbox, and the private ones with their account.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.errors import Refused
from zajil.core.ids import AccountId, MailboxId
from zajil.core.value_class import value_class
from zajil.store.engine.batch import mailbox_topic, names_topic, touch
from zajil.store.mail.access import NoRight, touch_names
from zajil.store.mail.append import NoSuchMailbox, lock_mailboxes
from zajil.store.mail.mailboxes import Mailbox, find_mailbox
from zajil.store.schema import annotation, mailbox

MAX_VALUE = 16_384
"""Bytes of one value; RFC 5464 section 4.1 demands 1,024."""
MAX_ON_MAILBOX = 100
"""Annotations of one mailbox that one account sees; RFC 5464 section 4.1 demands 10."""
MAX_BYTES = 1 << 20
"""Bytes of all private annotations of an account, and of all shared ones of its mailboxes."""

SERVER = MailboxId(0)
"""Stands for the server in the table."""
SHARED = AccountId(0)
"""Stands for everybody in the table."""

_AT_ONCE = 1000
_ALL_LEVELS = 1 << 16


class TooManyAnnotations(Refused):
    """The mailbox or the account has as many as it may."""


@value_class(frozen=True, slots=True)
class NewAnnotations:
    """What ``set_annotations`` takes."""

    account_id: AccountId
    name: str
    """Of the mailbox; ``""``: of the server."""
    values: Mapping[str, bytes | None] = field(hash=False)
    """By entry in lower case; ``None`` removes it. Each at most ``MAX_VALUE`` bytes."""
    may_change_server: bool = False
    """The account may set what all accounts see of the server."""


def set_annotations(tx: Connection, items: Sequence[NewAnnotations]) -> list[None]:
    """Set or remove annotations, all of an item or none.

    Unit of work: idempotent but for the MODSEQ; locks the mailboxes; touches their topics, and the
    names of the accounts that see them.

    Raises:
        NoSuchMailbox: there is none of this name.
        NoRight: the account may not annotate it so.
        TooManyAnnotations: the mailbox or the account has as many as it may.
    """
    annotated: set[MailboxId] = set()
    for item in items:
        box = None if not item.name else find_annotated(tx, item.account_id, item.name)
        mailbox_id = SERVER if box is None else box.mailbox_id
        for entry, value in item.values.items():
            is_shared = entry.startswith("/shared/")
            if is_shared and not _may_share(item, box):
                raise NoRight(entry)
            owner = SHARED if is_shared else item.account_id
            _set(tx, (mailbox_id, owner, entry), value)
            if box is not None and is_shared:
                touch_names(tx, mailbox_id, box.owner_id)
            else:
                touch(tx, names_topic(owner))
            if value is not None:
                _check_room(tx, mailbox_id, owner, box)
        if box is not None and item.values:
            annotated.add(mailbox_id)
    # RFC 7162 section 3.2: a client that looks at the MODSEQ sees that there is something new.
    lock_mailboxes(tx, sorted(annotated))
    changed = mailbox.c.id.in_(sorted(annotated))
    tx.execute(sa.update(mailbox).where(changed).values(modseq=mailbox.c.modseq + 1))
    touch(tx, *map(mailbox_topic, annotated))
    return [None] * len(items)


def find_annotated(conn: Connection, account_id: AccountId, name: str) -> Mailbox:
    """Return a mailbox whose annotations an account may see. (RFC 5464 section 3.3)

    Raises:
        NoSuchMailbox: there is none of this name.
        NoRight: the account may see it, and no more.
    """
    box = find_mailbox(conn, account_id, name, "l")
    if box is None:
        raise NoSuchMailbox(name)
    if not box.rights.intersection("rswip"):
        raise NoRight(name)
    return box


def find_annotations(
    conn: Connection,
    account_id: AccountId,
    mailbox_ids: Sequence[MailboxId],
    entries: Sequence[str],
    depth: int = 0,
) -> dict[MailboxId, dict[str, bytes]]:
    """Return annotations that an account sees.

    Args:
        conn: a snapshot.
        account_id: whose private ones are meant.
        mailbox_ids: of mailboxes that ``find_annotated`` would return; ``SERVER``.
        entries: in lower case.
        depth: how many levels below each entry.

    Returns:
        Values by mailbox and entry, in the order of the entries' names.
    """
    found: dict[MailboxId, dict[str, bytes]] = {one: {} for one in mailbox_ids}
    for start in range(0, len(mailbox_ids), _AT_ONCE):
        rows = conn.execute(
            sa.select(annotation)
            .where(annotation.c.mailbox_id.in_(mailbox_ids[start : start + _AT_ONCE]))
            .where(annotation.c.account_id.in_([SHARED, account_id]))
            .order_by(annotation.c.entry)
        )
        for row in rows:
            if is_asked(row.entry, entries, depth):
                found[row.mailbox_id][row.entry] = bytes(row.value)
    return found


def is_asked(entry: str, wanted: Sequence[str], depth: int) -> bool:
    """Return whether an entry is one of those wanted, or not too deep below one."""
    return any(_is_at(entry, one, depth) for one in wanted)


def list_annotations(
    conn: Connection, account_id: AccountId, mailbox_ids: Sequence[MailboxId]
) -> dict[tuple[MailboxId, str], bytes]:
    """Return all annotations of mailboxes that an account sees, by mailbox and entry."""
    roots = ("/private", "/shared")
    found = find_annotations(conn, account_id, mailbox_ids, roots, _ALL_LEVELS)
    return {(one, entry): value for one in found for entry, value in found[one].items()}


def delete_annotations_on(tx: Connection, mailbox_ids: Sequence[MailboxId]) -> None:
    """Forget the annotations of mailboxes that are removed."""
    for start in range(0, len(mailbox_ids), _AT_ONCE):
        some = mailbox_ids[start : start + _AT_ONCE]
        tx.execute(sa.delete(annotation).where(annotation.c.mailbox_id.in_(some)))


def delete_annotations_of(tx: Connection, account_ids: Sequence[AccountId]) -> None:
    """Forget the private annotations of accounts that are removed."""
    tx.execute(sa.delete(annotation).where(annotation.c.account_id.in_(account_ids)))


def copy_annotations(tx: Connection, source: MailboxId, target: MailboxId) -> None:
    """Give a mailbox those of another: INBOX is renamed. (RFC 5464 section 4.1)"""
    new_id = sa.literal(target, mailbox.c.id.type)
    columns = annotation.c
    rows = sa.select(new_id, columns.account_id, columns.entry, columns.value).where(
        columns.mailbox_id == source
    )
    names = ["mailbox_id", "account_id", "entry", "value"]
    tx.execute(sa.insert(annotation).from_select(names, rows))


# ---- inside -------------------------------------------------------------------------------------


def _may_share(item: NewAnnotations, box: Mailbox | None) -> bool:
    # Stricter than RFC 5464 section 3.3, where who may read a mailbox may annotate it for all.
    return item.may_change_server if box is None else "w" in box.rights


def _is_at(entry: str, wanted: str, depth: int) -> bool:
    """Return whether an entry is the wanted one, or not too deep below it."""
    if entry == wanted:
        return True
    below = entry.removeprefix(wanted + "/")
    return below != entry and below.count("/") < depth


def _set(tx: Connection, key: tuple[MailboxId, AccountId, str], value: bytes | None) -> None:
    mailbox_id, account_id, entry = key
    row = {"mailbox_id": mailbox_id, "account_id": account_id, "entry": entry}
    columns = annotation.c
    here = (
        columns.mailbox_id == mailbox_id,
        columns.account_id == account_id,
        columns.entry == entry,
    )
    tx.execute(sa.delete(annotation).where(*here))
    if value is not None:
        tx.execute(sa.insert(annotation), {**row, "value": value})


def _check_room(
    tx: Connection, mailbox_id: MailboxId, account_id: AccountId, box: Mailbox | None
) -> None:
    columns = annotation.c
    together = (columns.mailbox_id == mailbox_id, columns.account_id == account_id)
    count = tx.scalar(sa.select(sa.func.count()).select_from(annotation).where(*together))
    size = sa.select(sa.func.sum(sa.func.octet_length(columns.value)))
    if account_id != SHARED:
        size = size.where(columns.account_id == account_id)
    elif box is None:
        size = size.where(*together)
    else:
        size = size.join(mailbox, mailbox.c.id == columns.mailbox_id).where(
            mailbox.c.account_id == box.owner_id, columns.account_id == SHARED
        )
    if (count or 0) > MAX_ON_MAILBOX or (tx.scalar(size) or 0) > MAX_BYTES:
        raise TooManyAnnotations("there are too many annotations")
