"""Mailbox names: modified UTF-7 or UTF-8 on the wire, Unicode inside, and patterns of LIST.

The hierarchy separator is ``/``. INBOX is INBOX in any case (RFC 3501 section 5.1), also as the
first level of a longer name. ``Shared/<login>/`` stands in front of the names of another account's
mailboxes (RFC 2342); what follows is a name of its own.
"""

from __future__ import annotations

import binascii
import re
import unicodedata

from zajil.core.errors import Invalid

SEPARATOR = "/"
INBOX = "INBOX"
SHARED = "Shared"
"""First level of the names of other accounts' mailboxes."""

MAX_NAME = 255
"""Characters of a name: no client shows more, and the wire form stays below our line limit."""
MAX_PATTERN = 2 * (MAX_NAME + 80) + 1
"""Characters of a pattern: no name is longer, and no two wildcards are neighbours."""
MAX_DEPTH = 16
"""Levels of a name: protects what walks a hierarchy."""


class BadMailboxName(Invalid, ValueError):
    """Not a name that a mailbox of ours can have; the text says why, for the client."""


_SHIFTED = re.compile(rb"&([A-Za-z0-9+,]*)-")
_PLAIN = re.compile(rb"[\x20-\x25\x27-\x7e]*")


def decode_name(wire: bytes, *, utf8: bool = False) -> str:
    """Decode a name and bring it into its one form. (RFC 3501 section 5.1.3)

    Wildcards of LIST are allowed in a name (RFC 3501 section 5.1, item 3).

    Args:
        wire: as the client sent it, without quotes.
        utf8: in UTF-8 (RFC 9755 section 3, RFC 9051 section 5.1); else in modified UTF-7.

    Raises:
        BadMailboxName: badly encoded, or a name that is not allowed here.
    """
    return normal_name(_decode(wire, utf8=utf8))


def normal_name(name: str) -> str:
    """Return the form in which a name is kept: NFC, INBOX in capitals, no separator at the end.

    Raises:
        BadMailboxName: empty, too long, too deep, an empty level, a control character.
    """
    name = unicodedata.normalize("NFC", name)
    # "foo/" asks for a mailbox that will have children (RFC 3501 section 6.3.3): here all may.
    name = name.removesuffix(SEPARATOR)
    levels = name.split(SEPARATOR)
    first = 2 if levels[0] == SHARED and len(levels) > 2 else 0
    own = levels[first:]
    if len(SEPARATOR.join(own)) > MAX_NAME or len(levels[0]) > MAX_NAME:
        raise BadMailboxName("mailbox name is too long")
    if len(own) > MAX_DEPTH:
        raise BadMailboxName("mailbox name has too many levels")
    if not all(levels):
        raise BadMailboxName("mailbox name has an empty level")
    # Security: what shows as another name, or breaks a line of a log, is no name. ZWNJ and ZWJ
    # (Cf) are needed to write Persian and Urdu, so only controls and separators are refused.
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in name):
        raise BadMailboxName("mailbox name has a control character")
    if levels[first].upper() == INBOX:
        levels[first] = INBOX
    return SEPARATOR.join(levels)


def is_shared_name(name: str) -> bool:
    """Return whether a name is one of another account's mailboxes, or leads there."""
    return name.partition(SEPARATOR)[0] == SHARED


def inbox_of(name: str) -> range:
    """Return where INBOX stands in a name, as the first level of its owner's name."""
    levels = name.split(SEPARATOR, 3)
    first = 2 if levels[0] == SHARED and len(levels) > 2 else 0
    start = sum(len(level) + 1 for level in levels[:first])
    return range(start, start + len(INBOX)) if levels[first] == INBOX else range(0)


def encode_name(name: str, *, utf8: bool = False) -> bytes:
    """Encode a name in modified UTF-7 (RFC 3501 section 5.1.3), or in UTF-8."""
    if utf8:
        return name.encode("utf-8")
    wire = bytearray()
    shifted: list[str] = []
    for char in name:
        if " " <= char <= "~":
            wire += _shift(shifted)
            wire += b"&-" if char == "&" else char.encode("ascii")
        else:
            shifted.append(char)
    return bytes(wire + _shift(shifted))


def _shift(chars: list[str]) -> bytes:
    if not chars:
        return b""
    text = "".join(chars)
    chars.clear()
    return b"&" + _encode_shifted(text) + b"-"


def _encode_shifted(text: str) -> bytes:
    encoded = binascii.b2a_base64(text.encode("utf-16-be"), newline=False)
    return encoded.rstrip(b"=").replace(b"/", b",")


def _decode(wire: bytes, *, utf8: bool) -> str:
    if utf8:
        try:
            return wire.decode("utf-8")
        except UnicodeDecodeError:
            raise BadMailboxName("mailbox name is not UTF-8") from None
    name: list[str] = []
    position = 0
    while position < len(wire):
        if wire[position] != 0x26:
            plain = _PLAIN.match(wire, position)
            if plain is None or plain.end() == position:
                raise BadMailboxName("mailbox name is not modified UTF-7")
            name.append(plain[0].decode("ascii"))
            position = plain.end()
            continue
        shifted = _SHIFTED.match(wire, position)
        if shifted is None:
            raise BadMailboxName("mailbox name is not modified UTF-7")
        name.append(_decode_shifted(shifted[1]) if shifted[1] else "&")
        position = shifted.end()
    # Deviation: RFC 3501 section 5.1.3 forbids to encode what can stand as it is ("&AGE-" for "a"),
    # and shifts without need ("&Jjo-&Jjo-"). Encoders that work character by character send both
    # (2026-11-28). What counts is the name they mean: we keep, compare and send it in its one form.
    return "".join(name)


def _decode_shifted(encoded: bytes) -> str:
    padded = encoded.replace(b",", b"/") + b"=" * (-len(encoded) % 4)
    try:
        text = binascii.a2b_base64(padded, strict_mode=True).decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError):
        raise BadMailboxName("mailbox name is not modified UTF-7") from None
    if _encode_shifted(text) != encoded:  # bits that belong to no character
        raise BadMailboxName("mailbox name is not modified UTF-7")
    return text


# Control characters, so that no character of a name is one of these.
_ANY = "\x00"
_ANY_IN_LEVEL = "\x01"
_WILDCARDS = re.compile(rb"([*%]+)")


class ListPattern:
    """A pattern of LIST: ``*`` is anything, ``%`` anything within one level.

    It matches names, not their wire forms: what stands between wildcards is decoded and brought
    into the form that names are kept in. A wildcard that is encoded (``&ACU-``) is the character
    itself, so that a name with one can be listed alone. A pattern that is badly encoded
    matches nothing. Takes time proportional to pattern times name, whatever the pattern
    (CVE-2021-40110, CVE-2026-33607).
    """

    def __init__(self, pattern: bytes, *, utf8: bool = False) -> None:
        """Read the pattern as it stands on the wire, the reference in front of it."""
        self._pattern: str | None = None
        """Characters and wildcards; ``None``: it matches nothing."""
        try:
            pieces = [_read_piece(piece, utf8=utf8) for piece in _WILDCARDS.split(pattern)]
        except BadMailboxName:
            return
        whole = "".join(pieces)
        if len(whole) <= MAX_PATTERN:
            self._pattern = whole

    def matches(self, name: str) -> bool:
        """Return whether the whole name, in its one form, is covered."""
        if self._pattern is None:
            return False
        # INBOX has no case, as a whole name and as the first level (RFC 3501 section 5.1).
        inbox = inbox_of(name)
        # The set of positions in the name where the pattern read so far may end.
        size = len(name)
        ends = {0}
        for char in self._pattern:
            if char == _ANY:
                ends = set(range(min(ends), size + 1))
            elif char == _ANY_IN_LEVEL:
                reached: set[int] = set()
                for start in sorted(ends):
                    if start in reached:
                        continue
                    level_end = name.find(SEPARATOR, start)
                    reached.update(range(start, (size if level_end < 0 else level_end) + 1))
                ends = reached
            else:
                folded = char.upper()
                ends = {
                    end + 1
                    for end in ends
                    if end < size and name[end] == (folded if end in inbox else char)
                }
            if not ends:
                return False
        return size in ends


def _read_piece(piece: bytes, *, utf8: bool) -> str:
    """Read a run of wildcards, or what stands between two."""
    if piece[:1] in (b"*", b"%"):
        return _ANY if b"*" in piece else _ANY_IN_LEVEL
    text = unicodedata.normalize("NFC", _decode(piece, utf8=utf8))
    if any(unicodedata.category(char) == "Cc" for char in text):
        raise BadMailboxName("mailbox name has a control character")
    return text
