"""Who sent it: SPF, DKIM, ARC side by side, then DMARC, and what follows from them.

Laws:
- A question that DNS did not answer is never held against a mail (decision 0007, law 3). One that
  was not asked, though its answer could have refused the mail, defers it (decision 0009).
- Where DMARC passed, or somebody we trust vouches, what forwarding breaks does not count: SPF of
  the forwarder's address, the signature over a text that a list changed.
- What DMARC asks for is a reason among others; the verdict decides (RFC 9989 section 7.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from zajil.check.facts import MessageFacts
from zajil.check.flows import Deadline, run_side_by_side
from zajil.check.sender.author import find_authors
from zajil.check.sender.claims import check_claims
from zajil.check.sender.findings import NOT_CHECKED, SenderFindings, sender_events, sender_results
from zajil.check.sender.forwarding import find_override
from zajil.check.sender.known_sender import KnownSender, SenderMemory, Watch, key_of, remember
from zajil.check.sender.peer import PeerFindings
from zajil.check.verdict.signals import make_reason
from zajil.check.verdict.verdict import Reason
from zajil.config.options_check import CheckOptions
from zajil.dns.flow import Flow, Resolve, run_flow
from zajil.mailauth.arc import ArcFound, verify_arc
from zajil.mailauth.dkim_body import BodyDigests
from zajil.mailauth.dkim_verify import DkimFound, verify_dkim
from zajil.mailauth.dmarc import DmarcFound, DmarcQuery, check_dmarc, look_up_policies
from zajil.mailauth.spf import SpfFound, SpfQuery, check_spf, check_spf_helo
from zajil.net.peer import LOCAL


async def check_sender(
    facts: MessageFacts,
    digests: BodyDigests,
    resolve: Resolve,
    options: CheckOptions,
    peer: PeerFindings | None,
    memory: SenderMemory | None = None,
) -> SenderFindings:
    """Find out who sent a mail; not for a submission, whose sender has logged in.

    Waits for DNS, ``flows.SECONDS`` at most; an answer comes in any case.

    Args:
        facts: the mail.
        digests: of its body, with ``body_needs(facts.fields)``.
        resolve: asks DNS.
        options: ``[check]``.
        peer: what was found out about the peer, for its name and its results.
        memory: what was found out a moment ago; ``None``: everything is asked.
    """
    if facts.login is not None or not options.sender.enabled:
        return NOT_CHECKED
    now_s = facts.now_ms // 1000
    deadline = Deadline(resolve)
    resolve = deadline.resolve
    authors = find_authors(facts.fields)
    key, watch = key_of(facts, authors.domains), Watch()
    known = None if memory is None else memory.get(key, facts.now_ms)
    flows: list[Flow[Any]] = [
        verify_dkim(facts.header, facts.fields, digests, now_s),
        verify_arc(facts.header, facts.fields, digests, now_s),
    ]
    if known is not None:
        (dkim, arc), book, spf = (
            await run_side_by_side(flows, resolve),
            known.book.copy(),
            known.spf,
        )
    else:
        # Security: among the first, so that slow servers of strangers leave time for it.
        flows.insert(0, watch.over(look_up_policies(authors.domains)))
        flows += [watch.over(flow) for flow in _spf_flows(facts, now_s)]
        book, dkim, arc, *asked = await run_side_by_side(flows, resolve)
        spf = tuple(asked)
        if memory is not None:
            remember(memory, key, facts.now_ms, KnownSender(book, spf), watch)
    mail_from, helo = (*spf, None, None)[:2]
    query = DmarcQuery(authors.domains, mail_from, dkim, authors.are_all)
    dmarc = await run_flow(check_dmarc(query, book), resolve)
    claims = await run_flow(check_claims(authors, query, dmarc, facts.fields, book), resolve)
    if dmarc.result == "fail":
        dmarc = _undecided(dmarc, mail_from, arc, options)
    must_ask_again = dmarc.may_refuse and deadline.left_unasked
    override = find_override(facts, options.sender, peer, mail_from, arc, dmarc)
    found = SenderFindings(
        spf=mail_from,
        spf_helo=helo,
        dkim=dkim,
        arc=arc,
        dmarc=dmarc,
        peer=peer,
        override=override,
        claims=tuple(claims),
        must_ask_again=must_ask_again,
    )
    return _with_conclusions(facts, found)


def _spf_flows(facts: MessageFacts, now_s: int) -> list[Flow[SpfFound]]:
    if facts.peer is None or facts.peer.host == LOCAL:
        return []
    query = SpfQuery(
        facts.peer.address,
        str(facts.reverse_path) if facts.reverse_path else "",
        facts.claimed_name,
        facts.authserv_id,
        now_s,
    )
    # With the null path MAIL FROM is postmaster at the name in EHLO (RFC 7208 section 2.4).
    if facts.reverse_path is None:
        return [check_spf(query)]
    return [check_spf(query), check_spf_helo(query)]


def _undecided(
    dmarc: DmarcFound, spf: SpfFound | None, arc: ArcFound, options: CheckOptions
) -> DmarcFound:
    """Take a failure back where something that might have proven the mail was not to be known."""
    if spf is None:  # a program in front of us knows the peer
        reason = "The sending server is unknown, so only a signature can authenticate the message."
    elif arc.silent_domain in options.sender.trusted_sealers:
        # Security: its own key, not that of whom anybody else wrote into the chain.
        reason = (
            f"DNS lookup of the DKIM key of {arc.silent_domain} failed, so the "
            "message may be authentic."
        )
    else:
        return dmarc
    return replace(dmarc, result="temperror", disposition="none", reason=reason)


def _with_conclusions(facts: MessageFacts, found: SenderFindings) -> SenderFindings:
    return replace(
        found,
        results=sender_results(facts, found),
        reasons=tuple(_reasons(facts, found)),
        events=sender_events(facts, found),
    )


def _reasons(facts: MessageFacts, found: SenderFindings) -> Sequence[Reason]:
    dmarc = found.dmarc
    if dmarc is None:
        return []
    reasons: list[Reason] = []
    is_proven = dmarc.result == "pass"
    if not is_proven and found.override is None:
        reasons += _spf_reasons(facts, found)
        reasons += _dkim_reasons(found.dkim)
    if is_proven and "spf" not in dmarc.alignment and _is_partial(dmarc.domain, found.dkim):
        reasons.append(make_reason("dkim.partial", domain=dmarc.domain))
    elif is_proven:
        reasons.append(make_reason("dmarc.pass", domain=dmarc.domain))
    elif found.override is not None:
        reasons.append(found.override.reason)
    elif dmarc.result == "fail":
        reasons.append(make_reason(_FAILURES[dmarc.disposition], domain=dmarc.domain))
    elif found.must_ask_again:
        reasons.append(make_reason("dmarc.not-asked", domain=dmarc.domain))
    elif dmarc.result == "permerror" and dmarc.domain:
        reasons.append(make_reason("dmarc.many-authors"))
    if found.override is None:
        reasons += found.claims
    return reasons


_FAILURES = {
    "none": "dmarc.fail",
    "quarantine": "dmarc.fail-quarantine",
    "reject": "dmarc.fail-reject",
}


def _spf_reasons(facts: MessageFacts, found: SenderFindings) -> list[Reason]:
    reasons = []
    host = facts.peer.host if facts.peer else ""
    if found.spf is not None and found.spf.result in ("fail", "softfail"):
        reasons.append(make_reason(f"spf.{found.spf.result}", domain=found.spf.domain, ip=host))
    if found.spf_helo is not None and found.spf_helo.result == "fail":
        reasons.append(make_reason("spf.helo-fail", domain=found.spf_helo.domain))
    return reasons


def _dkim_reasons(found: Sequence[DkimFound]) -> list[Reason]:
    """One at most: a signature that broke means little, and several mean no more."""
    proven = {one.domain for one in found if one.result == "pass"}
    for one in found:
        if one.result == "fail" and not one.is_testing and one.domain not in proven:
            signal = "dkim.fail-body" if one.is_body_changed else "dkim.fail"
            return [make_reason(signal, domain=one.domain)]
    return []


def _is_partial(author: str, found: Sequence[DkimFound]) -> bool:
    """Whether every signature that proves the author leaves an end of the body open (``l=``)."""
    proofs = [
        one
        for one in found
        if one.result == "pass" and (author == one.domain or author.endswith(f".{one.domain}"))
    ]
    return bool(proofs) and all(one.signed_size is not None for one in proofs)
