"""The address book of an account from vCard files and into one. (RFC 6350)"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from zajil.core.actor import Actor
from zajil.message.vcard import read_cards, write_card
from zajil.operations.accounts import find_account
from zajil.operations.contacts import Imported, card_of, import_cards
from zajil.operations.context import OperationContext, require_owner
from zajil.store.engine.reader import Snapshot
from zajil.store.people.contacts import get_photo, list_contacts

_AT_ONCE = 250_000
"""Characters of a file that are read at a time: fewer cards than ``vcard.MAX_CARDS``."""
_END = re.compile("END:VCARD", re.IGNORECASE)


async def import_contacts(
    context: OperationContext, actor: Actor, login_or_address: str, texts: Iterable[str]
) -> Imported:
    """Write the cards of files into the address book of an account.

    A card that was imported before replaces the contact that it became.

    Raises:
        NotAllowed: neither the owner nor an administrator asks.
        NoSuchAccount: there is no such account.
        TooManyContacts: the account has too many; the first cards were written.
    """
    row = await context.read(lambda conn: find_account(conn, login_or_address))
    require_owner(actor, row.account_id)
    owner = replace(actor, account_id=row.account_id)
    saved = left_out = 0
    for text in texts:
        for some in _portions(text):
            # What is no card, or one without a name and an address, is none of those that are read.
            cards = read_cards(some)
            done = await import_cards(context, owner, cards)
            saved += done.saved
            left_out += done.left_out + max(0, len(_END.findall(some)) - len(cards))
    return Imported(saved, left_out)


def export_contacts(conn: Snapshot, login_or_address: str, version: str) -> Iterator[str]:
    """Yield the contacts of an account as vCards.

    Args:
        conn: a snapshot, until the last one was taken.
        login_or_address: of the account.
        version: ``3.0`` or ``4.0``.

    Raises:
        NoSuchAccount: there is no such account.
    """
    account_id = find_account(conn, login_or_address).account_id
    for one in list_contacts(conn, account_id):
        yield write_card(card_of(one, get_photo(conn, account_id, one.contact_id)), version)


def _portions(text: str) -> Iterator[str]:
    """Cut a file behind cards, so that each portion has few enough."""
    at = 0
    while at < len(text):
        found = _END.search(text, at + _AT_ONCE)
        end = len(text) if found is None else found.end()
        yield text[at:end]
        at = end
