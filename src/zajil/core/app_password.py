"""App passwords: generated passwords for one program, shown once.

The first group of characters is a label and not secret. It selects the only row that may match, so
that a log-in costs one argon2 computation, however many app passwords the account has.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum

from zajil.core.service import Service
from zajil.core.value_class import value_class

ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
"""Nothing that is read as something else."""
GROUP = 4
_GROUPS = 6
"""One is the label; five are secret and have 99 bits."""


class Scope(StrEnum):
    """What an app password opens; never the web, which could make new ones."""

    SMTP = "smtp"
    IMAP = "imap"
    POP3 = "pop3"
    ALL = "all"

    def covers(self, wanted: Scope) -> bool:
        """Whether it opens what is wanted."""
        return self is Scope.ALL or self is wanted


SCOPE_OF_SERVICE = {
    Service.SUBMISSION: Scope.SMTP,
    Service.SUBMISSIONS: Scope.SMTP,
    Service.IMAP: Scope.IMAP,
    Service.IMAPS: Scope.IMAP,
    Service.POP3: Scope.POP3,
    Service.POP3S: Scope.POP3,
}
"""A service that is not here accepts only the account's own password."""


@value_class(frozen=True, slots=True)
class AppPassword:
    """One app password, whole."""

    text: str
    """As it is shown: groups of four with a hyphen between."""

    @property
    def label(self) -> str:
        """The first group, kept as it is."""
        return self.text[:GROUP]

    def __repr__(self) -> str:
        """Leave out the secret: this may reach a log."""
        return f"AppPassword(label={self.label!r})"


_TYPED = re.compile(rf"[{ALPHABET}]{{{GROUP * _GROUPS}}}\Z")


def make_app_password(random: Callable[[int], bytes]) -> AppPassword:
    """Make one up.

    Args:
        random: gives that many bytes nobody can guess.
    """
    return AppPassword(_grouped(generate_characters(GROUP * _GROUPS, random)))


def read_app_password(typed: str) -> AppPassword | None:
    """Return what somebody typed as an app password, or ``None`` if it cannot be one.

    Case, spaces and hyphens do not matter: people copy it from a screen to a phone.
    """
    letters = typed.lower().replace("-", "").replace(" ", "")
    return AppPassword(_grouped(letters)) if _TYPED.match(letters) else None


def generate_characters(count: int, random: Callable[[int], bytes]) -> str:
    """Return random characters of ``ALPHABET``, each equally likely."""
    letters = ""
    while len(letters) < count:
        # Bytes past the last whole multiple are thrown away, so that no letter comes more often.
        usable = [byte for byte in random(32) if byte < 256 - 256 % len(ALPHABET)]
        letters += "".join(ALPHABET[byte % len(ALPHABET)] for byte in usable)
    return letters[:count]


def _grouped(letters: str) -> str:
    return "-".join(letters[at : at + GROUP] for at in range(0, len(letters), GROUP))
