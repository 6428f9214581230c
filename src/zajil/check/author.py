"""The domains in From: whose name the mail bears, as DMARC asks (RFC 9989 section 5.3.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from zajil.message.address_list import parse_address_list
from zajil.message.fields import Field, unfold

MAX_FIELDS = 4
"""From fields that are looked at; two are already malformed."""

# What nearly every From looks like; the parser takes twenty times as long.
_PLAIN = re.compile(
    rb"(?:\"[^\"\\\r\n@<>,;:()]*+\" ?|[A-Za-z0-9 .=?_+/*-]*+)<[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]++"
    rb"@([A-Za-z0-9.-]++)>\Z"
)


def author_domains(fields: Sequence[Field]) -> tuple[str, ...]:
    """Give the domains of all authors, as written, each once, in order."""
    found: dict[str, None] = {}
    for value in [field.value for field in fields if field.name == b"from"][:MAX_FIELDS]:
        value = unfold(value)
        plain = _PLAIN.match(value)
        if plain:
            found.setdefault(plain[1].decode("ascii").lower())
            continue
        for one in parse_address_list(value).people:
            domain = one.address.domain if one.address else one.domain
            if domain:
                found.setdefault(domain.lower())
    return tuple(found)
