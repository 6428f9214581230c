"""Which logo a message may show, by what this server found out about it when it came. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from zajil.core.domain import BadDomain, to_ascii
from zajil.core.value_class import value_class
from zajil.dns.public_suffix import registered_domain
from zajil.mailauth.authres import MethodResult
from zajil.mailauth.bimi import DEFAULT_SELECTOR, read_selector
from zajil.mailauth.dkim_signature import BadSignature, parse_signature
from zajil.message.fields import Field
from zajil.read.sender_proof import own_results

_MAX_SIGNATURES = 20
"""DKIM-Signature fields that are read."""


@value_class(frozen=True, slots=True)
class LogoQuestion:
    """Whose logo is meant."""

    domain: str
    """Of the author, ASCII."""
    selector: str


def read_logo_question(
    fields: Sequence[Field], authserv_id: str, author_domain: str
) -> LogoQuestion | None:
    """Return whose logo a message may show; ``None``: none, because DMARC did not prove its author.

    Args:
        fields: of the message, as it lies in the mailbox; it was accepted by this server.
        authserv_id: the name of this server.
        author_domain: of the only author; ``""``: there is none, or several.
    """
    results = own_results(fields, authserv_id)
    try:
        author = to_ascii(author_domain)
    except BadDomain:
        return None
    if not any([_proves(one, author) for one in results]):
        return None
    selectors = [field.value for field in fields if field.name == b"bimi-selector"]
    selector = read_selector(selectors[0]) if len(selectors) == 1 else None
    if selector is None or not _is_signed(fields, results, author):
        selector = DEFAULT_SELECTOR
    return LogoQuestion(author, selector)


def _proves(result: MethodResult, author: str) -> bool:
    told = dict(result.properties)
    return (
        (result.method, result.result) == ("dmarc", "pass")
        and told.get("header.from", "").lower() == author
        and told.get("policy.dmarc") in ("quarantine", "reject")
    )


def _is_signed(fields: Sequence[Field], results: Sequence[MethodResult], author: str) -> bool:
    """Whether a valid signature of the author's domain covers the field BIMI-Selector.

    Security: another selector chooses another logo of the same domain, and not who forwards the
    mail shall choose. A signature is recognized by its domain and the beginning of ``b=``.
    """
    valid = {
        (told.get("header.d", ""), told["header.b"])
        for told in [dict(one.properties) for one in results if one.result == "pass"]
        if "header.b" in told
    }
    signatures = [field.value for field in fields if field.name == b"dkim-signature"]
    for value in signatures[:_MAX_SIGNATURES]:
        try:
            signature = parse_signature(value)
        except BadSignature:
            continue
        begin, end = signature.value_span
        start = b"".join(value[begin:end].split())[:8].decode("latin-1")
        if (
            b"bimi-selector" in signature.names
            and (signature.domain, start) in valid
            and registered_domain(signature.domain) == registered_domain(author)
        ):
            return True
    return False
