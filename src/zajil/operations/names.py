"""A login name for an address: the local part where that is ASCII, else the nearest to it.

Many mail programs cannot log in with anything but ASCII (design D11), so سلمى gets one too.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from zajil.core.login_name import BadLogin, parse_login

# Consonants as they are commonly spelled in mail names; short vowels are not written in Arabic
# either. Each letter stands before its spelling.
_SPELLINGS = (
    "اa بb تt ثth جj حh خkh دd ذdh رr زz سs شsh صs ضd طt ظz عa غgh فf قq كk لl مm نn هh وw يy "
    "ىa ةa ءa پp چch ژzh گg کk یy"
)
_ARABIC = {spelling[0]: spelling[1:] for spelling in _SPELLINGS.split(" ")}


def choose_login(local_part: str, is_taken: Callable[[str], bool]) -> str:
    """Give a free login name that resembles the local part: ``salma``, then ``salma2``."""
    base = _ascii_name(local_part)
    number, login = 1, base
    while is_taken(login):
        number += 1
        login = f"{base}{number}"
    return login


def _ascii_name(local_part: str) -> str:
    # Accents fall off (José is jose), hamza and its seats become one letter.
    plain = unicodedata.normalize("NFKD", local_part).casefold()
    letters = [_ARABIC.get(letter, letter) for letter in plain]
    kept = "".join(letter for letter in letters if letter.isascii() and _fits(letter))
    try:
        return parse_login(kept.strip("._-")[:50])
    except BadLogin:
        return "user"


def _fits(letters: str) -> bool:
    return letters.isalnum() or letters in "._-"
