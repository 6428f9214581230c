"""Passwords, prepared before they are hashed or compared: OpaqueString (RFC 8265 section 4.2).

Different keyboards may send the same characters as different bytes; prepared passwords are equal if
they look the same.
"""

from __future__ import annotations

from precis_i18n import get_profile

from zajil.core.errors import Invalid

LONGEST_PASSWORD = 1024
"""Characters; bounds what one log-in may make us hash."""

IN_DIRECTORY = "{LDAP}"
"""In place of a hash: the password is in the directory of the organisation (``[directory]``)."""
NO_PASSWORD = "{NONE}"  # noqa: S105
"""In place of a hash: the account has no password; its owner logs in by another provider."""
MOVED_AWAY = "{MOVED}"
"""In place of a hash: the account is in another shard now, and the rest of it is removed soon."""

_PROFILE = get_profile("OpaqueString")


class UnusablePassword(Invalid, ValueError):
    """Empty, too long, or with characters that nobody can type on purpose."""


def prepare_password(text: str) -> str:
    """Return the form that is hashed.

    Raises:
        UnusablePassword: see there; the text says which of them.
    """
    if len(text) > LONGEST_PASSWORD:
        raise UnusablePassword(f"a password must have at most {LONGEST_PASSWORD} characters")
    try:
        return str(_PROFILE.enforce(text))
    except UnicodeError:
        raise UnusablePassword(
            "a password must not be empty or contain control or invisible characters"
        ) from None
