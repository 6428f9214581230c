"""DNS messages: from a question to bytes, and from bytes to an answer or the next name to query.

RFC 1035 section 4.1, RFC 2308 (negative answers), RFC 6891 (EDNS). dnspython parses the messages;
this module decides what is accepted as an answer. Nothing that a server sends raises here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from zajil.core.clock import Random
from zajil.dns.flow import Answer, Outcome, Question

EDNS_PAYLOAD = 1232
"""Largest UDP answer we take: fits into every path's MTU (the DNS flag day of 2020)."""

MAX_CNAMES = 8
"""Aliases followed for one question; honest chains are shorter (BIND stops at 16)."""

MAX_RECORDS = 256
"""Records in one answer; an honest one has fewer, and each costs us tens of microseconds to read:
without an end, one mail could keep a worker busy for half a minute."""

_HEADER_SIZE = 12

_KINDS = ("A", "AAAA", "MX", "TXT", "PTR", "TLSA", "SRV", "NS", "CAA", "CNAME")
_TYPES = {name: dns.rdatatype.from_text(name) for name in _KINDS}


@dataclass(frozen=True, slots=True)
class Query:
    """A question as it goes over the wire."""

    question: Question
    message: dns.message.QueryMessage
    wire: bytes


@dataclass(frozen=True, slots=True)
class Alias:
    """The answer ends in a CNAME: ask for ``target``."""

    target: str
    ttl_seconds: int
    authentic: bool
    cnames: int
    """How many were followed already."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """This server does not help; another may."""

    detail: str


def make_query(question: Question, random: Random, *, edns: bool = True) -> Query | None:
    """Make the message; ``None`` for a name that no DNS message can carry.

    Security: against forged answers (RFC 5452 section 9) stand a random id, a random case of each
    letter, which the server must repeat, and a socket of its own with a random port.
    """
    kind = _TYPES.get(question.type)
    if kind is None:
        raise ValueError(f"the resolver does not ask for {question.type}")
    bits = int.from_bytes(random(34), "big")
    text = "".join(
        char.upper() if bits >> position & 1 else char
        for position, char in enumerate(question.name, start=16)
    )
    try:
        name = dns.name.from_text(text)
        message = dns.message.make_query(
            name,
            kind,
            use_edns=0 if edns else False,
            payload=EDNS_PAYLOAD if edns else None,
            id=bits & 0xFFFF,
        )
        # RFC 6840 section 5.7: AD in a query asks for AD in the answer.
        message.flags |= dns.flags.AD
        return Query(question, message, message.to_wire())
    except (dns.exception.DNSException, UnicodeError):
        return None


def read_response(query: Query, data: bytes) -> dns.message.Message | None:
    """Parse a datagram; ``None`` if it is not the answer to this query, or is broken or immense."""
    # Security: what need not be read is not: another's id, more records than are taken.
    if len(data) < _HEADER_SIZE or data[:2] != query.wire[:2] or _count_records(data) > MAX_RECORDS:
        return None
    try:
        response = dns.message.from_wire(data, ignore_trailing=True)
        if not query.message.is_response(response):
            return None
        if response.question and not _same_case(query, response):
            return None
    except (dns.exception.DNSException, ValueError, AssertionError):
        return None
    return response


def _count_records(data: bytes) -> int:
    """Return what the header announces: answers, authority, additional (RFC 1035 section 4.1.1)."""
    return sum(int.from_bytes(data[at : at + 2], "big") for at in (6, 8, 10))


def _same_case(query: Query, response: dns.message.Message) -> bool:
    asked, got = query.message.question[0].name, response.question[0].name
    return asked.labels == got.labels


def read_answer(
    question: Question, response: dns.message.Message, *, trusted: bool
) -> Answer | Alias | Rejected:
    """Return what the response means.

    Args:
        question: the name may differ from the one first asked: the target of an alias.
        trusted: whether the way to this server is ours, so that its AD bit means something.
    """
    rcode = response.rcode()
    if rcode not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return Rejected(dns.rcode.to_text(rcode))
    authentic = trusted and bool(response.flags & dns.flags.AD)
    kind = _TYPES[question.type]
    name = dns.name.from_text(question.name)
    ttl = 2**31 - 1
    cnames = 0
    while (rrset := _find(response, name, kind)) is None:
        cname = _find(response, name, dns.rdatatype.CNAME)
        if cname is None:
            break
        cnames += 1
        if cnames > MAX_CNAMES:
            return Rejected("CNAME chain too long")
        ttl = min(ttl, cname.ttl)
        name = cname[0].target
    if rrset is not None:
        values = tuple(_SHOW[question.type](rdata) for rdata in rrset)
        return Answer(
            question=question,
            outcome=Outcome.FOUND,
            values=values,
            ttl_seconds=min(ttl, rrset.ttl),
            authentic=authentic,
        )
    if rcode == dns.rcode.NXDOMAIN:
        ttl = min(ttl, _negative_ttl(response))
        return Answer(
            question=question,
            outcome=Outcome.NO_NAME,
            values=(),
            ttl_seconds=ttl,
            authentic=authentic,
        )
    if cnames:
        return Alias(_text(name), ttl, authentic, cnames)
    if _is_referral(response):
        return Rejected("referral")
    return Answer(
        question=question,
        outcome=Outcome.NO_RECORDS,
        values=(),
        ttl_seconds=_negative_ttl(response),
        authentic=authentic,
    )


def _find(
    response: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType
) -> dns.rrset.RRset | None:
    rrset = response.get_rrset(dns.message.ANSWER, name, dns.rdataclass.IN, kind)
    return rrset if rrset else None


def _negative_ttl(response: dns.message.Message) -> int:
    """RFC 2308 section 5: the lesser of the SOA's own TTL and its MINIMUM; none: not cached."""
    for rrset in response.authority:
        if rrset.rdtype == dns.rdatatype.SOA and rrset:
            return min(int(rrset.ttl), int(rrset[0].minimum))
    return 0


def _is_referral(response: dns.message.Message) -> bool:
    """RFC 2308 section 2.2: NS without SOA says where to ask, not that there is nothing."""
    kinds = {rrset.rdtype for rrset in response.authority}
    return (
        dns.rdatatype.NS in kinds
        and dns.rdatatype.SOA not in kinds
        and not response.flags & dns.flags.AA
    )


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


_SHOW: dict[str, Callable[[Any], str]] = {
    "A": lambda rdata: str(rdata.address),
    "AAAA": lambda rdata: str(rdata.address),
    "MX": lambda rdata: f"{rdata.preference} {_text(rdata.exchange)}",
    "SRV": lambda rdata: f"{rdata.priority} {rdata.weight} {rdata.port} {_text(rdata.target)}",
    "PTR": lambda rdata: _text(rdata.target),
    "TXT": lambda rdata: b"".join(rdata.strings).decode("latin-1"),
    "NS": lambda rdata: _text(rdata.target),
    "CNAME": lambda rdata: _text(rdata.target),
    "CAA": lambda rdata: (
        f'{rdata.flags} {rdata.tag.decode("latin-1")} "{rdata.value.decode("latin-1")}"'
    ),
    "TLSA": lambda rdata: f"{rdata.usage} {rdata.selector} {rdata.mtype} {rdata.cert.hex()}",
}
