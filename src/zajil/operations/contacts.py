"""The address book of an account: contacts, their import, and whom the account wrote to.

They are private to their owner and change nothing of the server: they leave no audit event.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from zajil.core.actor import Actor
from zajil.core.address import BadAddress, parse_address
from zajil.core.errors import Invalid
from zajil.core.ids import AccountId
from zajil.message.address_list import NamedAddress
from zajil.message.vcard import (
    MAX_NAME,
    MAX_NOTE,
    MAX_PHOTO,
    MAX_VALUES,
    Card,
    photo_type,
    storable,
)
from zajil.operations.context import NotAllowed, OperationContext
from zajil.store.engine.writer import Transaction
from zajil.store.people.contacts import (
    Contact,
    ContactsOf,
    DeletedAt,
    Photo,
    SavedContact,
    delete_contacts,
    find_by_address,
    restore_contacts,
    save_contacts,
)
from zajil.store.people.written_to import WrittenTo, forget_written_to, note_written_to

_MOST_WRITTEN = 100
"""Recipients of one mail that are remembered."""
_PORTION = 200
"""Contacts that one commit of an import writes."""
_UID_BYTES = 16


class BadContact(Invalid, ValueError):
    """A contact cannot be kept.

    Attributes:
        field: ``name``, ``emails`` or ``photo``.
        wrong: what is wrong in it; may be ``""``.
    """

    def __init__(self, field: str, wrong: str = "") -> None:
        super().__init__(f"{field} of a contact: {wrong or 'missing'}")
        self.field = field
        self.wrong = wrong


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file."""

    saved: int
    left_out: int
    """Cards without a name or an address that can be used."""


async def save_contact(
    context: OperationContext,
    actor: Actor,
    contact: Contact,
    photo: bytes | None = None,
    *,
    drops_photo: bool = False,
) -> int:
    """Write a contact and return its id; with the id 0 it is a new one.

    Args:
        context: the store and what belongs to it.
        actor: its owner.
        contact: ``uid`` may be empty where it is new.
        photo: a picture; ``None``: it stays as it is.
        drops_photo: the picture is removed.

    Raises:
        NotAllowed: the actor is not an account.
        BadContact: name and addresses are missing, an address is none, the picture is too large.
        NotFound: the contact was removed meanwhile.
        TooManyContacts: the account has too many.
    """
    owner = _owner(actor)
    clean = _clean(contact)
    if not clean.uid:
        clean = replace(clean, uid=uuid.UUID(bytes=context.random(_UID_BYTES), version=4).urn)
    picture = None if photo is None else _photo(photo)
    item = SavedContact(
        account_id=owner,
        contact=clean,
        photo=picture,
        drops_photo=drops_photo,
        now_ms=context.clock.now_ms(),
    )
    return await context.write(save_contacts, item)


async def add_address(
    context: OperationContext, actor: Actor, name: str, address: str
) -> tuple[int, bool]:
    """Add somebody to the contacts; return the id, and whether it is a new contact.

    Raises:
        NotAllowed: the actor is not an account.
        BadContact: the address is none.
        TooManyContacts: the account has too many.
    """
    owner = _owner(actor)
    (clean,) = _addresses([address]) or ("",)
    if not clean:
        raise BadContact("emails", address)
    known = await context.read(lambda conn: find_by_address(conn, owner, clean))
    if known is not None:
        return known.contact_id, False
    contact = Contact(uid="", name=name or clean.partition("@")[0], emails=(clean,))
    return await save_contact(context, actor, contact), True


async def remove_contacts(
    context: OperationContext, actor: Actor, contact_ids: Sequence[int]
) -> tuple[int, int]:
    """Delete contacts; return how many, and the time by which ``bring_back`` knows them.

    Raises:
        NotAllowed: the actor is not an account.
    """
    now_ms = context.clock.now_ms()
    item = ContactsOf(_owner(actor), tuple(contact_ids), now_ms)
    return await context.write(delete_contacts, item), now_ms


async def bring_back(context: OperationContext, actor: Actor, deleted_ms: int) -> int:
    """Undo a deletion; return how many contacts came back.

    Raises:
        NotAllowed: the actor is not an account.
    """
    return await context.write(restore_contacts, DeletedAt(_owner(actor), deleted_ms))


async def import_cards(context: OperationContext, actor: Actor, cards: Iterable[Card]) -> Imported:
    """Write cards of a file; one with the UID of a contact, or its name and address, replaces it.

    Raises:
        NotAllowed: the actor is not an account.
        TooManyContacts: the account has too many; the first cards were written.
    """
    owner, now_ms = _owner(actor), context.clock.now_ms()
    items: list[SavedContact] = []
    left_out = 0
    for card in cards:
        contact = _from_card(card)
        if contact is None:
            left_out += 1
            continue
        kind = photo_type(card.photo)
        photo = Photo(kind, card.photo) if kind and len(card.photo) <= MAX_PHOTO else None
        items.append(SavedContact(account_id=owner, contact=contact, photo=photo, now_ms=now_ms))
    for start in range(0, len(items), _PORTION):
        await context.write(_save_some, items[start : start + _PORTION])
    return Imported(len(items), left_out)


def card_of(contact: Contact, photo: Photo | None) -> Card:
    """Return a contact as a vCard has it."""
    return Card(
        uid=contact.uid,
        name=contact.name,
        emails=contact.emails,
        phones=contact.phones,
        organisation=contact.organisation,
        note=contact.note,
        groups=contact.groups,
        photo=b"" if photo is None else photo.data,
    )


async def note_recipients(
    context: OperationContext, actor: Actor, people: Iterable[NamedAddress]
) -> None:
    """Remember to whom somebody wrote: completion names them first.

    Raises:
        NotAllowed: the actor is not an account.
        StoreUnavailable: the mail is on its way all the same.
    """
    owner, now_ms = _owner(actor), context.clock.now_ms()
    written: dict[str, WrittenTo] = {}
    for one in people:
        for address in _addresses([one.spec]):
            name = " ".join(storable(one.display_name).split())[:MAX_NAME]
            written.setdefault(address.casefold(), WrittenTo(owner, address, name, now_ms))
    some = tuple(written.values())[:_MOST_WRITTEN]
    if some:
        await context.write(note_written_to, some)


async def forget_recipient(context: OperationContext, actor: Actor, address: str) -> None:
    """Forget that somebody wrote to an address.

    Raises:
        NotAllowed: the actor is not an account.
    """
    await context.write(forget_written_to, (_owner(actor), address))


# ---- inside -------------------------------------------------------------------------------------


def _owner(actor: Actor) -> AccountId:
    if actor.account_id is None:
        raise NotAllowed(f"{actor.name} is not an account")
    return actor.account_id


def _save_some(tx: Transaction, items: Sequence[Sequence[SavedContact]]) -> list[int]:
    return [len(save_contacts(tx, item)) for item in items]


def _addresses(texts: Iterable[str]) -> tuple[str, ...]:
    """Return those of the texts that are addresses, in Unicode form, each once."""
    found: dict[str, None] = {}
    for text in texts:
        try:
            found[parse_address(text.strip()).unicode] = None
        except BadAddress:
            continue
    return tuple(found)


def _clean(contact: Contact) -> Contact:
    def line(text: str, most: int = MAX_NAME) -> str:
        return " ".join(storable(text).split())[:most]

    written = [one for text in contact.emails if (one := text.strip())]
    for one in written:
        if not _addresses([one]):
            raise BadContact("emails", one)
    emails = _addresses(written)[:MAX_VALUES]
    name = line(contact.name)
    if not name and not emails:
        raise BadContact("name")
    phones = [one for text in contact.phones if (one := line(text, 60))]
    groups = [one for text in contact.groups if (one := line(text, 60))]
    return replace(
        contact,
        name=name,
        emails=emails,
        phones=tuple(dict.fromkeys(phones))[:MAX_VALUES],
        organisation=line(contact.organisation),
        note=storable(contact.note, keep_lines=True).strip()[:MAX_NOTE],
        groups=tuple(dict.fromkeys(groups))[:MAX_VALUES],
    )


def _photo(data: bytes) -> Photo:
    kind = photo_type(data)
    if not kind:
        raise BadContact("photo", "format")
    if len(data) > MAX_PHOTO:
        raise BadContact("photo", "size")
    return Photo(kind, data)


def _from_card(card: Card) -> Contact | None:
    emails = _addresses(card.emails)
    if not card.name and not emails:
        return None
    uid = card.uid
    if not uid:  # the same card, imported once more, must not make a second contact
        mark = "\0".join([card.name.casefold(), *emails, *card.phones])
        uid = f"zajil:{hashlib.sha256(mark.encode('utf-8', 'replace')).hexdigest()[:32]}"
    return _clean(
        Contact(
            uid=uid,
            name=card.name,
            emails=emails,
            phones=card.phones,
            organisation=card.organisation,
            note=card.note,
            groups=card.groups,
        )
    )
