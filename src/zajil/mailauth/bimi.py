"""BIMI: where the domain of an author says that the certificate for its logo is.

By draft-brand-indicators-for-message-identification; no RFC yet. Nothing is fetched here, and
nothing is believed: the record says where a certificate is, ``mark_certificate`` whether it holds.

The tags ``lps`` (a selector made of the local part) and ``avp`` are not used.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urlsplit

from zajil.core.value_class import value_class
from zajil.dns.flow import Answer, Flow, Outcome, Question
from zajil.mailauth.dmarc_record import DmarcRecord
from zajil.mailauth.tag_list import BadTagList, parse_tag_list
from zajil.mailauth.tree_walk import RecordBook, WalkFailed, organizational_domain, walk_tree

DEFAULT_SELECTOR = "default"
_VERSION = re.compile(r"v[ \t]*=[ \t]*BIMI1[ \t]*(?:;|\Z)")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_SELECTOR = re.compile(rf"{_LABEL}(?:\.{_LABEL}){{0,3}}\Z")
_MAX_SIZE = 2048
_MAX_URL = 500


@value_class(frozen=True, slots=True)
class BimiRecord:
    """What a domain publishes."""

    location: str | None
    """``l=``: an HTTPS URL of an SVG; ``None``: it wants to show none."""
    authority: str | None
    """``a=``: an HTTPS URL of the certificate for the logo."""


@value_class(frozen=True, slots=True, kw_only=True)
class BimiFound:
    """What came of the look-up."""

    result: str
    """``pass``: there is a logo; ``declined``; ``none``; ``skipped``: the DMARC policies of author
    and organization do not allow one; ``temperror``."""
    record: BimiRecord | None = None
    names: frozenset[str] = frozenset()
    """A certificate for one of these names (ASCII) is a certificate for the author."""
    ttl_seconds: int = 0
    """Of the record."""


def look_up_bimi(author: str, selector: str = DEFAULT_SELECTOR) -> Flow[BimiFound]:
    """Look for the logo of the author's domain, then of its organization.

    Policies are looked up anew: those of the time when the message came may be withdrawn.

    Args:
        author: domain in From of a mail that passed DMARC, ASCII.
        selector: of ``read_selector``.
    """
    book = RecordBook()
    try:
        found = yield from walk_tree(author, book)
    except WalkFailed:
        return BimiFound(result="temperror")
    organization = organizational_domain(author, found)
    policies = [record for domain, record in found if domain in (author, organization)]
    if not policies or not all(map(_is_enforced, policies)):
        return BimiFound(result="skipped")
    domains = dict.fromkeys((author, organization))
    names = frozenset([*domains, *[f"{selector}._bimi.{domain}" for domain in domains]])
    for domain in domains:
        name = f"{selector}._bimi.{domain}"
        if len(name) > 253:
            continue
        answer = yield Question(name, "TXT")
        if answer.outcome is Outcome.FAILED:
            return BimiFound(result="temperror")
        record = _read(answer)
        if record is not None:
            result = "pass" if record.location else "declined"
            return BimiFound(
                result=result, record=record, names=names, ttl_seconds=answer.ttl_seconds
            )
    return BimiFound(result="none")


def _is_enforced(record: DmarcRecord) -> bool:
    """Whether a policy lets no forged mail through, of the domain and of those below it."""
    policies = (record.policy, record.subdomain_policy)
    is_partial = record.is_sampled and "quarantine" in policies
    return "none" not in policies and not record.is_testing and not is_partial


def _read(answer: Answer) -> BimiRecord | None:
    found = [record for text in answer.values if (record := parse_bimi_record(text))]
    return found[0] if len(found) == 1 else None


@lru_cache(maxsize=256)
def parse_bimi_record(text: str) -> BimiRecord | None:
    """Read a record; ``None`` if it is none. A URL that is not HTTPS is left out."""
    version = _VERSION.match(text[:_MAX_SIZE])
    if version is None:
        return None
    tags: dict[str, str] = {}
    for piece in text[version.end() : _MAX_SIZE].split(";"):
        name, equals, value = piece.partition("=")
        if equals:
            tags.setdefault(name.strip(" \t").lower(), value.strip(" \t"))
    return BimiRecord(_https(tags.get("l", "")), _https(tags.get("a", "")))


def read_selector(value: bytes) -> str | None:
    """Read the value of a BIMI-Selector field: ``v=BIMI1; s=winter``.

    Returns:
        The selector in lower case; ``None`` if the field is none.
    """
    try:
        tags = parse_tag_list(value)
    except BadTagList:
        return None
    names = list(tags)
    if names[:1] != [b"v"] or tags[b"v"].value != b"BIMI1" or b"s" not in tags:
        return None
    selector = tags[b"s"].value.decode("latin-1").lower()
    return selector if _SELECTOR.match(selector) else None


def _https(url: str) -> str | None:
    # Security: it is asked for by this server.
    if not url.isascii() or not url.isprintable() or len(url) > _MAX_URL or " " in url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme == "https" and parts.hostname else None
