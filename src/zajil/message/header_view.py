"""The header section of a message as its readers see it: subject, people, date, ids. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from zajil.core.cached_property import cached_property
from zajil.core.value_class import value_class
from zajil.message.address_list import (
    AddressList,
    Group,
    NamedAddress,
    parse_address_list,
    read_from,
)
from zajil.message.date import parse_date
from zajil.message.encoded_word import decode_words
from zajil.message.fields import Field, find_field, find_fields, find_value

_MAX_PEOPLE = 500
"""People that are listed of one kind of field."""

# Controls, and what turns the direction of all that follows; joiners and marks stay, because
# Arabic and Persian words need them.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")
# An at sign, in whichever width, or a name with a dot in it as domains have: "north.test support".
_LIKE_ADDRESS = re.compile(r"@|[^\W_]{2,}[.。．｡]\w{2,}")
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u206f\ufe00-\ufe0f]+"
)


def one_line(text: str, limit: int = 1000) -> str:
    """Return text of a stranger fit for one line of a page."""
    return _UNSHOWN.sub(" ", text[:limit]).strip()


@value_class(frozen=True, slots=True)
class Person:
    """Somebody in From, To, Cc, Reply-To."""

    written_name: str
    """The display name, decoded, with whatever controls it has; ``""`` for none."""
    address: str
    """``local-part@domain`` with U-labels; what stands there if it is no address."""
    domain: str
    """ASCII form, lower case; ``""``: it is no address."""

    @property
    def name(self) -> str:
        """The display name in one line; ``""`` when only an address was given."""
        return one_line(self.written_name, 200)

    @property
    def label(self) -> str:
        """The name, or the address where there is none."""
        return self.name or self.address

    @property
    def poses_as_address(self) -> bool:
        """Whether the name could be taken for an address, and is not this one.

        Security: whoever sees only the name would take it for the sender.
        """
        name = _UNSEEN.sub("", unicodedata.normalize("NFKC", self.name))
        return _LIKE_ADDRESS.search(name) is not None and name.casefold() != self.address.casefold()


def make_person(one: NamedAddress) -> Person:
    """Return name, address and domain of one entry of an address list."""
    domain = one.address.domain if one.address is not None else ""
    return Person(one.display_name[:1000], one_line(one.spec, 400), domain)


class HeaderView:
    """One header section; each thing is worked out when it is first asked for, once."""

    def __init__(self, fields: Sequence[Field]) -> None:
        """Take the fields, in order."""
        self.fields = fields

    @cached_property
    def subject(self) -> str:
        """Decoded; ``""`` when there is none."""
        return decode_words(find_value(self.fields, b"subject") or b"")[:2000]

    @cached_property
    def from_list(self) -> AddressList:
        """All of the first From, with its defects."""
        field = find_field(self.fields, b"from")
        return read_from(field.value if field is not None else b"")

    @cached_property
    def author(self) -> Person | None:
        """The first person in the first From."""
        people = self.from_list.people
        return make_person(people[0]) if people else None

    @cached_property
    def senders(self) -> tuple[Person, ...]:
        """Everybody in From."""
        return self._people(b"from")

    @cached_property
    def to(self) -> tuple[Person, ...]:
        """Everybody in To; not the envelope."""
        return self._people(b"to")

    @cached_property
    def cc(self) -> tuple[Person, ...]:
        """Everybody in Cc."""
        return self._people(b"cc")

    @cached_property
    def reply_to(self) -> tuple[Person, ...]:
        """Who gets the answers; empty: the author."""
        return self._people(b"reply-to")

    @cached_property
    def date_ms(self) -> int | None:
        """The Date field, as the author's program says; ``None``: missing or not readable."""
        return parse_date(find_value(self.fields, b"date") or b"")

    @property
    def message_id(self) -> str:
        """As written, in one line; ``""`` when there is none."""
        return self._line(b"message-id")

    @property
    def in_reply_to(self) -> str:
        """As written, in one line; ``""`` when there is none."""
        return self._line(b"in-reply-to")

    @property
    def references(self) -> str:
        """As written, in one line; ``""`` when there is none."""
        return self._line(b"references")

    @property
    def author_warnings(self) -> tuple[str, ...]:
        """What makes the author doubtful: ``no-from``, ``several-from``, ``bad-from``,
        ``from-group``, ``name-is-address``."""
        fields = find_fields(self.fields, b"from")
        if not fields:
            return ("no-from",)
        found = ["several-from"] if len(fields) > 1 else []
        for item in fields:
            listed = read_from(item.value)
            if listed.defects or not listed.people:
                found.append("bad-from")
            if any(isinstance(one, Group) for one in listed.items):
                found.append("from-group")
            people = map(make_person, listed.people)
            if any("@" in one.name and one.poses_as_address for one in people):
                found.append("name-is-address")
        return tuple(dict.fromkeys(found))

    def _people(self, name: bytes) -> tuple[Person, ...]:
        found: list[Person] = []
        parse = read_from if name == b"from" else parse_address_list
        for item in find_fields(self.fields, name):
            found += map(make_person, parse(item.value).people[:_MAX_PEOPLE])
        return tuple(found[:_MAX_PEOPLE])

    def _line(self, name: bytes) -> str:
        return one_line(decode_words(find_value(self.fields, name) or b""), 4000)
