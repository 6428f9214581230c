"""Login names and passwords of new accounts.

Many mail programs log in with ASCII names only, so an account such as سلمى gets one too.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence

from argon2 import PasswordHasher, profiles

from zajil.core.app_password import generate_characters
from zajil.core.clock import Random
from zajil.core.errors import Invalid
from zajil.core.login_name import BadLogin, parse_login
from zajil.core.password import LONGEST_PASSWORD, UnusablePassword, prepare_password

SHORTEST = 8
"""Characters. NIST SP 800-63B: length helps, rules about which characters to use do not."""
LONGEST = LONGEST_PASSWORD
"""Characters; ``login.service`` refuses longer passwords without hashing them."""

SHORTEST_CHOSEN = 10
"""Characters of a password that a person chooses on the pages."""
_FEWEST_DIFFERENT = 5
_USUAL = {
    *("password", "passwort", "passw", "pass", "motdepasse", "qwerty", "qwertyuiop", "qwertz"),
    *("azerty", "asdfghjkl", "asdf", "letmein", "welcome", "iloveyou", "admin", "administrator"),
    *("changeme", "secret", "monkey", "dragon", "football", "baseball", "sunshine", "princess"),
    *("master", "login", "abc", "abcdef", "abcdefg", "abcdefgh", "test", "testtest", "user"),
    *("zajil", "mail", "webmail", "email", "hello", "كلمةالمرور", "كلمةالسر", "مرحبا", ""),
}
"""Without digits and signs, as ``_letters`` gives them."""

_GROUPS, _GROUP = 5, 4


class BadPassword(Invalid, ValueError):
    """The password cannot be used."""


class WeakPassword(BadPassword):
    """The password is too short, too usual, or the name of its owner."""


def check_strength(password: str, names: Sequence[str]) -> None:
    """Do nothing if a person may choose this password.

    Args:
        password: as typed.
        names: what the owner is called: login name, address, display name.

    Raises:
        WeakPassword: shorter than ``SHORTEST_CHOSEN`` characters, of few different characters, or
            nothing but a name or a usual word with digits and signs around it.
    """
    if len(password) < SHORTEST_CHOSEN or len(set(password)) < _FEWEST_DIFFERENT:
        raise WeakPassword(f"a password must have at least {SHORTEST_CHOSEN} characters")
    core = _letters(password)
    parts = [part for name in names for part in (name, name.partition("@")[0], *name.split())]
    if core in {_letters(part) for part in parts if _letters(part)} or core in _USUAL:
        raise WeakPassword("a password must not be a name of its owner or a usual word")


def _letters(text: str) -> str:
    """Return what remains of a text without case, digits, spaces and signs."""
    return "".join(letter for letter in text.casefold() if letter.isalpha())


def prepare_usable(password: str) -> str:
    """Return a password as it is hashed.

    Raises:
        BadPassword: shorter than ``SHORTEST`` characters, longer than ``LONGEST``, or with
            control characters.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise BadPassword(f"a password must have {SHORTEST} to {LONGEST} characters")
    try:
        return prepare_password(password)
    except UnusablePassword as error:
        raise BadPassword(str(error)) from None


def hash_password(password: str) -> str:
    """Return the argon2id hash in PHC form; takes 64 MiB and tens of milliseconds.

    Raises:
        BadPassword: as ``prepare_usable``.
    """
    prepared = prepare_usable(password)
    # RFC 9106 section 4, the second recommendation: 64 MiB, three passes, four lanes.
    return PasswordHasher.from_parameters(profiles.RFC_9106_LOW_MEMORY).hash(prepared)


def generate_password(random: Random) -> str:
    """Return a password of 99 random bits, in groups of four that are easy to read out."""
    characters = generate_characters(_GROUPS * _GROUP, random)
    return "-".join(characters[i * _GROUP : (i + 1) * _GROUP] for i in range(_GROUPS))


# Consonants as they are commonly spelled in mail names; short vowels are not written in Arabic.
# Each Arabic letter is followed by its spelling.
_SPELLINGS = (
    "اa بb تt ثth جj حh خkh دd ذdh رr زz سs شsh صs ضd طt ظz عa غgh فf قq كk لl مm نn هh وw يy "
    "ىa ةa ءa پp چch ژzh گg کk یy"
)
_ARABIC = {spelling[0]: spelling[1:] for spelling in _SPELLINGS.split(" ")}


def choose_login(local_part: str, is_taken: Callable[[str], bool]) -> str:
    """Return a free login name made from a local part: ``salma``, then ``salma2``."""
    base = _ascii_name(local_part)
    number, login = 1, base
    while is_taken(login):
        number += 1
        login = f"{base}{number}"
    return login


def _ascii_name(local_part: str) -> str:
    # Accents are removed (José becomes jose); hamza and its carriers become one letter.
    plain = unicodedata.normalize("NFKD", local_part).casefold()
    letters = [_ARABIC.get(letter, letter) for letter in plain]
    kept = "".join(letter for letter in letters if letter.isascii() and _fits(letter))
    try:
        return parse_login(kept.strip("._-")[:50])
    except BadLogin:
        return "user"


def _fits(letters: str) -> bool:
    return letters.isalnum() or letters in "._-"
