"""xtext, and its kin for UTF-8 addresses (RFC 3461 section 4, RFC 6533 section 3).

Laws:
- What was encoded reads back as it was: ``decode_xtext(encode_xtext(x)) == x``.
- No control character comes out of an encoded value or goes into one: ``+0D+0A`` in an ORCPT would
  otherwise be a line end in the DSN that quotes it (attack: injection through encoded values).
"""

from __future__ import annotations

import re

from zajil.core.errors import Malformed
from zajil.smtp import grammar

UTF8_TYPE = "utf-8"
"""The address type of RFC 6533 section 3, lower case."""
MAX_ORCPT = 500
"""Characters of ORCPT (RFC 3461 section 4.2)."""


class BadXtext(Malformed, ValueError):
    """Not the grammar, not UTF-8, or a control character."""


# xtext   = *( xchar / hexchar )                         (RFC 3461 section 4)
# xchar   = any ASCII CHAR between "!" (33) and "~" (126) inclusive, except for "+" and "="
# hexchar = ASCII "+" immediately followed by two upper case hexadecimal digits
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_HEXCHAR = re.compile(rb"\+([0-9A-F]{2})")
_NOT_XCHAR = re.compile(rb"[^!-*,-<>-~]")

# utf-8-addr-xtext    = 1*(QCHAR / EmbeddedUnicodeChar)  (RFC 6533 section 3)
# utf-8-addr-unitext  = 1*(QUCHAR / EmbeddedUnicodeChar)
# QCHAR               = %x21-2a / %x2c-3c / %x3e-5b / %x5d-7e
# EmbeddedUnicodeChar = %x5C.78 "{" HEXPOINT "}"         ; starts with "\x"
#
# Deviation: "+2B" is read too. Senders apply xtext to every address type (2026-11-23,
# docs/interop.md), and nothing else could be meant.
_UTF8_ADDRESS = re.compile(
    r"(?:[!-*,-<>-\[\]-~\u00a0-\U0010ffff]|\\x\{[0-9A-F]{2,6}\}|\+[2-7][0-9A-F])+"
)
_EMBEDDED = re.compile(r"\\x\{([0-9A-F]+)\}|\+([0-9A-F]{2})")
_NOT_QCHAR = re.compile(r"[^!-*,-<>-\[\]-~]")

# original-recipient-address = addr-type ";" xtext       (RFC 3461 section 4.2)
# addr-type                  = atom
_ORCPT = re.compile(r"(?P<type>[A-Za-z0-9!#$%&'*/?^_`{|}~-]{1,40});(?P<address>.+)", re.DOTALL)


def decode_xtext(text: str) -> str:
    """Return what an xtext stands for; UTF-8 beneath.

    Raises:
        BadXtext: see there.
    """
    if not _XTEXT.fullmatch(text):
        raise BadXtext("not xtext")
    if "+" not in text:
        return text
    try:
        value = _HEXCHAR.sub(lambda match: bytes([int(match[1], 16)]), text.encode()).decode()
    except UnicodeDecodeError:
        raise BadXtext("not UTF-8") from None
    return _without_controls(value)


def encode_xtext(value: str) -> str:
    """Return the xtext of a value; ASCII.

    Raises:
        BadXtext: the value holds a control character.
    """
    octets = _without_controls(value).encode()
    return _NOT_XCHAR.sub(lambda match: b"+%02X" % match[0][0], octets).decode()


def decode_original_recipient(text: str) -> str:
    """Return what an ORCPT stands for: ``rfc822;someone@example``, ``utf-8;سلمى@زاجل.example``.

    Raises:
        BadXtext: see there; also an address that is not ASCII and of a type that knows none.
    """
    match = _ORCPT.fullmatch(text)
    if match is None or len(text) > MAX_ORCPT:
        raise BadXtext("not an address type and an address")
    kind, address = match["type"], match["address"]
    if kind.lower() == UTF8_TYPE:
        return f"{kind};{_decode_utf8_address(address)}"
    # Deviation: Postfix calls a UTF-8 address rfc822, written out or as the xtext of its bytes.
    # It means utf-8, and is read as that; to refuse it would refuse the mail (2026-11-23,
    # docs/interop.md).
    value = _without_controls(address) if not address.isascii() else decode_xtext(address)
    if value.isascii():
        return f"{kind};{value}"
    if kind.lower() != "rfc822":
        raise BadXtext("not ASCII")
    return f"{UTF8_TYPE};{value}"


def encode_original_recipient(value: str) -> str:
    """Return the value of ORCPT, in ASCII: it may go to servers that do not offer SMTPUTF8.

    It may be longer than ``MAX_ORCPT``: a letter that came as itself takes seven characters here.

    Raises:
        BadXtext: a control character; no address type; not ASCII, and the type is not ``utf-8``.
    """
    match = _ORCPT.fullmatch(_without_controls(value))
    if match is None:
        raise BadXtext("not an address type and an address")
    kind, address = match["type"], match["address"]
    if kind.lower() == UTF8_TYPE:
        return f"{kind};" + _NOT_QCHAR.sub(lambda char: f"\\x{{{ord(char[0]):02X}}}", address)
    if not address.isascii():
        raise BadXtext("not ASCII")
    return f"{kind};{encode_xtext(address)}"


def _decode_utf8_address(text: str) -> str:
    if not _UTF8_ADDRESS.fullmatch(text):
        raise BadXtext("not a UTF-8 address")
    value = _EMBEDDED.sub(lambda match: _character(match[1] or match[2]), text)
    return _without_controls(value)


def _character(digits: str) -> str:
    number = int(digits, 16)
    if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
        raise BadXtext("not a character")
    return chr(number)


def _without_controls(value: str) -> str:
    if grammar.CONTROL.search(value):
        raise BadXtext("a control character")
    return value
