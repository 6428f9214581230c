"""An SPF record: text to terms (RFC 7208 section 12).

The whole record is read before any of it counts: one mistake anywhere makes it an error, whatever
stands before.
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network

from zajil.core.errors import Malformed
from zajil.core.value_class import value_class
from zajil.mailauth.spf_macro import BadMacro, MacroString, parse_domain_spec, parse_macro_string

RESULTS = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
"""What each qualifier makes of a match (RFC 7208 section 4.6.2)."""

MAX_RECORD = 8192
"""Octets; RFC 7208 section 3.4 advises 512. What is longer costs time with each mail."""

_MAX_KEPT = 512
"""Octets of a record that is kept parsed: what is kept of a thousand stays within 60 MB, and of
honest ones takes a tenth of it."""

_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9._-]*)=(.*)\Z", re.DOTALL)
_DUAL_CIDR = re.compile(r"(?:/(0|[1-9][0-9]?))?(?://(0|[1-9][0-9]{0,2}))?\Z")
_VERSION = "v=spf1"


class BadRecord(Malformed, ValueError):
    """The record breaks the grammar; the message is the end of a sentence about it."""


@value_class(frozen=True, slots=True, kw_only=True)
class Directive:
    """A qualifier and a mechanism."""

    text: str
    """As it stands in the record."""
    result: str
    """What a match means."""
    name: str
    """``all``, ``include``, ``a``, ``mx``, ``ptr``, ``ip4``, ``ip6``, ``exists``."""
    domain: MacroString | None = None
    """``None``: the domain that is checked."""
    network: IPv4Network | IPv6Network | None = None
    bits4: int = 32
    bits6: int = 128


@value_class(frozen=True, slots=True)
class SpfRecord:
    """A record that follows the grammar."""

    directives: tuple[Directive, ...]
    redirect: MacroString | None
    explanation: MacroString | None


def is_record(text: str) -> bool:
    """Whether a TXT record says that it is SPF, well-formed or not (RFC 7208 section 4.5)."""
    return text[:6].lower() == _VERSION and text[6:7] in ("", " ")


def parse_record(text: str) -> SpfRecord | BadRecord:
    """Parse a record that ``is_record``; a mistake is given, so that it is remembered too."""
    return _parse_kept(text) if len(text) <= _MAX_KEPT else _parse_now(text)


def _parse_now(text: str) -> SpfRecord | BadRecord:
    try:
        return _parse(text)
    except BadRecord as error:
        return error
    except BadMacro as error:
        return BadRecord(str(error))


_parse_kept = lru_cache(maxsize=1024)(_parse_now)


def _parse(text: str) -> SpfRecord:
    if len(text) > MAX_RECORD:
        raise BadRecord("the record is too long")
    directives: list[Directive] = []
    modifiers: dict[str, MacroString] = {}
    for term in text[len(_VERSION) :].split(" "):
        if not term:
            continue
        modifier = _MODIFIER.match(term)
        if modifier is None:
            directives.append(_parse_directive(term))
            continue
        name, value = modifier[1].lower(), modifier[2]
        if name not in ("redirect", "exp"):
            parse_macro_string(value)  # unknown ones are ignored, if they follow the grammar
        elif name in modifiers:
            raise BadRecord(f"{name} occurs twice")
        else:
            modifiers[name] = parse_domain_spec(value)
    return SpfRecord(tuple(directives), modifiers.get("redirect"), modifiers.get("exp"))


def _parse_directive(term: str) -> Directive:
    qualifier = term[0] if term[0] in RESULTS else ""
    name, mark, rest = _split(term[len(qualifier) :])
    result = RESULTS[qualifier or "+"]
    if name == "all":
        if mark:
            raise BadRecord(f'{term[:80]!r}: the mechanism "all" takes no value')
        return Directive(text=term, result=result, name=name)
    if name in ("include", "exists"):
        if mark != ":":
            raise BadRecord(f"{term[:80]!r} has no domain")
        return Directive(text=term, result=result, name=name, domain=parse_domain_spec(rest))
    if name in ("ip4", "ip6"):
        return Directive(
            text=term, result=result, name=name, network=_parse_network(term, name, mark, rest)
        )
    if name == "ptr":
        if mark == "/":
            raise BadRecord(f'{term[:80]!r}: the mechanism "ptr" takes no prefix length')
        return Directive(
            text=term, result=result, name=name, domain=parse_domain_spec(rest) if mark else None
        )
    if name in ("a", "mx"):
        return _parse_address_directive(term, result, name, mark, rest)
    raise BadRecord(f"the mechanism {name[:40]!r} is unknown")


def _split(text: str) -> tuple[str, str, str]:
    """Return the name of a mechanism, ``:`` or ``/`` or ``""``, and what follows."""
    for place, letter in enumerate(text[:64]):
        if letter in ":/":
            return text[:place].lower(), letter, text[place + 1 :]
    return text[:64].lower(), "", ""


def _parse_address_directive(term: str, result: str, name: str, mark: str, rest: str) -> Directive:
    # "a:example.org/24//64", "a/24", "a//64"
    text = rest if mark == ":" else mark + rest
    # A prefix length is at the very end, so whatever slashes a macro holds stay in the domain.
    found = _DUAL_CIDR.search(text, max(0, len(text) - 8)) if "/" in text[-8:] else None
    domain_text, bits4, bits6 = text, 32, 128
    if found is not None and found.group():
        domain_text = text[: found.start()]
        bits4 = _bits(term, found[1], 32)
        bits6 = _bits(term, found[2], 128)
    if mark != ":" and domain_text:
        raise BadRecord(f"{term[:80]!r} has an invalid prefix length")
    domain = parse_domain_spec(domain_text) if mark == ":" else None
    return Directive(
        text=term, result=result, name=name, domain=domain, network=None, bits4=bits4, bits6=bits6
    )


def _bits(term: str, text: str | None, most: int) -> int:
    if text is None:
        return most
    if int(text) > most:
        raise BadRecord(f"{term[:80]!r} has a prefix length greater than {most}")
    return int(text)


_PREFIX = re.compile(r"0|[1-9][0-9]{0,2}\Z")


def _parse_network(term: str, name: str, mark: str, rest: str) -> IPv4Network | IPv6Network:
    address, slash, bits = rest.partition("/")
    if mark != ":" or "%" in address or (slash and not _PREFIX.fullmatch(bits)):
        raise BadRecord(f"{term[:80]!r} has no valid network address")
    kind = IPv4Network if name == "ip4" else IPv6Network
    try:
        return kind(rest, strict=False)
    except ValueError:
        raise BadRecord(f"{term[:80]!r} has no valid network address") from None
