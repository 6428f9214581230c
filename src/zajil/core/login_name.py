"""Login names: what is typed beside a password, prepared before it is looked up.

An account logs in by an ASCII name, because many clients cannot send any other (design D11), or
by its address.
"""

from __future__ import annotations

import re

from precis_i18n import get_profile

_LOGIN = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\Z")
_PROFILE = get_profile("UsernameCaseMapped")


class BadLogin(ValueError):
    """Not a login name."""


def parse_login(text: str) -> str:
    """Give the stored form: width and case folded (RFC 8265 section 3.3), then ASCII.

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
