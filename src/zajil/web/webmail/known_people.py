"""Which people of a message are contacts of its reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from zajil.core.ids import AccountId
from zajil.message.header_view import Person
from zajil.read.sender_proof import SenderProof
from zajil.read.shown import ShownMessage
from zajil.store.engine.reader import Snapshot
from zajil.store.people.contacts import Contact, find_by_address

_MOST = 8
"""People of a message that are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPeople:
    """Contacts and strangers in a message."""

    contacts: Mapping[str, Contact] = field(default_factory=dict)
    """By address, casefolded."""
    strangers: tuple[Person, ...] = ()
    """Those that are no contacts, the author first."""
    author: Contact | None = None
    """The author, where it is shown as a contact."""

    def has(self, person: Person) -> bool:
        """Check whether somebody is a contact."""
        return person.address.casefold() in self.contacts


def find_people(
    conn: Snapshot,
    account_id: AccountId,
    view: ShownMessage,
    proof: SenderProof | None,
    own: frozenset[str],
) -> KnownPeople:
    """Return who in a message is known.

    Args:
        conn: a snapshot.
        account_id: its reader.
        view: the message.
        proof: what is known of its author.
        own: addresses of the reader, casefolded.
    """
    chosen: dict[str, Person] = {}
    for one in (*view.senders, *view.reply_to, *view.to, *view.cc):
        if one.domain and one.address.casefold() not in own and len(chosen) < _MOST:
            chosen.setdefault(one.address.casefold(), one)
    contacts = {
        address: found
        for address, one in chosen.items()
        if (found := find_by_address(conn, account_id, one.address)) is not None
    }
    strangers = tuple([one for address, one in chosen.items() if address not in contacts])
    # Security: a name and a photo that the reader trusts must not vouch for a forged address.
    is_sure = len(view.senders) == 1 and not view.warnings
    is_sure = is_sure and (proof is None or proof.level == "proved")
    author = contacts.get(view.senders[0].address.casefold()) if is_sure else None
    return KnownPeople(contacts=contacts, strangers=strangers, author=author)
