"""What an SPF evaluation asks, and how often it may (RFC 7208 section 4.6.4).

The counts hold over the whole evaluation, includes and redirects too: a hostile record cannot make
us ask more than its terms, its hosts and its names together allow, about 120 times.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address

from zajil.core.errors import InternalError
from zajil.dns.flow import Answer, Flow, Outcome, Question

MAX_LOOKUPS = 10
"""Terms that ask DNS (RFC 7208 section 4.6.4)."""
MAX_VOID = 2
"""Terms whose question finds nothing (RFC 7208 section 4.6.4)."""
MAX_NAMES = 10
"""Names of one MX or PTR answer that are looked at (RFC 7208 section 4.6.4)."""

_MAX_INPUTS = 40
_MAX_INPUT = 500
_NAME = re.compile(r"(?=.{1,253}\Z)[^.\x00-\x1f\x7f\\]{1,63}(?:\.[^.\x00-\x1f\x7f\\]{1,63})*\Z")


class SpfEnd(InternalError):
    """The evaluation ends here, with this result; raised and caught inside of the flow."""

    def __init__(self, result: str, reason: str) -> None:
        super().__init__(reason)
        self.result, self.reason = result, reason


@dataclass(slots=True, kw_only=True)
class Evaluation:
    """One evaluation: who is checked, and what is counted."""

    ip: IPv4Address | IPv6Address
    local_part: str
    sender_domain: str
    helo: str
    receiver: str
    now_s: int
    lookups: int = 0
    voids: int = 0
    inputs: list[str] = field(default_factory=list)
    """Answers so far, one a line."""
    is_personal: bool = False
    """A macro asked for the local part or the time: the next mail may have another result."""
    validated: dict[str, str] = field(default_factory=dict)
    """Domain to value of the macro ``p``."""

    @property
    def address_type(self) -> str:
        """The type of record that holds such an address."""
        return "A" if isinstance(self.ip, IPv4Address) else "AAAA"

    def count_lookup(self) -> None:
        """Count a term that asks DNS.

        Raises:
            SpfEnd: it is one too many.
        """
        self.lookups += 1
        if self.lookups > MAX_LOOKUPS:
            reason = (
                f"the SPF record of {self.sender_domain} requires more than "
                f"{MAX_LOOKUPS} DNS lookups"
            )
            raise SpfEnd("permerror", reason)

    def count_void(self, answer: Answer) -> None:
        """Count a term whose own question found no records.

        The hosts of an MX or PTR answer are not counted: they are ten at most, and a host without
        an address of the peer's kind is no mistake of the record.

        Raises:
            SpfEnd: it is one too many.
        """
        if answer.outcome not in (Outcome.NO_NAME, Outcome.NO_RECORDS):
            return
        self.voids += 1
        if self.voids > MAX_VOID:
            who = self.sender_domain
            reason = (
                f"the SPF record of {who} causes more than {MAX_VOID} DNS lookups without a result"
            )
            raise SpfEnd("permerror", reason)


def is_name(name: str) -> bool:
    """Whether DNS can hold a name, of whatever letters."""
    return _NAME.match(name) is not None


def ask(state: Evaluation, name: str, kind: str) -> Flow[Answer]:
    """Ask; a name that DNS cannot hold does not exist."""
    question = Question(name.lower().removesuffix("."), kind)
    if not (question.name.isascii() and is_name(question.name)):
        return Answer(question=question, outcome=Outcome.NO_NAME, detail="invalid DNS name")
    answer = yield question
    if len(state.inputs) < _MAX_INPUTS:
        state.inputs.append(str(answer)[:_MAX_INPUT])
    return answer


def ask_term(state: Evaluation, name: str, kind: str) -> Flow[Answer]:
    """Ask for a mechanism: what fails ends the evaluation, what is not there is counted.

    Raises:
        SpfEnd: temperror, or too many that are not there.
    """
    answer = yield from ask(state, name, kind)
    if answer.outcome is Outcome.FAILED:
        raise no_answer(answer)
    state.count_void(answer)
    return answer


def no_answer(answer: Answer) -> SpfEnd:
    """Return the end of an evaluation that lacks this answer."""
    asked = answer.question
    return SpfEnd("temperror", f"DNS lookup of {asked.type} for {asked.name} failed")


def find_validated_names(state: Evaluation, target: str) -> Flow[list[str]]:
    """Find the names of the address that lead back to it (RFC 7208 section 5.5)."""
    answer = yield from ask(state, state.ip.reverse_pointer, "PTR")
    names: list[str] = []
    if answer.outcome is not Outcome.FOUND:
        state.count_void(answer)
        return names
    # Those that can decide come first, and not by the order of the answer, which is any.
    listed = sorted(answer.values, key=lambda name: (not is_within(name, target), name))
    for name in listed[:MAX_NAMES]:
        found = yield from ask(state, name, state.address_type)
        if any(_is_same(value, state.ip) for value in found.values):
            names.append(name.lower().removesuffix("."))
    return names


def find_validated_name(state: Evaluation, domain: str) -> Flow[str]:
    """The macro ``p`` (RFC 7208 section 7.2): the domain itself, else below it, else any."""
    if domain not in state.validated:
        names = yield from find_validated_names(state, domain)
        rank = {name: (name != domain, not is_within(name, domain), name) for name in names}
        state.validated[domain] = min(names, key=rank.__getitem__, default="unknown")
    return state.validated[domain]


def is_within(name: str, domain: str) -> bool:
    """Whether a name is a domain's, or below it."""
    name, domain = name.lower().removesuffix("."), domain.lower().removesuffix(".")
    return name == domain or name.endswith("." + domain)


def _is_same(value: str, ip: IPv4Address | IPv6Address) -> bool:
    try:
        return ip_address(value) == ip
    except ValueError:
        return False
