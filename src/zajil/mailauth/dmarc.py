"""DMARC: does the domain in From stand behind this mail, and what does it ask for (RFC 9989).

Laws:
- A flow that never raises: what DNS does not say is ``temperror``, and then no policy applies
  (RFC 9989 section 5.3.6).
- The number of questions has a limit, whatever the names in the mail.
- ``disposition`` is what the owner of the domain asks for; what is done is the verdict's to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from zajil.core.domain import BadDomain, to_ascii
from zajil.core.value_class import value_class
from zajil.dns.flow import Flow, Outcome, Question
from zajil.mailauth.dkim_verify import DkimFound
from zajil.mailauth.dmarc_record import DmarcRecord, lower_policy
from zajil.mailauth.spf import SpfFound
from zajil.mailauth.tree_walk import RecordBook, WalkFailed, organizational_domain, walk_tree

MAX_AUTHORS = 8
"""Domains in From that are looked at. A mail with more is not judged by DMARC, and says so
(RFC 9989 section 11.5)."""
MAX_IDENTIFIERS = 8
"""Signing domains that are compared with that of the author; each may take a walk."""


@value_class(frozen=True, slots=True)
class DmarcQuery:
    """What was found out so far."""

    header_from: tuple[str, ...]
    """Domains of the addresses in From, in order."""
    spf: SpfFound | None = None
    """Of the MAIL FROM identity, which with a null path is postmaster of the HELO name."""
    dkim: Sequence[DkimFound] = ()
    names_all: bool = True
    """``header_from`` leaves no author out."""


@value_class(frozen=True, slots=True, kw_only=True)
class DmarcFound:
    """What DMARC says of a mail."""

    result: str
    """``pass``, ``fail``, ``none``, ``temperror``, ``permerror`` (RFC 8601 section 2.7)."""
    domain: str
    """The author domain; of several the one that decided."""
    reason: str
    """One sentence for a person."""
    policy: str = "none"
    """What its record says for mail that fails: ``none``, ``quarantine``, ``reject``."""
    disposition: str = "none"
    """What it asks to do with this mail."""
    organizational_domain: str | None = None
    """``None`` where nobody had to know."""
    record_domain: str | None = None
    """Where the record was found; ``None`` without one."""
    record: DmarcRecord | None = None
    alignment: tuple[str, ...] = ()
    """Which of ``spf`` and ``dkim`` proved it; empty unless it passed."""
    inputs: tuple[str, ...] = ()

    @property
    def may_refuse(self) -> bool:
        """Whether an answer that is missing could have led to a failure with consequences."""
        return self.result == "temperror" and (self.record is None or self.policy != "none")

    @property
    def report_to(self) -> tuple[str, ...]:
        """URIs for aggregate reports."""
        return self.record.report_to if self.record else ()

    @property
    def failure_to(self) -> tuple[str, ...]:
        """URIs for failure reports."""
        return self.record.failure_to if self.record else ()

    @property
    def is_testing(self) -> bool:
        """The owner tries the policy out (``t=y``)."""
        return self.record is not None and self.record.is_testing

    @property
    def psd(self) -> str:
        """The tag of the record: ``y``, ``n`` or ``u``."""
        return self.record.psd if self.record else "u"


def look_up_policies(header_from: tuple[str, ...]) -> Flow[RecordBook]:
    """Ask for the policies of authors, before anything is known that could prove one."""
    book = RecordBook()
    for author in _distinct(header_from)[:MAX_AUTHORS]:
        if not _is_literal(author):
            try:
                yield from _discover(author, book)
            except WalkFailed:
                continue
    return book


def check_dmarc(query: DmarcQuery, book: RecordBook | None = None) -> Flow[DmarcFound]:
    """Find the policy of the author's domain, and whether the mail satisfies it.

    Args:
        query: the mail.
        book: what ``look_up_policies`` found; ``None``: it is asked for now.
    """
    authors = _distinct(query.header_from)
    if not authors:
        return DmarcFound(result="permerror", domain="", reason="The From field has no domain.")
    if len(authors) > MAX_AUTHORS or not query.names_all:
        return DmarcFound(
            result="permerror",
            domain=authors[0],
            reason="The From field has too many addresses.",
        )
    book = book or RecordBook()
    found: list[DmarcFound] = []
    for author in authors:
        found += [(yield from _check_author(author, query, book))]
    # RFC 9989 section 11.5: of several the strictest policy among those that fail.
    worst = max(found, key=lambda one: (_WORST.index(one.result), _STRICT.index(one.disposition)))
    # That of one author has the answers of all already.
    return worst if len(found) == 1 else replace(worst, inputs=tuple(book.inputs))


_WORST = ("pass", "none", "permerror", "temperror", "fail")
"""Security: beside a domain that passes, one that does not may not stand unseen."""
_STRICT = ("none", "quarantine", "reject")


def _distinct(domains: Iterable[str]) -> list[str]:
    found: dict[str, None] = {}
    for domain in domains:
        try:
            found.setdefault(to_ascii(domain))
        except BadDomain:
            found.setdefault(domain.lower())
    return list(found)


def _check_author(author: str, query: DmarcQuery, book: RecordBook) -> Flow[DmarcFound]:
    if _is_literal(author):
        return DmarcFound(
            result="none",
            domain=author,
            reason=f"{author} is not a domain name.",
            inputs=tuple(book.inputs),
        )
    try:
        place = yield from _discover(author, book)
        if place is None:
            return DmarcFound(
                result="none",
                domain=author,
                reason=f"{author} has no DMARC policy.",
                inputs=tuple(book.inputs),
            )
        return (yield from _evaluate(author, place, query, book))
    except WalkFailed as failed:
        return DmarcFound(
            result="temperror",
            domain=author,
            reason=f"DNS lookup of the DMARC policy of {failed} failed.",
            inputs=tuple(book.inputs),
        )


def _is_literal(author: str) -> bool:
    """Whether it is no name but an address literal, which has no policy."""
    return author.rstrip(".")[-1:] in ("", "]")


class _Place(NamedTuple):
    """Where the record that counts was found."""

    domain: str
    record: DmarcRecord
    organization: str | None


def _discover(author: str, book: RecordBook) -> Flow[_Place | None]:
    """Find the record that counts (RFC 9989 section 4.10.1).

    Raises:
        WalkFailed: DNS did not say.
    """
    own = yield from book.look_up(author)
    if own is not None:
        return _Place(author, own, None)
    found = yield from walk_tree(author, book)
    if not found:
        return None
    organization = organizational_domain(author, found)
    # That of the organizational domain; a public suffix speaks where it has none.
    record = dict(found).get(organization)
    if record is not None:
        return _Place(organization, record, organization)
    return _Place(found[-1].domain, found[-1].record, organization)


def _evaluate(author: str, place: _Place, query: DmarcQuery, book: RecordBook) -> Flow[DmarcFound]:
    record = place.record
    if not record.is_applicable:
        return DmarcFound(
            result="none",
            domain=author,
            reason=f"The DMARC record of {place.domain} has no policy.",
            inputs=tuple(book.inputs),
            record_domain=place.domain,
        )
    proofs, is_unsure = yield from _find_proofs(author, record, query, book)
    policy = yield from _policy_for(author, place, book, may_fail=not proofs)
    disposition = "none"
    if proofs:
        named = " and ".join([_NAMES[method] for method in proofs])
        result, reason = "pass", f"{named} confirmed that the message is from {author}."
    elif is_unsure:
        result = "temperror"
        reason = f"DMARC could not be checked for {author} because a DNS lookup failed."
    else:
        result, disposition = "fail", lower_policy(policy) if record.is_testing else policy
        wish = _WISHES[policy].format(place.domain)
        reason = f"Neither SPF nor DKIM confirmed that the message is from {author}; {wish}."
    return DmarcFound(
        result=result,
        domain=author,
        reason=reason,
        policy=policy,
        disposition=disposition,
        organizational_domain=place.organization,
        record_domain=place.domain,
        record=record,
        alignment=tuple(proofs),
        inputs=tuple(book.inputs),
    )


_NAMES = {"spf": "SPF", "dkim": "DKIM"}
_WISHES = {
    "none": "the policy of {} is none",
    "quarantine": "the policy of {} is to quarantine it",
    "reject": "the policy of {} is to reject it",
}


def _policy_for(author: str, place: _Place, book: RecordBook, *, may_fail: bool) -> Flow[str]:
    """Choose among ``p``, ``sp`` and ``np`` (RFC 9989 section 4.10.1)."""
    record = place.record
    if place.domain == author:
        return record.policy
    if record.subdomain_policy != record.absent_policy:
        answer = yield Question(author, "A")
        book.note(answer)
        if answer.outcome is Outcome.NO_NAME:
            return record.absent_policy
        if answer.outcome is Outcome.FAILED and may_fail:
            raise WalkFailed(author)
    return record.subdomain_policy


def _find_proofs(
    author: str, record: DmarcRecord, query: DmarcQuery, book: RecordBook
) -> Flow[tuple[list[str], bool]]:
    """Return the methods that prove the author, and whether DNS errors may hide one more."""
    proofs: list[str] = []
    is_unsure = False
    for method, domain, is_strict, is_proof in _identifiers(author, query, record):
        if method in proofs or (not is_proof and proofs):
            continue
        try:
            is_aligned = yield from _is_aligned(domain, author, book, is_strict=is_strict)
        except WalkFailed:
            is_unsure = True
            continue
        if is_aligned and is_proof:
            proofs.append(method)
        is_unsure = is_unsure or is_aligned
    return proofs, is_unsure and not proofs


def _identifiers(
    author: str, query: DmarcQuery, record: DmarcRecord
) -> list[tuple[str, str, bool, bool]]:
    """Return method, domain, whether it must be identical, and whether it passed: proofs first."""
    found: list[tuple[str, str, bool, bool]] = []
    if query.spf is not None and query.spf.result in ("pass", "temperror"):
        passed = query.spf.result == "pass"
        found.append(("spf", query.spf.domain.lower(), record.strict_spf, passed))
    signers: dict[tuple[str, bool], None] = {}
    for signature in query.dkim:
        if signature.result not in ("pass", "temperror") or not signature.covers_from:
            continue
        # RFC 6376 section 3.6.1: a signature of a domain that tests is as good as none.
        if not signature.is_testing:
            signers.setdefault((signature.domain.lower(), signature.result == "pass"))
    # Security: signatures of others may not push the author's own out of sight.
    own_first = sorted(signers, key=lambda signer: _distance(signer[0], author))
    found += [
        ("dkim", domain, record.strict_dkim, passed)
        for domain, passed in own_first[:MAX_IDENTIFIERS]
    ]
    return sorted(found, key=lambda one: not one[3])


def _distance(domain: str, author: str) -> int:
    if domain == author:
        return 0
    return 1 if author.endswith("." + domain) or domain.endswith("." + author) else 2


def _ends_alike(domain: str, author: str) -> bool:
    """Whether two names may share an organizational domain at all."""
    return domain.rpartition(".")[2] == author.rpartition(".")[2]


def _is_aligned(domain: str, author: str, book: RecordBook, *, is_strict: bool) -> Flow[bool]:
    """Whether a proven domain and that of the author belong together (RFC 9989 section 4.10.2).

    Raises:
        WalkFailed: DNS did not say.
    """
    if domain == author:
        return True
    if is_strict or not _ends_alike(domain, author):
        return False
    organization = yield from _organization_of(author, book)
    # A walk from below only ends at this domain if it is above where it starts; and from the
    # domain itself it ends there too.
    if domain == organization:
        return True
    if not domain.endswith("." + organization):
        return False
    return organization == (yield from _organization_of(domain, book))


def _organization_of(domain: str, book: RecordBook) -> Flow[str]:
    return organizational_domain(domain, (yield from walk_tree(domain, book)))
