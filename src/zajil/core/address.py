"""Mail addresses: ``local-part@domain`` (RFC 5321 section 4.1.2, RFC 6531 section 3.3).

RFC 5321 calls this a Mailbox; here a mailbox is an IMAP folder.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable

from zajil.core.domain import BadDomain, to_ascii, to_unicode
from zajil.core.errors import Invalid
from zajil.core.value_class import value_class


class BadAddress(Invalid, ValueError):
    """Not an address by the grammar of RFC 5321 section 4.1.2."""


_ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x2d\u0080-\U0010ffff]"
_DOT_STRING = re.compile(rf"{_ATEXT}+(?:\.{_ATEXT}+)*\Z")
_QUOTED = re.compile(r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e\u0080-\U0010ffff]|\\[\x20-\x7e])*"\Z')
_LITERAL = re.compile(r"\[[A-Za-z0-9:.\x2d]{1,80}\]\Z")

CATCH_ALL = "*"
"""Local part of a catch-all alias."""

_MAX_DOMAIN = 253
"""Characters; in A-labels a name only gets longer."""
_CONTROLS = ("Cc", "Cf", "Cs", "Zl", "Zp")


@value_class(frozen=True, slots=True)
class Address:
    """An address; equality is by spelling, ``key`` is what it is looked up by."""

    local_part: str
    """Unquoted, NFC, case as given; may be UTF-8 (RFC 6531)."""
    domain: str
    """ASCII form, lower case, or an address literal ``[192.0.2.1]``."""

    def __str__(self) -> str:
        """Return the wire form, with A-labels: what stands between the angle brackets."""
        return f"{quote_local_part(self.local_part)}@{self.domain}"

    @property
    def unicode(self) -> str:
        """The form that people read: domain in U-labels."""
        return f"{quote_local_part(self.local_part)}@{to_unicode(self.domain)}"

    @property
    def key(self) -> str:
        """What the directory looks up: case of the local part folded, NFC."""
        if self.local_part.isascii():
            return f"{self.local_part.lower()}@{self.domain}"
        folded = unicodedata.normalize(
            "NFC", unicodedata.normalize("NFKC", self.local_part).casefold()
        )
        return f"{folded}@{self.domain}"

    @property
    def is_catch_all(self) -> bool:
        """Whether it is ``*@domain``: an alias of this name gets what no other address gets."""
        return self.local_part == CATCH_ALL

    @property
    def is_ascii(self) -> bool:
        """Whether it can travel without SMTPUTF8 (RFC 6531 section 3.2)."""
        return self.local_part.isascii()


@functools.lru_cache(maxsize=1024)
def quote_local_part(local_part: str) -> str:
    """Return the local part as it stands on the wire: quoted where it must be."""
    if _DOT_STRING.match(local_part):
        return local_part
    escaped = local_part.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def parse_address(text: str) -> Address:
    """Parse ``local-part@domain``; the domain may come in U-labels or A-labels.

    Raises:
        BadAddress: not the grammar of RFC 5321 section 4.1.2; a part too long for
            RFC 5321 section 4.5.3.1; control or direction characters in it.
    """
    local, at, domain = text.rpartition("@")
    if not at or not local:
        raise BadAddress("an address must have the form local-part@domain")
    # RFC 5321 section 4.5.3.1.1: 64 octets; counted in UTF-8 (RFC 6531 section 3.3).
    # Quotes and backslashes do not count: a quoted one may be twice as long.
    if len(local) > 2 * 64 + 2 or len(domain) > _MAX_DOMAIN:
        raise BadAddress("too long for an address")
    if local.startswith('"'):
        if not _QUOTED.match(local):
            raise BadAddress("bad quoted local part")
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    elif not _DOT_STRING.match(local):
        raise BadAddress("bad local part")
    if not local.isascii():
        # Security: direction and zero-width characters make two addresses look like one.
        if any(unicodedata.category(char) in _CONTROLS for char in local):
            raise BadAddress("control characters in the local part")
        local = unicodedata.normalize("NFC", local)
    if len(local.encode()) > 64:
        raise BadAddress("the local part is longer than 64 octets")
    if domain.startswith("["):
        if not _LITERAL.match(domain):
            raise BadAddress("bad address literal")
        return Address(local, domain)
    try:
        return Address(local, to_ascii(domain))
    except BadDomain as error:
        raise BadAddress(str(error)) from None


def parse_addresses(texts: Iterable[str]) -> tuple[Address, ...]:
    """Parse several addresses; of those with the same key only the first is kept.

    Raises:
        BadAddress: as ``parse_address``.
    """
    by_key: dict[str, Address] = {}
    for one in map(parse_address, texts):
        by_key.setdefault(one.key, one)
    return tuple(by_key.values())
