"""Mailbox names: modified UTF-7 on the wire, Unicode inside, and patterns of LIST.

The hierarchy separator is ``/``. INBOX is INBOX in any case (RFC 3501 section 5.1), also as the
first level of a longer name.
"""

from __future__ import annotations

import binascii
import re
import unicodedata

SEPARATOR = "/"

MAX_NAME = 255
"""Characters of a name: no client shows more, and the wire form stays below our line limit."""
MAX_DEPTH = 16
"""Levels of a name: protects what walks a hierarchy."""


class BadMailboxName(ValueError):
    """Not a name that a mailbox of ours can have; the text says why, for the client."""


_SHIFTED = re.compile(rb"&([A-Za-z0-9+,]*)-")
_PLAIN = re.compile(rb"[\x20-\x25\x27-\x7e]*")


def decode_name(wire: bytes) -> str:
    """Decode a name from modified UTF-7 and bring it into its one form. (RFC 3501 section 5.1.3)

    Raises:
        BadMailboxName: bad modified UTF-7, or a name that is not allowed here.
    """
    return normal_name(_decode(wire))


def normal_name(name: str) -> str:
    """Give the form in which a name is kept: NFC, INBOX in capitals, no separator at the end.

    Raises:
        BadMailboxName: empty, too long, too deep, an empty level, a control character.
    """
    name = unicodedata.normalize("NFC", name)
    # "foo/" asks for a mailbox that will have children (RFC 3501 section 6.3.3): here all may.
    name = name.removesuffix(SEPARATOR)
    levels = name.split(SEPARATOR)
    if len(name) > MAX_NAME or len(levels) > MAX_DEPTH:
        raise BadMailboxName("mailbox name is too long")
    if not all(levels):
        raise BadMailboxName("mailbox name has an empty level")
    # Security: what shows as another name, or breaks a line of a log, is no name. ZWNJ and ZWJ
    # (Cf) are needed to write Persian and Urdu, so only controls and separators are refused.
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in name):
        raise BadMailboxName("mailbox name has a control character")
    # Wildcards in a name could never be listed by it alone.
    if "*" in name or "%" in name:
        raise BadMailboxName("mailbox name has a wildcard character")
    if levels[0].upper() == "INBOX":
        levels[0] = "INBOX"
    return SEPARATOR.join(levels)


def encode_name(name: str) -> bytes:
    """Encode a name in modified UTF-7. (RFC 3501 section 5.1.3)"""
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
    data = "".join(chars).encode("utf-16-be")
    chars.clear()
    encoded = binascii.b2a_base64(data, newline=False).rstrip(b"=").replace(b"/", b",")
    return b"&" + encoded + b"-"


def _decode(wire: bytes) -> str:
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
    text = "".join(name)
    # One name has one wire form: "&AGE-" for "a", or "&Jjo-&Jjo-", are not it.
    if encode_name(text) != wire:
        raise BadMailboxName("mailbox name is not modified UTF-7 in its only form")
    return text


def _decode_shifted(encoded: bytes) -> str:
    padded = encoded.replace(b",", b"/") + b"=" * (-len(encoded) % 4)
    try:
        return binascii.a2b_base64(padded, strict_mode=True).decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError):
        raise BadMailboxName("mailbox name is not modified UTF-7") from None


class ListPattern:
    """A pattern of LIST: ``*`` is anything, ``%`` anything within one level.

    Works on wire forms: a pattern that is not modified UTF-7 matches nothing. Takes time
    proportional to pattern times name, whatever the pattern (CVE-2021-40110, CVE-2026-33607).
    """

    def __init__(self, pattern: bytes) -> None:
        self._pattern = _capital_inbox(re.sub(rb"[*%]*\*[*%]*", b"*", pattern))
        self._pattern = re.sub(rb"%+", b"%", self._pattern)

    def matches(self, wire_name: bytes) -> bool:
        """Say whether the whole name, in its wire form, is covered."""
        # The set of positions in the name where the pattern read so far may end.
        size = len(wire_name)
        ends = {0}
        for char in self._pattern:
            if char == 0x2A:
                ends = set(range(min(ends), size + 1))
            elif char == 0x25:
                reached: set[int] = set()
                for start in sorted(ends):
                    if start in reached:
                        continue
                    level_end = wire_name.find(b"/", start)
                    reached.update(range(start, (size if level_end < 0 else level_end) + 1))
                ends = reached
            else:
                ends = {end + 1 for end in ends if end < size and wire_name[end] == char}
            if not ends:
                return False
        return size in ends


def _capital_inbox(pattern: bytes) -> bytes:
    head, separator, rest = pattern.partition(b"/")
    if head.upper() == b"INBOX":
        return b"INBOX" + separator + rest
    # "inb*" is rare, but INBOX has no case: fold only a head that could spell it.
    literal = re.split(rb"[*%]", head)[0]
    if literal and len(literal) < 5 and b"INBOX".startswith(literal.upper()) and literal != head:
        return literal.upper() + pattern[len(literal) :]
    return pattern
