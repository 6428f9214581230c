"""Reports about one mail that failed: message/feedback-report (RFC 5965, RFC 6591, RFC 9991).

They are read, never sent: they would tell a stranger who writes to our users, and what
(RFC 9991 section 7).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

from zajil.core.domain import BadDomain, to_ascii
from zajil.message.charset import decode_text
from zajil.message.date import parse_date
from zajil.message.encoded_word import decode_words
from zajil.message.fields import Field, find_fields, find_value, read_fields
from zajil.reports.packing import BadReport

MAX_VALUE = 1000
"""Characters that are kept of one field."""
MAX_HEADER = 32_768
"""Characters that are kept of the header section of the mail that failed."""
MAX_INCIDENTS = 10**9

_COMMENT = re.compile(r"\([^()]*\)")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureReport:
    """What one report says; ``""`` for what it does not say."""

    reported_domain: str
    """ASCII; whose mail it claims to be."""
    auth_failure: str
    """RFC 6591 section 3.1: ``dmarc``, ``dkim``, ``spf``, ``bodyhash``, ``revoked``..."""
    identity_alignment: str
    """Methods that proved nothing: ``dkim``, ``spf``, both, ``none`` (RFC 9991 section 4)."""
    delivery_result: str
    source_ip: str
    user_agent: str
    arrival_ms: int | None
    """When the mail came; ``None``: not told."""
    mail_from: str
    recipients: tuple[str, ...]
    dkim_domain: str
    dkim_selector: str
    dkim_identity: str
    spf_dns: str
    authentication_results: str
    incidents: int
    """How many alike there were."""
    header: str
    """Header section of the mail; never its body."""


def read_failure_report(body: bytes, header: bytes) -> FailureReport:
    """Read the fields of a report, and the header section of the mail it is about.

    Args:
        body: of the part message/feedback-report, decoded.
        header: of the part after it; what follows an empty line is left out.

    Raises:
        BadReport: it is about something else, or does not say about whom.
    """
    fields = read_fields(body[: 4 * MAX_HEADER])
    if _word(fields, b"feedback-type").lower() != "auth-failure":
        raise BadReport("it is not an authentication failure report")
    section = re.split(rb"\r?\n\r?\n", header[:MAX_HEADER], maxsplit=1)[0]
    return FailureReport(
        reported_domain=_reported_domain(fields),
        auth_failure=_word(fields, b"auth-failure").lower(),
        identity_alignment=_word(fields, b"identity-alignment").lower(),
        delivery_result=_word(fields, b"delivery-result").lower(),
        source_ip=_address(_word(fields, b"source-ip")),
        user_agent=_text(fields, b"user-agent"),
        arrival_ms=_date(fields),
        mail_from=_text(fields, b"original-mail-from").strip("<>"),
        recipients=tuple(
            [_clean(one.value).strip("<>") for one in find_fields(fields, b"original-rcpt-to")[:20]]
        ),
        dkim_domain=_text(fields, b"dkim-domain"),
        dkim_selector=_text(fields, b"dkim-selector"),
        dkim_identity=_text(fields, b"dkim-identity"),
        spf_dns=_text(fields, b"spf-dns"),
        authentication_results=_text(fields, b"authentication-results"),
        incidents=_incidents(_word(fields, b"incidents")),
        header=decode_text(section).replace("\0", ""),
    )


def _reported_domain(fields: list[Field]) -> str:
    for name in (b"reported-domain", b"dkim-domain"):
        try:
            return to_ascii(_word(fields, name))
        except BadDomain:
            continue
    raise BadReport("it does not name the reported domain")


def _text(fields: list[Field], name: bytes) -> str:
    value = find_value(fields, name)
    return "" if value is None else _clean(value)


def _clean(value: bytes) -> str:
    text = _SPACE.sub(" ", decode_words(value[: 4 * MAX_VALUE])).strip()[:MAX_VALUE]
    return text.replace("\0", "")


def _word(fields: list[Field], name: bytes) -> str:
    """Return a field without its comments."""
    return _COMMENT.sub("", _text(fields, name)).strip()


def _address(text: str) -> str:
    try:
        return str(ip_address(text.strip("[]").removeprefix("IPv6:")))
    except ValueError:
        return ""


def _date(fields: list[Field]) -> int | None:
    value = find_value(fields, b"arrival-date") or find_value(fields, b"received-date")
    return None if value is None else parse_date(value)


def _incidents(text: str) -> int:
    return min(int(text), MAX_INCIDENTS) if re.fullmatch(r"[0-9]{1,12}", text) else 1
