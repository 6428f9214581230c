"""What an author may want to know before a letter goes: asked once, never in the way. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from zajil.check.content.lookalike import Imitated
from zajil.core.domain import to_unicode
from zajil.login.account import Account
from zajil.submit.compose import read_people
from zajil.web.language import Language
from zajil.web.webmail.compose_form import Letter

_MENTIONS = re.compile(
    r"\battach(?:ed|ment|ments|ing)\b|\bsee attached\b|\benclosed\b|مرفق|أرفق|المرفقات"
    r"|\bpi[eè]ces? jointes?\b|\bci-joint",
    re.IGNORECASE,
)
_QUOTE = re.compile(r"^(?:>|-{5,} ).*", re.MULTILINE)
_SIGNATURE = re.compile(r"^-- $", re.MULTILINE)
_MOST_LOOKED_AT = 100_000
_POPULAR = frozenset(
    (
        *("gmail.com", "googlemail.com", "outlook.com", "hotmail.com", "live.com", "msn.com"),
        *("yahoo.com", "ymail.com", "icloud.com", "me.com", "mail.com", "gmx.com", "gmx.net"),
        *("aol.com", "proton.me", "protonmail.com", "fastmail.com", "zoho.com"),
    )
)
"""Domains that many people write to, and often misspell."""


def find_warnings(
    letter: Letter, account: Account, known: Iterable[str], language: Language
) -> list[str]:
    """Return sentences about what is probably a slip; empty: nothing is.

    Args:
        letter: what stands in the form; its addresses are valid.
        account: who writes.
        known: domains that this author writes to, in ASCII.
        language: of the sentences.
    """
    gettext = language.gettext
    found: list[str] = []
    if not letter.subject.strip():
        found.append(gettext("The message has no subject."))
    if not letter.all_refs and _MENTIONS.search(_own_words(letter)):
        found.append(gettext("The text mentions an attachment, but no file is attached."))
    own = {address.domain for address in account.addresses}
    imitated = Imitated({*own, *known, *_POPULAR})
    domains: dict[str, None] = {}
    for field in (letter.to, letter.cc, letter.bcc):
        people = read_people(field).people
        domains.update(dict.fromkeys(one.address.domain for one in people if one.address))
    for domain in list(domains)[:100]:
        like = imitated.find(domain)
        if like is not None:
            sentence = gettext("%(domain)s looks like %(known)s. Is the address right?")
            found.append(sentence % {"domain": to_unicode(domain), "known": to_unicode(like)})
    return found


def _own_words(letter: Letter) -> str:
    """Return subject and text without what is quoted and without the signature."""
    text = letter.body[:_MOST_LOOKED_AT]
    for pattern in (_SIGNATURE, _QUOTE):
        match = pattern.search(text)
        text = text if match is None else text[: match.start()]
    return f"{letter.subject}\n{text}"
