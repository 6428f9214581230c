"""DMARC Policy Records: the text at ``_dmarc.`` of a domain (RFC 9989 section 4.7, 4.8).

Laws:
- Nothing in a record raises. What is no record for this version is ``None``; what is wrong in
  the rest is dropped for its default (RFC 9989 section 4.8).
- Read once for each text: the records of large domains come with every second mail.
"""

from __future__ import annotations

import re
from functools import lru_cache

from zajil.core.value_class import value_class

MAX_SIZE = 4096
"""Characters that are read of a record; real ones have under 300."""
MAX_URIS = 10
"""Addresses that are kept of one tag: each is a mail we would send."""

# RFC 9989 section 4.8: the version comes first, its value is case-sensitive.
_VERSION = re.compile(r"[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
_TAG = re.compile(r"[ \t]*([A-Za-z]+)[ \t]*=[ \t]*([\x20-\x3a\x3c-\x7e]*)\Z")
_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:[\x22-\x2b\x2d-\x7e]+)(?:![0-9]+[kmgtKMGT]?)?\Z")
_REQUESTS = ("none", "quarantine", "reject")


@value_class(frozen=True, slots=True, kw_only=True)
class DmarcRecord:
    """What the owner of a domain asks for."""

    policy: str
    """``none``, ``quarantine`` or ``reject``, for the domain itself."""
    subdomain_policy: str
    """For names below it that exist; that of the domain where ``sp`` is absent."""
    absent_policy: str
    """For names below it that do not exist (``np``)."""
    is_applicable: bool = True
    """Without a valid policy and an address for reports nothing is to be done (RFC 9989
    section 4.10.1); the record still marks its place in the tree."""
    strict_dkim: bool = False
    strict_spf: bool = False
    report_to: tuple[str, ...] = ()
    """URIs of ``rua``, without the obsolete size limit, which nobody shall keep to any more
    (RFC 9989 section 4.8): ``mailto:reports@north.test``."""
    failure_to: tuple[str, ...] = ()
    """URIs of ``ruf``."""
    failure_options: frozenset[str] = frozenset("0")
    """Of ``fo``: ``0``, ``1``, ``d``, ``s``."""
    psd: str = "u"
    """``y``: a public suffix; ``n``: the organizational domain of all below; ``u``: not said."""
    is_testing: bool = False
    """``t=y``: to be handled one step milder."""
    is_sampled: bool = False
    """``pct=`` below 100, a tag of RFC 7489 that RFC 9989 does not have; BIMI asks for it."""


@lru_cache(maxsize=1024)
def parse_dmarc_record(text: str) -> DmarcRecord | None:
    """Read a record; ``None`` if it is none of this version.

    Args:
        text: the strings of one TXT record, joined.
    """
    text = text[:MAX_SIZE]
    version = _VERSION.match(text)
    if version is None:
        return None
    tags = _read_tags(text[version.end() :])
    report_to = _read_uris(tags.get("rua", ""))
    policy, below, absent, is_valid = _read_policies(tags)
    failure_to = _read_uris(tags.get("ruf", ""))
    psd = tags.get("psd", "").lower()
    return DmarcRecord(
        policy=policy,
        subdomain_policy=below,
        absent_policy=absent,
        is_applicable=is_valid or bool(report_to),
        strict_dkim=tags.get("adkim", "").lower() == "s",
        strict_spf=tags.get("aspf", "").lower() == "s",
        report_to=report_to,
        failure_to=failure_to,
        failure_options=_read_failure_options(tags.get("fo", "")),
        psd=psd if psd in ("y", "n") else "u",
        is_testing=tags.get("t", "").lower() == "y",
        is_sampled=tags.get("pct", "100") != "100",
    )


def _read_tags(text: str) -> dict[str, str]:
    """Return tags by name. Of a repeated one the first counts: a slip must not open a domain.

    Nor must ``sp=`` without a value, which is as good as not there (RFC 9989 section 4.8).
    """
    tags: dict[str, str] = {}
    for piece in text.split(";"):
        match = _TAG.match(piece)
        if match and match[2].strip(" \t"):
            tags.setdefault(match[1].lower(), match[2].rstrip(" \t"))
    return tags


def _read_policies(tags: dict[str, str]) -> tuple[str, str, str, bool]:
    """Return ``p``, ``sp``, ``np`` with what they default to, and whether they are valid.

    One that is not valid makes all of them ``none`` (RFC 9989 section 4.10.1).
    """
    policy = tags.get("p", "").lower()
    below = tags.get("sp", policy).lower()
    absent = tags.get("np", below).lower()
    if not {policy, below, absent}.issubset(_REQUESTS):
        return "none", "none", "none", False
    return policy, below, absent, True


def _read_uris(text: str) -> tuple[str, ...]:
    found: list[str] = []
    for piece in text.split(","):
        match = _URI.match(piece.strip(" \t"))
        uri = match[1] if match else None
        if uri and len(found) < MAX_URIS and uri not in found:
            found.append(uri)
    return tuple(found)


def _read_failure_options(text: str) -> frozenset[str]:
    wanted = frozenset(piece.strip(" \t").lower() for piece in text.split(":"))
    if not wanted <= frozenset("01ds") or {"0", "1"} <= wanted:
        return frozenset("0")
    return wanted


def lower_policy(policy: str) -> str:
    """Return the policy one step milder, as ``t=y`` asks (RFC 9989 section 4.7)."""
    return {"reject": "quarantine", "quarantine": "none"}.get(policy, "none")
