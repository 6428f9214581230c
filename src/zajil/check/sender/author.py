"""The domains in From: whose name the mail bears, as DMARC asks (RFC 9989 section 5.3.1).

Laws (decision 0010):
- A From that can be read has the authors it names. Other addresses in names and comments are
  claims: they are asked about, and weigh, but they refuse no mail.
- A From that cannot be read has as authors all domains that any reader could take from it. What
  cannot be read never fares better than what can.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import NamedTuple

from zajil.core.domain import BadDomain, to_dns_name
from zajil.dns.public_suffix import registered_domain
from zajil.message.address_list import AddressList, Group, read_from
from zajil.message.charset import decode_text
from zajil.message.encoded_word import decode_words
from zajil.message.fields import Field, take_odd, unfold

MAX_FIELDS = 4
"""From fields that are looked at; two are already malformed."""
_MAX_LENGTH = 4096
"""Characters of a malformed From that are searched; who writes more names too many authors."""
_MAX_KEPT = 2000

_CUT = frozenset({"too many addresses", "too long"})
"""Defects of a field that was not read to its end."""

_ODD = re.compile(rb"[^\x20-\x7e]|=\?|%|xn--|[(:;,\\\[]|@.*@")
"""What may make a From mean more than its one address."""

_OPENS = r"[\s\[<(\"'\\]*+"
_LABEL = r"[\w-]{1,63}"
# What stands for the at sign where somebody means it to be read as one.
_AT = r"(?:@|%40|%|[\[({]\s*at\s*[\])}])"
_TIGHT = re.compile(rf"{_AT}{_OPENS}({_LABEL}(?:\.{_LABEL})+)", re.IGNORECASE)
_LOOSE = re.compile(rf"{_AT}{_OPENS}({_LABEL}(?:\s*\.\s*{_LABEL})+)", re.IGNORECASE)
_SHOWN = re.compile(rf"[^\s@<>()\[\]\",;:](?:@|%40|%)({_LABEL}(?:\.{_LABEL})+)")
_ROUTE = re.compile(rb"<[ \t]*@")
_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*+"')
_SPACE = re.compile(r"\s+")
_COMMENT = re.compile(r"\([^()]*+\)")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_DOTS = str.maketrans("\u3002\uff61", "..")


class Authors(NamedTuple):
    """Whose name a mail bears."""

    domains: tuple[str, ...]
    """Lower case, as written or in A-labels, each once, in order."""
    are_all: bool = True
    """No author was left out; else the mail has more than anybody looks at."""
    is_readable: bool = True
    """Each From is what RFC 5322 section 3.6.2 asks for."""
    shown: tuple[str, ...] = ()
    """Domains of addresses that stand beside the authors: in names, comments, local parts. Of a
    From that is not readable they stand before an angle bracket, where some read an address."""


def find_authors(fields: Sequence[Field]) -> Authors:
    """Find the domains of all authors; none for a mail without From."""
    values = [field.value for field in fields if field.name == b"from"]
    # Security: lines that only some programs take for a From.
    odd = [
        taken.value
        for field in fields
        if not field.name and (taken := take_odd(field)).name == b"from"
    ]
    if len(values) == 1 and not odd:
        value = values[0]
        return _read_kept(value) if len(value) <= _MAX_KEPT else _read(value)
    # Security: of several fields each program shows another one.
    values += odd
    all_of = [_read_as_it_may_be(value) for value in values[:MAX_FIELDS]]
    domains = dict.fromkeys([domain for one in all_of for domain in one.domains])
    are_all = len(values) <= MAX_FIELDS and all(one.are_all for one in all_of)
    return Authors(tuple(domains), are_all, is_readable=False)


def _read(value: bytes) -> Authors:
    value = unfold(value)
    if value[:1] in (b"\xff", b"\xfe"):
        return _read_as_it_may_be(value)
    listed = read_from(value)
    domains = _domains_of(listed)
    if not listed.defects and len(domains) == 1 and not _ODD.search(value):
        return Authors(domains)  # one address, and nothing that could be read as another one
    if _ROUTE.search(_QUOTED.sub(b"", value)):
        # Security: programs differ on which end of a source route (RFC 5322 section 4.4) they show.
        return _read_as_it_may_be(value)
    if not _is_readable(listed):
        if listed.defects == ("address in display name",) and _names_one(listed):
            return Authors(domains, True, False, _shown(value, domains))
        return _read_as_it_may_be(value)
    return Authors(domains, _CUT.isdisjoint(listed.defects), True, _shown(value, domains))


_read_kept = lru_cache(maxsize=512)(_read)


def _is_readable(listed: AddressList) -> bool:
    groups = [item for item in listed.items if isinstance(item, Group)]
    return (
        bool(listed.people)
        and _CUT.issuperset(listed.defects)
        and all(one.address and _is_host(one.address.domain) for one in listed.people)
        and not any("@" in unicodedata.normalize("NFKC", group.display_name) for group in groups)
    )


def _is_host(domain: str) -> bool:
    """Whether it is a name, or an address literal that holds an address."""
    if not domain.startswith("["):
        return True
    try:
        ip_address(domain[1:-1].lower().removeprefix("ipv6:"))
    except ValueError:
        return False
    return True


def _names_one(listed: AddressList) -> bool:
    return len(listed.people) == 1 and listed.people[0].address is not None


def _domains_of(listed: AddressList) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for one in listed.people:
        domain = one.address.domain if one.address else one.domain
        if domain:
            found.setdefault(domain.lower())
    return tuple(found)


def _read_as_it_may_be(value: bytes) -> Authors:
    """Return every domain that some program, or some person, may read in a From."""
    # Security: with a byte order mark in front, all of it would be read as UTF-16.
    value = unfold(value).lstrip(b"\xff\xfe")
    listed = read_from(value)
    found = dict.fromkeys([domain for one in _domains_of(listed) if (domain := _clean(one))])
    text = decode_text(value)
    is_long = len(text) > _MAX_LENGTH
    for reading in dict.fromkeys(_readings(text[:_MAX_LENGTH])):
        for pattern in (_TIGHT, _LOOSE):
            for match in pattern.finditer(reading):
                if domain := _clean(_SPACE.sub("", match[1])):
                    found.setdefault(domain)
    return Authors(tuple(found), not is_long and _CUT.isdisjoint(listed.defects), False)


def _readings(text: str) -> Iterator[str]:
    """Return a value as it stands, with encoded words decoded, without comments and escapes."""
    for words in (text, decode_words(text)):
        wide = unicodedata.normalize("NFKC", words).translate(_DOTS)
        # Security: some programs stop at a control character, others leave it out.
        for controls in ("", " "):
            seen = "".join(
                [controls if unicodedata.category(char) in ("Cc", "Cf") else char for char in wide]
            )
            yield seen
            yield _COMMENT.sub("", seen)
            yield _ESCAPE.sub(r"\1", seen)


def _clean(domain: str) -> str:
    """Return the A-label form of what may be a domain; ``""``: it is not a DNS name."""
    try:
        return to_dns_name(domain.strip("."))
    except BadDomain:
        return ""


def _shown(value: bytes, domains: tuple[str, ...]) -> tuple[str, ...]:
    """Find addresses of others than the authors, anywhere in a From that can be read."""
    text = decode_words(decode_text(value[:_MAX_LENGTH]))
    text = unicodedata.normalize("NFKC", text).translate(_DOTS)
    if text.count("@") + text.count("%") <= len(domains):
        return ()
    owners = {registered_domain(domain) for domain in map(_clean, domains)}
    found = [_clean(match[1]) for match in _SHOWN.finditer(text)]
    return tuple(
        dict.fromkeys([one for one in found if one and registered_domain(one) not in owners])
    )
