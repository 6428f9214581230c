"""SPF: may this address send mail for this domain (RFC 7208)? A flow.

Laws:
- The limits of RFC 7208 section 4.6.4 hold over the whole evaluation, includes and redirects too:
  10 terms that ask DNS, 2 questions without an answer, 10 names of one MX or PTR answer.
- Nothing raises on what DNS, the peer or the sender says. A question that failed is ``temperror``,
  never ``fail``.
- A name that DNS cannot hold does not exist; it is not asked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from zajil.core.domain import BadDomain, to_ascii
from zajil.dns.flow import Answer, Flow, Outcome, Question
from zajil.mailauth.spf_macro import (
    MAX_NAME,
    BadMacro,
    MacroString,
    cut_name,
    dotted,
    expand,
    parse_macro_string,
)
from zajil.mailauth.spf_record import BadRecord, Directive, Record, is_record, parse_record

MAX_LOOKUPS = 10
"""Terms that ask DNS (RFC 7208 section 4.6.4)."""
MAX_VOID = 2
"""Questions that find nothing (RFC 7208 section 4.6.4)."""
MAX_NAMES = 10
"""Names of one MX or PTR answer that are looked at (RFC 7208 section 4.6.4)."""

_LABELS = re.compile(r"(?=.{1,253}\Z)[^.\x00-\x1f\x7f\\]{1,63}(?:\.[^.\x00-\x1f\x7f\\]{1,63})*\Z")
_MAX_EXPLANATION = 500
_MAX_INPUTS = 40


@dataclass(frozen=True, slots=True)
class SpfQuery:
    """What an SMTP session says of itself."""

    ip: IPv4Address | IPv6Address
    mail_from: str
    """``""`` is the null path; may hold UTF-8 (RFC 6531)."""
    helo: str
    receiver: str = "unknown"
    """Our own name, for explanations."""
    now_s: int = 0
    """Seconds since 1970 UTC, for explanations."""
    default_explanation: str | None = None
    """Where the domain gives none."""


@dataclass(frozen=True, slots=True)
class SpfFound:
    """What came of it."""

    result: str
    """RFC 7208 section 2.6: ``none``, ``neutral``, ``pass``, ``fail``, ``softfail``,
    ``temperror``, ``permerror``."""
    identity: str
    """``mailfrom`` or ``helo``."""
    domain: str
    """That was checked, in A-labels; ``""``: the identity names none."""
    explanation: str | None
    """Of a fail: the domain's own words, ASCII; never ours, and not to be believed."""
    reason: str
    """One sentence for a person."""
    inputs: tuple[str, ...]
    """DNS answers, one a line."""


class _End(Exception):
    """The evaluation ends here, with this result."""

    def __init__(self, result: str, reason: str) -> None:
        super().__init__(reason)
        self.result, self.reason = result, reason


@dataclass(slots=True)
class _State:
    """What is counted over the whole evaluation."""

    query: SpfQuery
    ip: IPv4Address | IPv6Address
    local_part: str
    sender_domain: str
    lookups: int = 0
    voids: int = 0
    inputs: list[str] = field(default_factory=list)
    validated: dict[str, str] = field(default_factory=dict)
    """Domain to value of the macro ``p``."""

    @property
    def address_type(self) -> str:
        return "A" if isinstance(self.ip, IPv4Address) else "AAAA"


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Of one record: result, the term that matched, whose explanation counts."""

    result: str
    term: str
    domain: str
    explanation: MacroString | None = None
    reason: str = ""


def check_spf(query: SpfQuery) -> Flow[SpfFound]:
    """Check the MAIL FROM identity; the null path is postmaster@HELO (RFC 7208 section 2.4)."""
    local_part, at, domain = query.mail_from.rpartition("@")
    if not query.mail_from:
        local_part, domain = "postmaster", query.helo
    elif not at:
        local_part, domain = "postmaster", query.mail_from
    found = yield from _check_identity(query, "mailfrom", local_part or "postmaster", domain)
    return found


def check_spf_helo(query: SpfQuery) -> Flow[SpfFound]:
    """Check the HELO identity (RFC 7208 section 2.3)."""
    found = yield from _check_identity(query, "helo", "postmaster", query.helo)
    return found


def _check_identity(query: SpfQuery, identity: str, local_part: str, name: str) -> Flow[SpfFound]:
    domain = _domain_of(name)
    if domain is None:
        reason = f"{name[:80]!r} is not a domain that could have a policy" if name else "no name"
        return SpfFound("none", identity, "", None, reason, ())
    ip = query.ip
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped  # RFC 7208 section 5
    state = _State(query, ip, local_part, domain)
    explanation: str | None = None
    try:
        outcome = yield from _check_host(state, domain)
        if outcome.result == "fail":
            explanation = yield from _explain(state, outcome)
    except _End as end:
        outcome = _Outcome(end.result, "", domain, reason=end.reason)
    reason = outcome.reason or _sentence(state, outcome)
    return SpfFound(outcome.result, identity, domain, explanation, reason, tuple(state.inputs))


def _domain_of(name: str) -> str | None:
    """Give the domain of an identity in A-labels; ``None``: it has no policy (section 4.3)."""
    name = name.removesuffix(".")
    if not name.isascii():
        try:
            name = to_ascii(name)
        except BadDomain:
            return None
    name = name.lower()
    is_name = _LABELS.match(name) and "." in name and not name.startswith("[")
    return name if is_name and name.isprintable() else None


def _sentence(state: _State, outcome: _Outcome) -> str:
    who, domain, term = state.ip, state.sender_domain, outcome.term
    by = "" if outcome.domain == domain else f", by the record of {outcome.domain}"
    match outcome.result:
        case "pass":
            return f"{who} may send mail for {domain} ({term}){by}"
        case "fail":
            return f"{who} is not among the servers {domain} sends from ({term}){by}"
        case "softfail":
            return f"{who} is probably not among the servers {domain} sends from ({term}){by}"
        case _ if term:
            return f"{domain} does not say whether {who} may send for it ({term}){by}"
        case _:
            return f"{domain} does not say whether {who} may send for it{by}"


# ---- one record -------------------------------------------------------------------------------


def _check_host(state: _State, domain: str) -> Flow[_Outcome]:
    """RFC 7208 section 4."""
    record = yield from _find_record(state, domain)
    if record is None:
        return _Outcome("none", "", domain, reason=f"{domain} has no SPF record")
    for directive in record.directives:
        matches = yield from _matches(state, domain, directive)
        if matches:
            return _Outcome(directive.result, directive.text, domain, record.explanation)
    if record.redirect is None:
        return _Outcome("neutral", "", domain)
    if any(directive.name == "all" for directive in record.directives):
        return _Outcome("neutral", "", domain)
    _count_lookup(state)
    target = yield from _expand_name(state, domain, record.redirect)
    name = None if target is None else _domain_of(target)
    if name is None:
        raise _End("permerror", f"the record of {domain} redirects to no domain")
    outcome = yield from _check_host(state, name)
    if outcome.result == "none":
        raise _End("permerror", f"{domain} redirects to {name}, which has no SPF record")
    return outcome


def _find_record(state: _State, domain: str) -> Flow[Record | None]:
    answer = yield from _ask(state, domain, "TXT")
    if answer.outcome is Outcome.FAILED:
        raise _End("temperror", f"DNS did not answer for the SPF record of {domain}")
    texts = [text for text in answer.values if is_record(text)]
    if not texts:
        return None
    if len(texts) > 1:
        raise _End("permerror", f"{domain} has {len(texts)} SPF records, where one is allowed")
    record = parse_record(texts[0])
    if isinstance(record, BadRecord):
        raise _End("permerror", f"the SPF record of {domain} is malformed: {record}")
    return record


def _matches(state: _State, domain: str, directive: Directive) -> Flow[bool]:
    """RFC 7208 section 5."""
    name = directive.name
    if name == "all":
        return True
    if directive.network is not None:
        return state.ip in directive.network
    _count_lookup(state)
    if directive.domain is None:
        target: str | None = domain
    else:
        target = yield from _expand_name(state, domain, directive.domain)
    if name == "include":
        matched = yield from _include(state, domain, target)
    elif target is None:
        matched = False
    elif name == "a":
        matched = yield from _address_matches(state, target, directive)
    elif name == "mx":
        matched = yield from _mx_matches(state, target, directive)
    elif name == "ptr":
        names = yield from _validated_names(state, target)
        matched = any(_is_within(one, target) for one in names)
    else:
        answer = yield from _ask_term(state, target, "A")
        matched = answer.outcome is Outcome.FOUND
    return matched


def _include(state: _State, domain: str, target: str | None) -> Flow[bool]:
    name = None if target is None else _domain_of(target)
    if name is None:
        raise _End("permerror", f"the record of {domain} includes what is no domain")
    outcome = yield from _check_host(state, name)
    if outcome.result == "none":
        raise _End("permerror", f"{domain} includes {name}, which has no SPF record")
    return outcome.result == "pass"


def _address_matches(state: _State, target: str, directive: Directive) -> Flow[bool]:
    answer = yield from _ask_term(state, target, state.address_type)
    return _has_address(state, answer.values, directive)


def _mx_matches(state: _State, target: str, directive: Directive) -> Flow[bool]:
    answer = yield from _ask_term(state, target, "MX")
    if len(answer.values) > MAX_NAMES:
        raise _End("permerror", f"{target} has more than {MAX_NAMES} mail hosts")
    for value in answer.values:
        host = value.partition(" ")[2]
        if host in ("", "."):
            continue
        addresses = yield from _ask_term(state, host, state.address_type)
        if _has_address(state, addresses.values, directive):
            return True
    return False


def _has_address(state: _State, values: Sequence[str], directive: Directive) -> bool:
    bits = directive.bits4 if isinstance(state.ip, IPv4Address) else directive.bits6
    for value in values:
        try:
            network = ip_network((ip_address(value), bits), strict=False)
        except ValueError:
            continue
        if state.ip in network:
            return True
    return False


def _validated_names(state: _State, target: str) -> Flow[list[str]]:
    """RFC 7208 section 5.5: names of the address that lead back to it."""
    answer = yield from _ask(state, _reverse_name(state.ip), "PTR")
    names: list[str] = []
    if answer.outcome is not Outcome.FOUND:
        _count_void(state, answer)
        return names
    # Those that can decide come first: ten are looked at.
    listed = sorted(answer.values[:MAX_NAMES], key=lambda name: not _is_within(name, target))
    for name in listed:
        found = yield from _ask(state, name, state.address_type)
        _count_void(state, found)
        if any(_same_address(value, state.ip) for value in found.values):
            names.append(name.lower())
    return names


def _same_address(value: str, ip: IPv4Address | IPv6Address) -> bool:
    try:
        return ip_address(value) == ip
    except ValueError:
        return False


def _is_within(name: str, domain: str) -> bool:
    name, domain = name.lower().removesuffix("."), domain.lower().removesuffix(".")
    return name == domain or name.endswith("." + domain)


def _reverse_name(ip: IPv4Address | IPv6Address) -> str:
    return ip.reverse_pointer


# ---- questions and their limits ------------------------------------------------------------------


def _count_lookup(state: _State) -> None:
    state.lookups += 1
    if state.lookups > MAX_LOOKUPS:
        raise _End(
            "permerror",
            f"the SPF record of {state.sender_domain} asks more than {MAX_LOOKUPS} times",
        )


def _count_void(state: _State, answer: Answer) -> None:
    if answer.outcome not in (Outcome.NO_NAME, Outcome.NO_RECORDS):
        return
    state.voids += 1
    if state.voids > MAX_VOID:
        raise _End(
            "permerror",
            f"the SPF record of {state.sender_domain} names more than {MAX_VOID} hosts "
            "that do not exist",
        )


def _ask_term(state: _State, name: str, kind: str) -> Flow[Answer]:
    """Ask for a mechanism: what fails ends the evaluation, what is not there is counted."""
    answer = yield from _ask(state, name, kind)
    if answer.outcome is Outcome.FAILED:
        raise _End("temperror", f"DNS did not answer for {kind} of {name}")
    _count_void(state, answer)
    return answer


def _ask(state: _State, name: str, kind: str) -> Flow[Answer]:
    question = Question(name.lower().removesuffix("."), kind)
    if not (_LABELS.match(question.name) and question.name.isascii()):
        return Answer(question, Outcome.NO_NAME, detail="not a name DNS can hold")
    answer = yield question
    if len(state.inputs) < _MAX_INPUTS:
        state.inputs.append(str(answer)[:_MAX_EXPLANATION])
    return answer


# ---- macros ------------------------------------------------------------------------------------


def _expand_name(state: _State, domain: str, string: MacroString) -> Flow[str | None]:
    """Give the name a macro string makes; ``None``: it makes none."""
    if not state.local_part.isascii() and string.letters & {"s", "l"}:
        return None  # RFC 8616 section 4: such a name cannot be
    values = yield from _macro_values(state, domain, string)
    name = cut_name(expand(string, values).removesuffix("."))
    return name if len(name) <= MAX_NAME else None


def _macro_values(state: _State, domain: str, string: MacroString) -> Flow[dict[str, str]]:
    if not string.letters:
        return {}
    query, ip = state.query, state.ip
    values = {
        "s": f"{state.local_part}@{state.sender_domain}",
        "l": state.local_part,
        "o": state.sender_domain,
        "d": domain,
        "i": dotted(ip),
        "v": "in-addr" if isinstance(ip, IPv4Address) else "ip6",
        "h": query.helo,
        "c": str(ip),
        "r": query.receiver,
        "t": str(query.now_s),
    }
    if "p" in string.letters:
        values["p"] = yield from _validated_name(state, domain)
    return values


def _validated_name(state: _State, domain: str) -> Flow[str]:
    """The macro ``p`` (RFC 7208 section 7.2): the domain itself, else below it, else any."""
    if domain not in state.validated:
        names = yield from _validated_names(state, domain)
        rank = {name: (name != domain, not _is_within(name, domain)) for name in names}
        state.validated[domain] = min(names, key=rank.__getitem__, default="unknown")
    return state.validated[domain]


def _explain(state: _State, outcome: _Outcome) -> Flow[str | None]:
    """RFC 7208 section 6.2: whatever goes wrong here changes nothing but the words."""
    try:
        words = yield from _own_words(state, outcome)
    except (_End, BadMacro):
        words = None
    return state.query.default_explanation if words is None else words


def _own_words(state: _State, outcome: _Outcome) -> Flow[str | None]:
    if outcome.explanation is None:
        return None
    name = yield from _expand_name(state, outcome.domain, outcome.explanation)
    if name is None:
        return None
    answer = yield from _ask(state, name, "TXT")
    if len(answer.values) != 1 or not answer.values[0].isascii():
        return None
    string = parse_macro_string(answer.values[0], explains=True, spaces=True)
    values = yield from _macro_values(state, outcome.domain, string)
    return expand(string, values)[:_MAX_EXPLANATION]
