"""Login names: user input that is prepared before it is looked up.

An account logs in with an ASCII name, because many clients cannot send other names, or with its
address.
"""

from __future__ import annotations

import re

from precis_i18n import get_profile

from zajil.core.address import BadAddress, parse_address
from zajil.core.errors import Invalid

_LOGIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\Z")
_PROFILE = get_profile("UsernameCaseMapped")


class BadLogin(Invalid, ValueError):
    """Not a login name."""


def parse_login(text: str) -> str:
    """Return the stored form: width and case folded (RFC 8265 section 3.3), then ASCII.

    Raises:
        BadLogin: not 1 to 63 of a-z, 0-9, dot, hyphen, underscore, or it begins with a mark.
    """
    try:
        login = _PROFILE.enforce(text)
    except UnicodeError:
        login = ""
    if not _LOGIN.match(login):
        raise BadLogin(
            f"{text!r} is not a login name: 1 to 63 of a-z, 0-9, '.', '-', '_', "
            "with a letter or digit first"
        )
    return str(login)


def prepare_login(text: str) -> str:
    """Return what is looked up for what somebody typed: a login name, or the key of an address.

    Two spellings of one name come out equal, and a name that looks like another's is refused, so
    that nothing after this (table, cache, salt) ever compares what was typed.

    Raises:
        BadLogin: neither a login name nor an address.
    """
    typed = text.strip(" ")
    if "@" not in typed:
        return parse_login(typed)
    try:
        address = parse_address(typed)
        if not address.local_part.isascii():
            # RFC 8265 section 3.3, for what only people of other scripts type.
            local_part = _PROFILE.enforce(address.local_part)
            address = parse_address(f"{local_part}@{address.domain}")
    except (BadAddress, UnicodeError):
        raise BadLogin("neither a login name nor an address") from None
    return address.key
