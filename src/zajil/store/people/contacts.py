"""Contacts of an account.

Law: a contact that is deleted stays for ``KEPT_MS``: its owner may want it back.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.errors import NotFound, Refused
from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.message.normal_form import search_form
from zajil.store.people.written_to import begins, lock_account, words_of
from zajil.store.schema import contact, written_to

MOST_CONTACTS = 10_000
"""Of one account, with those that were deleted lately."""
KEPT_MS = 7 * 86_400_000
"""How long a deleted contact can come back."""
_AT_ONCE = 500


class TooManyContacts(Refused):
    """The account has ``MOST_CONTACTS`` already."""


@value_class(frozen=True, slots=True, kw_only=True)
class Contact:
    """One entry of an address book; the operation has checked lengths and form."""

    contact_id: int = 0
    """0: it is new."""
    uid: str
    """UID of its vCard: an account has one contact of it."""
    name: str
    emails: tuple[str, ...] = ()
    """In Unicode form; the first is the one to write to."""
    phones: tuple[str, ...] = ()
    organisation: str = ""
    note: str = ""
    groups: tuple[str, ...] = ()
    has_photo: bool = False


@value_class(frozen=True, slots=True)
class Photo:
    """The picture of a contact."""

    media_type: str
    data: bytes


@value_class(frozen=True, slots=True, kw_only=True)
class SavedContact:
    """What ``save_contacts`` takes."""

    account_id: AccountId
    contact: Contact
    """With an id, that contact is changed. Without, one of the same UID is, or it is a new one."""
    photo: Photo | None = None
    """``None``: it stays as it is, unless ``drops_photo``."""
    drops_photo: bool = False
    now_ms: int


@value_class(frozen=True, slots=True)
class ContactsOf:
    """Some contacts of an account."""

    account_id: AccountId
    contact_ids: tuple[int, ...]
    now_ms: int


@value_class(frozen=True, slots=True)
class DeletedAt:
    """Contacts of an account that were deleted together."""

    account_id: AccountId
    deleted_ms: int


# ---- queries ------------------------------------------------------------------------------------


def list_contacts(
    conn: Connection, account_id: AccountId, text: str = "", group: str = ""
) -> list[Contact]:
    """Return contacts of an account in the order of their names.

    Args:
        conn: a snapshot.
        account_id: whose.
        text: only those in which each word of it begins a word; ``""``: all.
        group: only those of this group; ``""``: all.
    """
    query = sa.select(*_COLUMNS).where(_of(account_id)).order_by(contact.c.sort_key, contact.c.id)
    for word in search_form(text).split():
        query = query.where(begins(contact.c.words, word))
    if group:  # this also finds groups that are named alike
        query = query.where(contact.c.groups.contains(_json([group])[1:-1], autoescape=True))
    found = [_read(row) for row in conn.execute(query)]
    return [one for one in found if group in one.groups] if group else found


def list_groups(conn: Connection, account_id: AccountId) -> list[str]:
    """Return the groups that any contact of an account is in, in their order."""
    query = sa.select(contact.c.groups).where(_of(account_id), contact.c.groups != "[]").distinct()
    names = {name for groups in conn.scalars(query) for name in json.loads(groups)}
    return sorted(names, key=lambda name: (name.casefold(), name))


def get_contact(conn: Connection, account_id: AccountId, contact_id: int) -> Contact | None:
    """Return one contact; ``None``: it is deleted, or another account's."""
    query = sa.select(*_COLUMNS).where(_of(account_id), contact.c.id == contact_id)
    row = conn.execute(query).one_or_none()
    return None if row is None else _read(row)


def get_photo(conn: Connection, account_id: AccountId, contact_id: int) -> Photo | None:
    """Return the picture of a contact; ``None``: there is none."""
    query = sa.select(contact.c.photo_type, contact.c.photo).where(
        _of(account_id), contact.c.id == contact_id
    )
    row = conn.execute(query).one_or_none()
    return None if row is None or row.photo is None else Photo(row.photo_type, bytes(row.photo))


def find_by_address(conn: Connection, account_id: AccountId, address: str) -> Contact | None:
    """Return the first contact that has this address, in whichever case."""
    wanted = search_form(address)
    query = sa.select(*_COLUMNS).where(_of(account_id), begins(contact.c.words, wanted))
    for row in conn.execute(query.order_by(contact.c.id)):
        found = _read(row)
        if wanted in map(search_form, found.emails):
            return found
    return None


def find_contacts_with(
    conn: Connection, account_id: AccountId, beginning: str, limit: int
) -> list[Contact]:
    """Return contacts with an address of which a word begins so, of the name or of an address."""
    query = sa.select(*_COLUMNS).where(_of(account_id), contact.c.emails != "[]")
    for word in search_form(beginning).split():
        query = query.where(begins(contact.c.words, word))
    return [_read(row) for row in conn.execute(query.order_by(contact.c.sort_key).limit(limit))]


# ---- units of work ------------------------------------------------------------------------------


def save_contacts(tx: Connection, items: Sequence[SavedContact]) -> list[int]:
    """Write contacts; return their ids. A deleted one of the same UID comes back.

    Unit of work: idempotent; locks the row of the account.

    Raises:
        NotFound: the account, or a contact that was to be changed, is gone.
        TooManyContacts: the account would have too many; nothing is changed.
    """
    return [_save(tx, item) for item in items]


def delete_contacts(tx: Connection, items: Sequence[ContactsOf]) -> list[int]:
    """Delete contacts, for good after ``KEPT_MS``; return how many were there.

    Unit of work: idempotent. What was deleted before that time is removed.
    """
    counts: list[int] = []
    for item in items:
        lock_account(tx, item.account_id)
        tx.execute(
            sa.delete(contact).where(
                contact.c.account_id == item.account_id,
                contact.c.deleted_ms < item.now_ms - KEPT_MS,
            )
        )
        count = 0
        for start in range(0, len(item.contact_ids), _AT_ONCE):
            some = item.contact_ids[start : start + _AT_ONCE]
            found = list(
                tx.scalars(
                    sa.select(contact.c.id).where(_of(item.account_id), contact.c.id.in_(some))
                )
            )
            tx.execute(
                sa.update(contact).where(contact.c.id.in_(found)).values(deleted_ms=item.now_ms)
            )
            count += len(found)
        counts.append(count)
    return counts


def restore_contacts(tx: Connection, items: Sequence[DeletedAt]) -> list[int]:
    """Bring back what was deleted together; return how many. Unit of work: idempotent."""
    counts: list[int] = []
    for item in items:
        lock_account(tx, item.account_id)
        found = list(
            tx.scalars(
                sa.select(contact.c.id).where(
                    contact.c.account_id == item.account_id,
                    contact.c.deleted_ms == item.deleted_ms,
                )
            )
        )
        for start in range(0, len(found), _AT_ONCE):
            some = found[start : start + _AT_ONCE]
            tx.execute(sa.update(contact).where(contact.c.id.in_(some)).values(deleted_ms=None))
        counts.append(len(found))
    return counts


def delete_contacts_of(tx: Connection, account_ids: Sequence[AccountId]) -> list[None]:
    """Remove all contacts of accounts, and whom they wrote to. Unit of work: idempotent."""
    for table in (contact, written_to):
        tx.execute(sa.delete(table).where(table.c.account_id.in_(account_ids)))
    return [None] * len(account_ids)


# ---- inside -------------------------------------------------------------------------------------

_COLUMNS = (
    contact.c.id,
    contact.c.uid,
    contact.c.name,
    contact.c.emails,
    contact.c.phones,
    contact.c.organisation,
    contact.c.note,
    contact.c.groups,
    contact.c.photo_type,
)


def _of(account_id: AccountId) -> sa.ColumnElement[bool]:
    return sa.and_(contact.c.account_id == account_id, contact.c.deleted_ms.is_(None))


def _read(row: Any) -> Contact:
    return Contact(
        contact_id=row.id,
        uid=row.uid,
        name=row.name,
        emails=tuple(json.loads(row.emails)),
        phones=tuple(json.loads(row.phones)),
        organisation=row.organisation,
        note=row.note,
        groups=tuple(json.loads(row.groups)),
        has_photo=bool(row.photo_type),
    )


def _json(values: Sequence[str]) -> str:
    return json.dumps(values, ensure_ascii=False)


def _save(tx: Connection, item: SavedContact) -> int:
    if not lock_account(tx, item.account_id):
        raise NotFound(f"account does not exist: {item.account_id}")
    one = item.contact
    values: dict[str, Any] = {
        "uid": one.uid,
        "name": one.name,
        "sort_key": search_form(one.name or (one.emails or ("",))[0])[:200],
        "emails": _json(one.emails),
        "phones": _json(one.phones),
        "organisation": one.organisation,
        "note": one.note,
        "groups": _json(one.groups),
        "words": words_of(one.name, one.organisation, *one.emails),
        "deleted_ms": None,
    }
    if item.photo is not None:
        values |= {"photo_type": item.photo.media_type, "photo": item.photo.data}
    elif item.drops_photo:
        values |= {"photo_type": "", "photo": None}
    here = contact.c.account_id == item.account_id
    same = contact.c.id == one.contact_id if one.contact_id else contact.c.uid == one.uid
    found: int | None = tx.scalar(sa.select(contact.c.id).where(here, same))
    if found is not None:
        tx.execute(sa.update(contact).where(contact.c.id == found).values(values))
        return found
    if one.contact_id:
        raise NotFound("the contact was removed")
    count = tx.scalar(sa.select(sa.func.count()).select_from(contact).where(here)) or 0
    if count >= MOST_CONTACTS:
        raise TooManyContacts(f"an account can have at most {MOST_CONTACTS} contacts")
    values |= {"account_id": item.account_id}
    values.setdefault("photo_type", "")
    made: int = tx.execute(sa.insert(contact).values(values).returning(contact.c.id)).scalar_one()
    return made
