"""vCards: read versions 2.1, 3.0 and 4.0, write 3.0 and 4.0. (RFC 6350) Pure.

Laws:
- Every text is read without error: a line that cannot be read is left out, a card without name and
  address is none.
- What is read is bounded, so that one file cannot fill an address book's rows.
"""

from __future__ import annotations

import base64
import binascii
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from zajil.core.value_class import value_class

MAX_CARDS = 5000
"""Cards of one file that are read."""
MAX_PHOTO = 200 << 10
"""Bytes of a picture; a larger one is left out."""
MAX_NAME = 200
MAX_NOTE = 4000
MAX_VALUES = 20
"""Addresses, phone numbers or groups of one card."""
_MAX_VALUE = 254
"""Characters of one of them. (RFC 5321 section 4.5.3.1)"""
_MAX_LINE = 400_000
"""Characters of an unfolded line: a picture in base64."""
_LINE_OCTETS = 75
"""RFC 6350 section 3.2."""

PHOTO_TYPES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}


@value_class(frozen=True, slots=True, kw_only=True)
class Card:
    """What an address book keeps of a vCard."""

    uid: str = ""
    """``""``: the card has none."""
    name: str = ""
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    organisation: str = ""
    note: str = ""
    groups: tuple[str, ...] = ()
    photo: bytes = b""


def photo_type(data: bytes) -> str:
    """Return the media type of a picture by its first bytes; ``""``: it is none that is shown."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in PHOTO_TYPES.items() if data.startswith(start)), "")


# ---- read ---------------------------------------------------------------------------------------

_FOLD = re.compile(r"\r?\n[ \t]|\r[ \t]")
_LINE = re.compile(
    r"(?:[A-Za-z0-9-]{1,60}\.)?([A-Za-z0-9-]{1,60})((?:;(?:[^:\"]|\"[^\"]*\")*)?):(.*)", re.DOTALL
)
_ESCAPE = re.compile(r"\\(.)")
_PIECES = {one: re.compile(rf"(?:\\.|[^\\{one}])+", re.DOTALL) for one in ",;"}
_DATA_URI = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)


def read_cards(text: str) -> list[Card]:
    """Return the cards of a file that have a name or an address, at most ``MAX_CARDS``."""
    cards: list[Card] = []
    current: _Raw | None = None
    for name, parameters, value in _lines(text):
        if name == "BEGIN" and value.strip().upper() == "VCARD":
            current = _Raw()
        elif name == "END" and current is not None:
            card = current.card()
            if card.name or card.emails:
                cards.append(card)
                if len(cards) == MAX_CARDS:
                    break
            current = None
        elif current is not None:
            current.take(name, parameters, value)
    return cards


def _lines(text: str) -> Iterator[tuple[str, str, str]]:
    """Return name, parameters and value of each line, both names in capitals."""
    lines = iter(re.split(r"\r\n|\r|\n", _FOLD.sub("", text.lstrip("\ufeff"))))
    for line in lines:
        if len(line) > _MAX_LINE:
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            continue
        parameters, value = found[2].upper(), found[3]
        # Version 2.1: a soft line break of quoted-printable goes on in the next line.
        if "QUOTED-PRINTABLE" in parameters:
            while value.endswith("=") and len(value) < _MAX_LINE:
                value = value[:-1] + next(lines, "")
            value = quopri.decodestring(value.encode("utf-8")).decode("utf-8", "replace")
        yield found[1].upper(), parameters, value


@dataclass(slots=True, kw_only=True)
class _Raw:
    """A card that is being read."""

    uid: str = ""
    full_name: str = ""
    name_parts: str = ""
    emails: list[str] = field(default_factory=list)
    phones: list[str] = field(default_factory=list)
    organisation: str = ""
    note: str = ""
    groups: list[str] = field(default_factory=list)
    photo: bytes = b""

    def take(self, name: str, parameters: str, value: str) -> None:
        """Take one line."""
        match name:
            case "UID":
                self.uid = self.uid or _clean(value)
            case "FN":
                self.full_name = self.full_name or _clean(value)
            case "N":
                # Family, given, additional, prefixes, suffixes (RFC 6350 section 6.2.2).
                parts = [_clean(part) for part in _split(value, ";")[:5]]
                family, given, *more = [*parts, "", "", "", "", ""][:5]
                ordered = [more[1], given, more[0], family, more[2]]
                self.name_parts = " ".join(one for one in ordered if one)
            case "EMAIL":
                self._add(self.emails, value.removeprefix("mailto:"))
            case "TEL":
                self._add(self.phones, value.removeprefix("tel:"))
            case "ORG":
                self.organisation = self.organisation or ", ".join(
                    part for one in _split(value, ";")[:5] if (part := _clean(one))
                )
            case "NOTE":
                self.note = self.note or _unescape(value).strip()
            case "CATEGORIES":
                for one in _split(value, ",")[:MAX_VALUES]:
                    self._add(self.groups, one)
            case "PHOTO":
                self.photo = self.photo or _read_photo(parameters, value)

    def _add(self, values: list[str], value: str) -> None:
        clean = _clean(value)
        if clean and clean not in values and len(clean) <= _MAX_VALUE:
            values.append(clean)

    def card(self) -> Card:
        """Return what was read, within bounds."""
        return Card(
            uid=self.uid[:MAX_NAME],
            name=(self.full_name or self.name_parts)[:MAX_NAME],
            emails=tuple(self.emails[:MAX_VALUES]),
            phones=tuple(self.phones[:MAX_VALUES]),
            organisation=self.organisation[:MAX_NAME],
            note=storable(self.note, keep_lines=True)[:MAX_NOTE],
            groups=tuple(one[:60] for one in self.groups[:MAX_VALUES]),
            photo=self.photo,
        )


def storable(text: str, *, keep_lines: bool = False) -> str:
    """Return a text without characters that cannot be stored or shown in one line."""
    kept = "\n" if keep_lines else ""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(
        one if one.isprintable() or one in kept or one in _JOINERS else " "
        for one in text
        if not "\ud800" <= one <= "\udfff"
    )


_JOINERS = "\u200c\u200d"
"""Persian and emoji need them; they are no printable characters."""


def _split(value: str, separator: str) -> list[str]:
    """Divide a value where a separator stands that is not escaped."""
    pieces, at = list[str](), 0
    while at <= len(value):
        found = _PIECES[separator].match(value, at)
        pieces.append(found[0] if found else "")
        at += len(pieces[-1]) + 1
    return pieces


def _clean(value: str) -> str:
    return " ".join(storable(_unescape(value)).split())


def _unescape(value: str) -> str:
    return _ESCAPE.sub(lambda one: "\n" if one[1] in "nN" else one[1], value)


def _read_photo(parameters: str, value: str) -> bytes:
    found = _DATA_URI.match(value)
    if found:
        value = value[found.end() :]
    elif "ENCODING=B" not in parameters and "BASE64" not in parameters:
        return b""  # Security: a picture elsewhere is never fetched
    try:
        data = base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        return b""
    return data if len(data) <= MAX_PHOTO and photo_type(data) else b""


# ---- write --------------------------------------------------------------------------------------


def write_card(card: Card, version: str = "4.0") -> str:
    """Return a card in version ``3.0`` or ``4.0``, with CRLF at the end of each line."""
    lines = ["BEGIN:VCARD", f"VERSION:{version}"]
    if card.uid:
        lines.append(f"UID:{_escape(card.uid)}")
    shown = card.name or (card.emails[0] if card.emails else "")
    lines.append(f"FN:{_escape(shown)}")
    if version == "3.0":  # it must be there
        lines.append(f"N:;{_escape(shown)};;;")
    kind = ";TYPE=INTERNET" if version == "3.0" else ""
    lines += [f"EMAIL{kind}:{_escape(one)}" for one in card.emails]
    lines += [f"TEL:{_escape(one)}" for one in card.phones]
    if card.organisation:
        lines.append(f"ORG:{_escape(card.organisation)}")
    if card.note:
        lines.append(f"NOTE:{_escape(card.note)}")
    if card.groups:
        lines.append(f"CATEGORIES:{','.join(map(_escape, card.groups))}")
    kind = photo_type(card.photo)
    if kind:
        coded = base64.b64encode(card.photo).decode("ascii")
        if version == "3.0":
            lines.append(f"PHOTO;ENCODING=b;TYPE={kind.partition('/')[2].upper()}:{coded}")
        else:
            lines.append(f"PHOTO:data:{kind};base64,{coded}")
    lines.append("END:VCARD")
    return "".join(f"{_fold(line)}\r\n" for line in lines)


def _escape(value: str) -> str:
    value = value.replace("\\", "\\\\").replace("\r", "").replace("\n", "\\n")
    return value.replace(",", "\\,").replace(";", "\\;")


def _fold(line: str) -> str:
    """Fold a line at 75 octets, never within a character. (RFC 6350 section 3.2)"""
    if line.isascii():
        first, rest = line[:_LINE_OCTETS], line[_LINE_OCTETS:]
        step = _LINE_OCTETS - 1
        return "\r\n ".join([first, *(rest[n : n + step] for n in range(0, len(rest), step))])
    pieces, size = [list[str]()], 0
    for one in line:
        width = len(one.encode("utf-8", "replace"))
        if size + width > _LINE_OCTETS - (len(pieces) > 1):
            pieces.append([])
            size = 0
        pieces[-1].append(one)
        size += width
    return "\r\n ".join("".join(piece) for piece in pieces)
