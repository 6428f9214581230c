"""Whether a message comes from whom it says: what this server found out when it came. Pure.

Read from the Authentication-Results field that this server wrote (RFC 8601); fields in its name
that came with a message were taken out (``receive``). A message that a program put into the mailbox
was never checked here, so nothing is said of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from zajil.core.domain import BadDomain, to_ascii, to_unicode
from zajil.core.value_class import value_class
from zajil.dns.public_suffix import registered_domain
from zajil.mailauth.authres import FIELD_NAME, MethodResult
from zajil.mailauth.authres_read import read_results
from zajil.message.fields import Field

Level = Literal["proved", "unproved", "failed"]


@value_class(frozen=True, slots=True, kw_only=True)
class SenderProof:
    """What is known about the author of a message."""

    level: Level
    """``proved``: DMARC passed, or a signature or server of the author's own domain. ``failed``:
    the domain says that its mail can be proved, and this could not."""
    domain: str
    """Of the author, in U-labels."""
    spf: str
    """``pass``, ``fail``, ``softfail``, ``none`` ...; ``""``: not checked."""
    spf_domain: str
    dkim: str
    """The best result of all signatures."""
    dkim_domains: tuple[str, ...]
    """Of the signatures that hold."""
    dmarc: str


def read_proof(fields: Sequence[Field], authserv_id: str, author_domain: str) -> SenderProof | None:
    """Return what this server found out about the author; ``None``: it found nothing out.

    Args:
        fields: of the message, as it lies in the mailbox; it was accepted by this server.
        authserv_id: the name of this server.
        author_domain: ASCII form; ``""``: there is no author.
    """
    results = own_results(fields, authserv_id)
    if not results or not author_domain:
        return None
    by_method: dict[str, list[MethodResult]] = {}
    for one in results:
        by_method.setdefault(one.method, []).append(one)
    spf = [one for one in by_method.get("spf", ()) if _value(one, "smtp.mailfrom")]
    dkim = by_method.get("dkim", [])
    dmarc = by_method.get("dmarc", [])
    if not (spf or dkim or dmarc):
        return None
    signed = tuple(dict.fromkeys([_value(one, "header.d") for one in dkim if one.result == "pass"]))
    spf_domain = _value(spf[0], "smtp.mailfrom").rpartition("@")[2] if spf else ""
    dmarc_result = dmarc[0].result if dmarc else ""
    servers = [spf_domain] if spf and spf[0].result == "pass" else []
    is_own = any(_is_aligned(one, author_domain) for one in (*signed, *servers))
    return SenderProof(
        level=_level(dmarc_result, is_own),
        domain=to_unicode(author_domain),
        spf=spf[0].result if spf else "",
        spf_domain=to_unicode(spf_domain),
        dkim="pass" if signed else dkim[0].result if dkim else "",
        dkim_domains=tuple([to_unicode(one) for one in signed]),
        dmarc=dmarc_result,
    )


def _level(dmarc: str, is_own: bool) -> Level:
    if dmarc == "fail":
        return "failed"
    return "proved" if dmarc == "pass" or is_own else "unproved"


def own_results(fields: Sequence[Field], authserv_id: str) -> tuple[MethodResult, ...]:
    """Return what this server wrote into the Authentication-Results field of a message."""
    for field in fields:
        if field.name == FIELD_NAME:
            found = read_results(field.value)
            if found is not None and found.authserv_id.lower() == authserv_id.lower():
                return found.results
    return ()


def _value(result: MethodResult, name: str) -> str:
    return dict(result.properties).get(name, "")[:320]


def _is_aligned(domain: str, author: str) -> bool:
    """Check whether both belong to one registered domain, as relaxed alignment asks (RFC 9989)."""
    try:
        return registered_domain(to_ascii(domain)) == registered_domain(author)
    except BadDomain:
        return False
