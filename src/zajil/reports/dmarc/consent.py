"""Where a report may be sent: a flow (RFC 9990 section 3.5 and section 4, RFC 9989 section 4.7).

Laws:
- Security: another organization gets reports only if it says so at
  ``DOMAIN._report._dmarc.ITS_DOMAIN``; else a record could point a flood at anybody.
- Questions are bounded: ``MAX_DESTINATIONS`` of them are looked at, each with one question and one
  walk up its domain.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from zajil.core.address import Address, BadAddress, parse_address
from zajil.dns.flow import Flow, Outcome, Question
from zajil.mailauth.dmarc_record import parse_dmarc_record
from zajil.mailauth.tree_walk import RecordBook, WalkFailed, organizational_domain, walk_tree
from zajil.reports.kind import Destinations

MAX_DESTINATIONS = 5
"""Of one record; RFC 9989 section 4.7 asks for two at least."""

# The size of the largest report is no part of it any more (RFC 9989 section 4.8).
_URI = re.compile(r"mailto:([^?!]{3,500})(?:\?[^!]*)?(?:![0-9]{1,12}[kmgt]?)?\Z", re.IGNORECASE)


def parse_destination(uri: str) -> Address | None:
    """Read a URI of ``rua``; ``None``: it is none that mail can be sent to."""
    match = _URI.match(uri.strip())
    if match is None:
        return None
    try:
        address = parse_address(unquote(match[1], errors="strict"))
    except (BadAddress, UnicodeDecodeError):
        return None
    if not address.domain or address.domain.startswith("[") or not address.is_ascii:
        return None
    return address


def find_consent(policy_domain: str, uris: tuple[str, ...]) -> Flow[Destinations]:
    """Find out which of the addresses that a record names take reports on its domain.

    Args:
        policy_domain: where the record was found, ASCII.
        uris: of ``rua``.
    """
    book = RecordBook()
    accepted: dict[str, Address] = {}
    refused: list[str] = []
    is_unsure = False
    for uri in uris[:MAX_DESTINATIONS]:
        wanted = parse_destination(uri)
        if wanted is None:
            refused.append(f"{uri[:100]} is no address that mail can be sent to.")
            continue
        try:
            agreed = yield from _agree(policy_domain, wanted, book)
        except WalkFailed as failed:
            is_unsure = True
            refused.append(f"DNS gave no answer for {failed}.")
            continue
        if not agreed:
            host = wanted.domain
            refused.append(f"{host} does not say that it takes reports on {policy_domain}.")
        for one in agreed:
            accepted.setdefault(one.key, one)
    return Destinations(tuple(accepted.values()), tuple(refused), is_unsure)


def _agree(policy_domain: str, wanted: Address, book: RecordBook) -> Flow[tuple[Address, ...]]:
    """Return where reports go in the end; empty: nowhere (RFC 9990 section 4).

    Raises:
        WalkFailed: DNS did not say.
    """
    host = wanted.domain
    if host == policy_domain:
        return (wanted,)
    if host.rpartition(".")[2] == policy_domain.rpartition(".")[2]:
        ours = organizational_domain(policy_domain, (yield from walk_tree(policy_domain, book)))
        theirs = organizational_domain(host, (yield from walk_tree(host, book)))
        if ours == theirs:
            return (wanted,)
    name = f"{policy_domain}._report._dmarc.{host}"
    if len(name) > 253:
        return ()
    answer = yield Question(name, "TXT")
    if answer.outcome is Outcome.FAILED:
        raise WalkFailed(name)
    records = [record for text in answer.values if (record := parse_dmarc_record(text))]
    if not records:
        return ()
    named = [uri for record in records for uri in record.report_to][:MAX_DESTINATIONS]
    if not named:
        return (wanted,)
    others = [parse_destination(uri) for uri in named]
    # Security: whoever takes the reports may name another address, at the same host alone.
    if any(one is None or one.domain != host for one in others):
        return ()
    return tuple([one for one in others if one is not None])
