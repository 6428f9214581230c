"""Groups of contacts as recipients: everybody in a group is one."""

from __future__ import annotations

from dataclasses import dataclass

from babel.lists import format_list

from zajil.core.ids import AccountId
from zajil.message.normal_form import search_form
from zajil.store.engine.reader import Snapshot
from zajil.store.people.contacts import list_contacts
from zajil.submit.draft import spell_person
from zajil.web.language import Language

_MOST_NAMES = 10
"""Names of people without an address that a sentence lists."""


@dataclass(frozen=True, slots=True)
class ContactGroup:
    """People who are written to together."""

    name: str
    members: tuple[str, ...]
    """As a field of recipients has them: the first address of each contact, each once."""
    without_address: tuple[str, ...]
    """Names of the contacts that cannot be written to."""

    def recipients(self, most: int) -> str:
        """Return the text for a field of recipients, with the first ``most`` members."""
        return ", ".join(self.members[:most])

    def summary(self, most: int, language: Language) -> str:
        """Return how many people these are, for a list of suggestions."""
        number = len(self.members)
        counted = language.ngettext("%(num)s person", "%(num)s people", number) % {"num": number}
        if number > most:
            cut = language.gettext("the first %(most)s of %(num)s people")
            counted = cut % {"most": most, "num": number}
        if left := len(self.without_address):
            counted += " · " + language.gettext("%(num)s without an address") % {"num": left}
        return counted

    def problem(self, most: int, language: Language) -> str:
        """Return who of the group a message does not reach; ``""``: it reaches everybody."""
        gettext = language.gettext
        if not self.members:
            return gettext("No contact in this group has an email address.")
        said: list[str] = []
        if len(self.members) > most:
            sentence = gettext(
                "The group has %(num)s people, but a message can have up to %(most)s recipients."
                " Only the first %(most)s were added."
            )
            said.append(sentence % {"num": len(self.members), "most": most})
        if self.without_address:
            # Each name between isolates: names may be of either direction.
            names = [f"\u2068{name}\u2069" for name in self.without_address[:_MOST_NAMES]]
            names += ["…"] if len(self.without_address) > _MOST_NAMES else []
            sentence = gettext("Without an email address, and not added: %(names)s")
            listed = format_list(names, style="unit", locale=language.locale)
            said.append(sentence % {"names": listed})
        return " ".join(said)


def load_group(conn: Snapshot, account_id: AccountId, name: str) -> ContactGroup:
    """Return a group of an account; one that does not exist has no members."""
    members: dict[str, str] = {}
    without: list[str] = []
    for one in list_contacts(conn, account_id, group=name) if name else []:
        if one.emails:
            address = one.emails[0]
            members.setdefault(search_form(address), spell_person(one.name, address))
        else:
            without.append(one.name)
    return ContactGroup(name, tuple(members.values()), tuple(without))
