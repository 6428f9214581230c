"""What a mail claims beside its authors: addresses in their names, domains that do not exist. Pure.

Law: these are signs and never refuse a mail. Lists write "joe@north.test via pigeons", and shops
send through others under their own address (decision 0010).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zajil.check.sender.author import Authors
from zajil.check.verdict.signals import make_reason
from zajil.check.verdict.verdict import Reason
from zajil.dns.flow import Flow, Outcome, Question
from zajil.mailauth.dmarc import MAX_AUTHORS, DmarcFound, DmarcQuery, check_dmarc
from zajil.mailauth.tree_walk import RecordBook
from zajil.message.fields import Field

_UNREADABLE = 5.0
"""Where a program may take the address for that of the author."""
_FOR_SOMEBODY = 0.5
"""Where a list or a helpdesk sends for somebody."""
_OF_LISTS = frozenset({b"list-id", b"list-unsubscribe"})


def check_claims(
    authors: Authors,
    query: DmarcQuery,
    dmarc: DmarcFound,
    fields: Sequence[Field],
    book: RecordBook,
) -> Flow[list[Reason]]:
    """Return what speaks against the claims of a mail; usually nothing, and then nothing is asked.

    Args:
        authors: of its From.
        query: with what was proven.
        dmarc: what came of it.
        fields: of its header section.
        book: of the policies that were asked for.
    """
    reasons: list[Reason] = []
    if authors.shown:
        found = yield from check_dmarc(
            replace(query, header_from=authors.shown, names_all=True), book
        )
        if found.disposition != "none" or found.result == "permerror":
            weight = _weight(authors, found.domain, fields)
            reasons.append(make_reason("dmarc.name-fail", weight=weight, domain=found.domain))
    if dmarc.result in ("none", "fail"):
        absent = yield from _find_absent(authors.domains, query)
        if absent is not None:
            reasons.append(make_reason("dmarc.absent-author", domain=absent))
    return reasons


def _weight(authors: Authors, domain: str, fields: Sequence[Field]) -> float | None:
    if not authors.is_readable:
        return _UNREADABLE
    shown = f"@{domain}".encode()
    for field in fields:
        if field.name in _OF_LISTS or (
            field.name == b"reply-to" and shown in field.value[:4000].lower()
        ):
            return _FOR_SOMEBODY
    return None


def _find_absent(domains: Sequence[str], query: DmarcQuery) -> Flow[str | None]:
    """Return the first author whose domain nothing proves, and DNS says that it is not there."""
    proven = {one.domain.lower() for one in query.dkim if one.result == "pass"}
    if query.spf is not None and query.spf.result == "pass":
        proven.add(query.spf.domain.lower())
    for domain in domains[:MAX_AUTHORS]:
        name = domain.rstrip(".")
        if name.endswith("]") or any(one == name or name.endswith(f".{one}") for one in proven):
            continue
        answer = yield Question(name, "MX")
        if answer.outcome is Outcome.NO_NAME:
            return name
    return None
