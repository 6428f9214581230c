"""Whom somebody most likely means by the first letters of a name or an address. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from zajil.message.normal_form import search_form
from zajil.store.people.contacts import Contact
from zajil.store.people.written_to import PastRecipient
from zajil.submit.draft import spell_person

MOST = 8
"""People that are suggested at a time."""
MOST_GROUPS = 3
"""Groups of contacts that are suggested with them."""
_HALF_LIFE_MS = 60 * 86_400_000
"""Writing to somebody counts half after two months."""
_CONTACT, _BEGINS = 1.0, 2.0
"""Points for being a contact, and for a name or an address that begins with the letters."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One person to write to."""

    name: str
    """May be empty."""
    address: str
    contact_id: int = 0
    """0: no contact."""

    @property
    def text(self) -> str:
        """The person as a field of recipients has it."""
        return spell_person("" if self.name == self.address else self.name, self.address)


def suggest(
    contacts: Iterable[Contact],
    written_to: Iterable[PastRecipient],
    beginning: str,
    now_ms: int,
) -> list[Suggestion]:
    """Return who is meant, the most likely first; each address once.

    Args:
        contacts: that have a word with this beginning.
        written_to: the same, and what is known of the addresses of these contacts.
        beginning: what was typed.
        now_ms: the time.
    """
    wanted = search_form(beginning).strip()
    found: dict[str, tuple[float, Suggestion]] = {}
    history = {search_form(one.address): one for one in written_to}
    for one in contacts:
        # Of a contact with many addresses only those that fit, unless the name does.
        by_name = _fits(wanted, one.name) or _fits(wanted, one.organisation)
        for place, address in enumerate(one.emails):
            if by_name or _fits(wanted, address):
                points = _CONTACT + _points(history.get(search_form(address)), now_ms)
                points += _BEGINS * _begins(wanted, one.name, address) - 0.01 * place
                person = Suggestion(one.name, address, one.contact_id)
                _keep(found, person, points)
    for known in history.values():
        if _fits(wanted, known.name) or _fits(wanted, known.address):
            points = _points(known, now_ms) + _BEGINS * _begins(wanted, known.name, known.address)
            _keep(found, Suggestion(known.name, known.address), points)
    ordered = sorted(found.values(), key=lambda one: (-one[0], one[1].name, one[1].address))
    return [person for _, person in ordered[:MOST]]


def suggest_groups(names: Iterable[str], beginning: str) -> list[str]:
    """Return the groups that are meant by what was typed, at most ``MOST_GROUPS``."""
    wanted = search_form(beginning).strip()
    fitting = [name for name in names if wanted and _fits(wanted, name)]
    return sorted(fitting, key=lambda name: not _begins(wanted, name))[:MOST_GROUPS]


def is_whole_name(name: str, typed: str) -> bool:
    """Check whether somebody typed all of a name."""
    return search_form(name).strip() == search_form(typed).strip()


def _keep(found: dict[str, tuple[float, Suggestion]], person: Suggestion, points: float) -> None:
    key = search_form(person.address)
    known = found.get(key)
    if known is None or (person.contact_id and not known[1].contact_id):
        found[key] = (points, person)


def _points(known: PastRecipient | None, now_ms: int) -> float:
    if known is None:
        return 0.0
    age = max(0, now_ms - known.last_ms) / _HALF_LIFE_MS
    return math.sqrt(min(known.times, 1000)) * math.exp2(-age)


def _begins(wanted: str, *texts: str) -> bool:
    return any(search_form(text).startswith(wanted) for text in texts)


def _fits(wanted: str, text: str) -> bool:
    form = f" {search_form(text)}"
    if "@" in wanted:  # an address that is being typed
        return f" {wanted}" in form
    for separator in ".@-_+":
        form = form.replace(separator, " ")
    return all(f" {word}" in form or f" ال{word}" in form for word in _words(wanted))


def _words(wanted: str) -> list[str]:
    for separator in ".@-_+":
        wanted = wanted.replace(separator, " ")
    return wanted.split()
