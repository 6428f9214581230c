"""BIMI: where the domain of an author that passed DMARC says its logo is.

By draft-brand-indicators-for-message-identification; no RFC yet.
Nothing is fetched here, and nothing is believed: a logo without a certificate (``a=``) is a claim.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import urlsplit

from zajil.core.value_class import value_class
from zajil.dns.flow import Answer, Flow, Outcome, Question
from zajil.mailauth.dmarc import DmarcFound

_VERSION = re.compile(r"v[ \t]*=[ \t]*BIMI1[ \t]*(?:;|\Z)")
_MAX_SIZE = 2048
_MAX_URL = 500


@value_class(frozen=True, slots=True)
class BimiRecord:
    """What a domain publishes."""

    location: str | None
    """``l=``: an HTTPS URL of an SVG; ``None``: it wants to show none."""
    authority: str | None
    """``a=``: an HTTPS URL of the certificate for the logo."""


@value_class(frozen=True, slots=True)
class BimiFound:
    """What came of the look-up."""

    result: str
    """``pass``: there is a logo; ``declined``; ``none``; ``skipped``; ``temperror``."""
    domain: str
    record: BimiRecord | None = None
    inputs: tuple[str, ...] = ()


def look_up_bimi(dmarc: DmarcFound) -> Flow[BimiFound]:
    """Look for the logo of the author's domain, then of its organization.

    Only a mail that passed a policy with teeth may show one, and one that is not on trial.
    """
    record = dmarc.record
    has_teeth = "none" not in (
        dmarc.policy,
        record.policy if record else "none",
        record.subdomain_policy if record else "none",
    )
    if dmarc.result != "pass" or not has_teeth or dmarc.is_testing:
        return BimiFound("skipped", dmarc.domain)
    inputs: list[str] = []
    for domain in dict.fromkeys((dmarc.domain, dmarc.organizational_domain or dmarc.domain)):
        answer = yield Question(f"default._bimi.{domain}", "TXT")
        inputs.append(str(answer)[:300])
        if answer.outcome is Outcome.FAILED:
            return BimiFound("temperror", domain, inputs=tuple(inputs))
        found = _read(answer)
        if found is not None:
            result = "pass" if found.location else "declined"
            return BimiFound(result, domain, found, tuple(inputs))
    return BimiFound("none", dmarc.domain, inputs=tuple(inputs))


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


def _https(url: str) -> str | None:
    # Security: it would stand in a page of ours.
    if not url.isascii() or not url.isprintable() or len(url) > _MAX_URL or " " in url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme == "https" and parts.hostname else None
