"""The domains in From: whose name the mail bears, as DMARC asks (RFC 9989 section 5.3.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from zajil.message.address_list import parse_address_list
from zajil.message.fields import Field, unfold

MAX_FIELDS = 4
"""From fields that are looked at; two are already malformed."""

_CUT = frozenset({"too many addresses", "too long"})
"""Defects of a field that was not read to its end."""

# What nearly every From looks like; the parser takes twenty times as long.
_PLAIN = re.compile(
    rb"(?:\"[^\"\\\r\n@<>,;:()]*+\" ?|[A-Za-z0-9 .=?_+/*-]*+)<[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]++"
    rb"@([A-Za-z0-9.-]++)>\Z"
)


class Authors(NamedTuple):
    """Whose name a mail bears."""

    domains: tuple[str, ...]
    """As written, each once, in order."""
    are_all: bool = True
    """No author was left out; else the mail has more than anybody looks at."""


def find_authors(fields: Sequence[Field]) -> Authors:
    """Find the domains of all authors."""
    found: dict[str, None] = {}
    values = [field.value for field in fields if field.name == b"from"]
    # Security: whom nobody looked at may be the one that the reader sees.
    are_all = len(values) <= MAX_FIELDS
    for value in values[:MAX_FIELDS]:
        value = unfold(value)
        plain = _PLAIN.match(value)
        if plain:
            found.setdefault(plain[1].decode("ascii").lower())
            continue
        listed = parse_address_list(value)
        are_all = are_all and _CUT.isdisjoint(listed.defects)
        for one in listed.people:
            domain = one.address.domain if one.address else one.domain
            if domain:
                found.setdefault(domain.lower())
    return Authors(tuple(found), are_all)
