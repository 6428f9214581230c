"""Address lists of From, To, Cc ... (RFC 5322 section 3.4, obsolete forms of section 4.4).

Laws:
- Never raises, linear, at most ``MAX_ADDRESSES`` (CVE-2024-23184).
- Nothing is repaired silently: what is not ``local-part@domain`` has ``address is None`` and a
  defect, so that ``alice@example.org)bob@evil.example`` is nobody's (CVE-2023-27043).
- A comment is skipped by counting its parentheses, however deep (CVE-2026-90776).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from itertools import pairwise

from zajil.core.address import Address, BadAddress, parse_address, quote_local_part
from zajil.core.value_class import value_class
from zajil.message.charset import decode_text
from zajil.message.encoded_word import decode_words
from zajil.message.fields import unfold

MAX_ADDRESSES = 5000
"""Addresses that are read of one field."""
MAX_LENGTH = 262_144
"""Characters that are read of one field; as much as a header section has."""


@value_class(frozen=True, slots=True)
class NamedAddress:
    """One address with its display name."""

    raw_name: str
    """The display name as it stands, encoded words and all, unquoted; ``""`` for none."""
    local_part: str
    """Unquoted."""
    domain: str
    """As written: U-labels or A-labels, any case; ``""`` when there is none."""
    address: Address | None
    """``None``: not a valid address."""
    route: str = ""
    """``@a.example,@b.example``: the obsolete source route (RFC 5322 section 4.4); ``""``: none."""

    @property
    def display_name(self) -> str:
        """The name that people read; ``""`` for none."""
        return decode_words(self.raw_name)

    @property
    def spec(self) -> str:
        """The address as text, valid or not."""
        if self.address is not None:
            return self.address.unicode
        if not self.domain:
            return self.local_part
        return f"{quote_local_part(self.local_part)}@{self.domain}"


@value_class(frozen=True, slots=True)
class Group:
    """``Friends: a@example.org, b@example.org;`` (RFC 5322 section 3.4)."""

    raw_name: str
    members: tuple[NamedAddress, ...]

    @property
    def display_name(self) -> str:
        """The name that people read."""
        return decode_words(self.raw_name)


@value_class(frozen=True, slots=True)
class AddressList:
    """What one field holds."""

    items: tuple[NamedAddress | Group, ...]
    """In order."""
    defects: tuple[str, ...]
    """``bad address``, ``missing >``, ``text after >``, ``address in display name``, ``too many
    addresses``, ``too long``."""

    @property
    def people(self) -> tuple[NamedAddress, ...]:
        """All addresses, those in groups included."""
        return tuple(self._people())

    def _people(self) -> Iterator[NamedAddress]:
        for item in self.items:
            if isinstance(item, Group):
                yield from item.members
            else:
                yield item


# One token; each alternative is possessive, and what is never closed takes the rest of the value,
# so that no byte is looked at twice.
_TOKEN = re.compile(
    r'(?P<space>[ \t\r\n]++)|"(?P<quoted>(?:[^"\\]|\\.)*+)(?:"|\\?\Z)|(?P<comment>\()'
    r"|(?P<literal>\[[^\[\]\\]*+\]?)|(?P<special>[<>,:;@])"
    r'|(?P<atom>[^\x00-\x20()<>\[\],:;@"\\\x7f]++)|(?P<odd>.)',
    re.DOTALL,
)
_COMMENT = re.compile(r"(?:[^()\\]|\\.)*+([()])?", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)

_Token = tuple[str, str]
"""Kind (a group name of ``_TOKEN``) and text."""


def parse_address_list(value: bytes | str) -> AddressList:
    """Parse the value of an address field; what is no address is kept, marked."""
    text = value if isinstance(value, str) else decode_text(unfold(value))
    parser = _Parser()
    if len(text) > MAX_LENGTH:
        parser.defects.append("too long")
    return parser.parse(text[:MAX_LENGTH])


def read_from(value: bytes) -> AddressList:
    """Parse the value of a From field, folded or not; whoever asks for the author asks here.

    The last answers are kept: the checks of one mail ask several times.
    """
    return _read_kept(value) if len(value) <= _MAX_KEPT else parse_address_list(value)


# What nearly every From looks like; the parser agrees, and takes fifteen times as long.
_ATOMS = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,60}+"
_LABEL = rb"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_WORD = rb"[A-Za-z0-9.=?_+/*-]"
_PLAIN = re.compile(
    rb'[ \t]*+(?:"([\x20\x21\x23-\x5b\x5d-\x7e]*+)" ?|('
    + _WORD
    + rb"*+(?: "
    + _WORD
    + rb"++)*+ ?))"
    rb"<(?=[^@]{1,64}@)(" + _ATOMS + rb"(?:\." + _ATOMS + rb")*+)"
    rb"@(?=[^>]{1,253}+>)(" + _LABEL + rb"(?:\." + _LABEL + rb")*+)>[ \t\r\n]*+\Z"
)
_MAX_KEPT = 2000


@functools.lru_cache(maxsize=1024)
def _read_kept(value: bytes) -> AddressList:
    match = _PLAIN.match(value)
    if match is None or b"xn--" in value:
        return parse_address_list(value)
    quoted, bare, local, domain = [(part or b"").decode("ascii") for part in match.groups()]
    name = quoted or bare.rstrip(" ")
    address = Address(local, domain.lower())
    return AddressList((NamedAddress(name, local, domain, address),), ())


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while match := _TOKEN.match(text, at):
        kind = match.lastgroup or ""
        at = match.end()
        if kind == "comment":
            start, at = at, _end_of_comment(text, at)
            yield kind, _ESCAPE.sub(r"\1", text[start:at].removesuffix(")"))
        elif kind == "quoted":
            yield kind, _ESCAPE.sub(r"\1", match["quoted"])
        else:
            yield kind, match[0]


def _end_of_comment(text: str, at: int) -> int:
    depth = 1
    while depth and (match := _COMMENT.match(text, at)):
        at = match.end()
        if match[1] is None:
            return len(text)
        depth += 1 if match[1] == "(" else -1
    return at


class _Parser:
    """Gathers tokens into addresses, and addresses into groups."""

    def __init__(self) -> None:
        self.items: list[NamedAddress | Group] = []
        self.defects: list[str] = []
        self.count = 0
        self.group: str | None = None
        self.members: list[NamedAddress] = []
        self._clear()

    def _clear(self) -> None:
        self.phrase: list[_Token] = []
        self.angle: list[_Token] | None = None
        self.in_angle = False
        self.comment = ""

    def parse(self, text: str) -> AddressList:
        for kind, word in _tokens(text):
            if self.count >= MAX_ADDRESSES:
                self.defects.append("too many addresses")
                break
            if kind == "comment":
                self.comment = word
                # It separates words as a space does (RFC 5322 section 3.2.2, CFWS).
                self._word("space", " ")
            elif kind == "special":
                self._special(word)
            else:
                self._word(kind, word)
        self._end_address()
        self._end_group()
        return AddressList(tuple(self.items), tuple(dict.fromkeys(self.defects)))

    def _special(self, char: str) -> None:
        if self.in_angle and self.angle is not None:
            if char == ">":
                self.in_angle = False
            else:
                self.angle.append(("special", char))
        elif char == "<" and self.angle is None:
            self.angle, self.in_angle = [], True
        elif char == ",":
            self._end_address()
        elif char == ":" and self.group is None and self.angle is None:
            self.group = _join_phrase(self.phrase)
            self._clear()
        elif char == ";":
            self._end_address()
            self._end_group()
        else:
            self._word("special", char)

    def _word(self, kind: str, word: str) -> None:
        if self.in_angle and self.angle is not None:
            _append(self.angle, kind, word)
        elif self.angle is None:
            _append(self.phrase, kind, word)
        elif kind != "space":
            self.defects.append("text after >")

    def _end_address(self) -> None:
        phrase, angle = self.phrase, self.angle
        if self.in_angle:
            self.defects.append("missing >")
        if angle is None:
            spec = phrase
            # The obsolete way to say a name: ``user@example.org (Name)``.
            name = self.comment
            if not _is_one_word(phrase):
                self.defects.append("bad address")
                self._add(NamedAddress(name, _join_phrase(phrase), "", None))
                self._clear()
                return
        else:
            spec, name = angle, _join_phrase(phrase)
            if "@" in (text for kind, text in phrase if kind == "special"):
                # Security: a second address in front of the angle is what a reader sees.
                self.defects.append("address in display name")
        self._clear()
        if _trim(spec) or angle is not None:
            self._add(self._make(name, spec))

    def _make(self, raw_name: str, spec: list[_Token]) -> NamedAddress:
        # Security: words beside each other are not one: ``<a b@example.org>`` is nobody's.
        is_one = _is_one_word(spec)
        spec = [token for token in spec if token[0] != "space"] if is_one else _trim(spec)
        route = ""
        if ("special", ":") in spec and spec[0][1] in ("@", ","):
            # A source route (RFC 5322 section 4.4) is no part of the address.
            colon = spec.index(("special", ":"))
            route = "".join([word for _, word in spec[:colon]]).strip(",")
            spec = spec[colon + 1 :]
        texts = [word for _, word in spec]
        at = [number for number, token in enumerate(spec) if token == ("special", "@")]
        split = at[-1] if at else len(spec)
        local, domain = "".join(texts[:split]), "".join(texts[split + 1 :])
        address: Address | None = None
        kinds = {kind for kind, _ in spec[:split]} | {"-" + kind for kind, _ in spec[split + 1 :]}
        if is_one and len(at) == 1 and split and kinds <= {"atom", "quoted", "-atom", "-literal"}:
            try:
                address = parse_address(f"{quote_local_part(local)}@{domain}")
            except BadAddress:
                address = None
        if address is None:
            self.defects.append("bad address")
        return NamedAddress(raw_name, local, domain, address, route)

    def _add(self, found: NamedAddress) -> None:
        self.count += 1
        (self.items if self.group is None else self.members).append(found)

    def _end_group(self) -> None:
        if self.group is not None:
            self.items.append(Group(self.group, tuple(self.members)))
            self.group, self.members = None, []


def _append(tokens: list[_Token], kind: str, word: str) -> None:
    if kind != "space" or not tokens or tokens[-1][0] != "space":
        tokens.append((kind, word))


def _trim(phrase: list[_Token]) -> list[_Token]:
    start, end = 0, len(phrase)
    while start < end and phrase[start][0] == "space":
        start += 1
    while end > start and phrase[end - 1][0] == "space":
        end -= 1
    return phrase[start:end]


def _is_one_word(tokens: list[_Token]) -> bool:
    """Whether words have at least a dot or ``@`` between them (RFC 5322 section 4.4)."""
    words = [token for token in tokens if token[0] != "space"]
    for before, after in pairwise(words):
        if "special" in (before[0], after[0]):
            continue
        if before[0] == "atom" and before[1].endswith("."):
            continue
        if after[0] != "atom" or not after[1].startswith("."):
            return False
    return True


def _join_phrase(phrase: list[_Token]) -> str:
    return "".join(" " if kind == "space" else word for kind, word in _trim(phrase))
