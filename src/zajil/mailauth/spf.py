"""SPF: may this address send mail for this domain (RFC 7208)? A flow.

Laws:
- The limits of RFC 7208 section 4.6.4 hold over the whole evaluation (``spf_questions``).
- Nothing raises on what DNS, the peer or the sender says. A question that failed is ``temperror``,
  never ``fail``.
- A name that DNS cannot hold does not exist; it is not asked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from zajil.core.domain import BadDomain, to_ascii
from zajil.core.value_class import value_class
from zajil.dns.flow import Answer, Flow, Outcome
from zajil.mailauth.spf_macro import (
    MAX_NAME,
    BadMacro,
    MacroString,
    cut_name,
    dotted,
    expand,
    parse_macro_string,
)
from zajil.mailauth.spf_questions import (
    MAX_NAMES,
    Evaluation,
    SpfEnd,
    ask,
    ask_term,
    find_validated_name,
    find_validated_names,
    is_name,
    is_within,
    no_answer,
)
from zajil.mailauth.spf_record import BadRecord, Directive, SpfRecord, is_record, parse_record

_MAX_EXPLANATION = 500
_MAX_EXPLANATION_TEXT = 2000
"""Before its macros are put in."""
_MAX_TERM = 100
_NOT_PLAIN = re.compile(r"[^ -~]")


@value_class(frozen=True, slots=True)
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


@value_class(frozen=True, slots=True, kw_only=True)
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
    is_personal: bool = False
    """It depends on the local part of the sender or on the time, not only on its domain."""


@value_class(frozen=True, slots=True)
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
        reason = f"{name[:80]!r} is not a domain that can have a policy" if name else "no name"
        return SpfFound(
            result="none", identity=identity, domain="", explanation=None, reason=reason, inputs=()
        )
    ip = query.ip
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped  # RFC 7208 section 5
    state = Evaluation(
        ip=ip,
        local_part=local_part,
        sender_domain=domain,
        helo=query.helo,
        receiver=query.receiver,
        now_s=query.now_s,
    )
    explanation: str | None = None
    try:
        outcome = yield from _check_host(state, domain)
        if outcome.result == "fail":
            explanation = yield from _explain(state, outcome)
            if explanation is None:
                explanation = query.default_explanation
    except SpfEnd as end:
        outcome = _Outcome(end.result, "", domain, reason=end.reason)
    reason = outcome.reason or _sentence(state, outcome)
    return SpfFound(
        result=outcome.result,
        identity=identity,
        domain=domain,
        explanation=explanation,
        reason=reason,
        inputs=tuple(state.inputs),
        is_personal=state.is_personal,
    )


def _domain_of(name: str) -> str | None:
    """Return the domain of an identity in A-labels; ``None``: it has no policy (section 4.3)."""
    name = name.removesuffix(".")
    if not name.isascii():
        try:
            name = to_ascii(name)
        except BadDomain:
            return None
    name = name.lower()
    has_policy = "." in name and is_name(name) and not name.startswith("[") and name.isprintable()
    return name if has_policy else None


def _sentence(state: Evaluation, outcome: _Outcome) -> str:
    who, domain, term = state.ip, state.sender_domain, outcome.term[:_MAX_TERM]
    by = "" if outcome.domain == domain else f", according to the record of {outcome.domain}"
    match outcome.result:
        case "pass":
            return f"{domain} authorizes {who} to send its mail ({term}){by}"
        case "fail":
            return f"{domain} does not authorize {who} to send its mail ({term}){by}"
        case "softfail":
            return f"{domain} probably does not authorize {who} to send its mail ({term}){by}"
        case _ if term:
            return f"{domain} does not state whether {who} may send its mail ({term}){by}"
        case _:
            return f"{domain} does not state whether {who} may send its mail{by}"


# ---- one record -------------------------------------------------------------------------------


def _check_host(state: Evaluation, domain: str) -> Flow[_Outcome]:
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
    state.count_lookup()
    target = yield from _expand_name(state, domain, record.redirect)
    name = None if target is None else _domain_of(target)
    if name is None:
        raise SpfEnd("permerror", f"the SPF record of {domain} redirects to an invalid domain")
    outcome = yield from _check_host(state, name)
    if outcome.result == "none":
        raise SpfEnd("permerror", f"{domain} redirects to {name}, which has no SPF record")
    return outcome


def _find_record(state: Evaluation, domain: str) -> Flow[SpfRecord | None]:
    answer = yield from ask(state, domain, "TXT")
    if answer.outcome is Outcome.FAILED:
        raise SpfEnd("temperror", f"DNS lookup of the SPF record of {domain} failed")
    texts = [text for text in answer.values if is_record(text)]
    if not texts:
        return None
    if len(texts) > 1:
        raise SpfEnd("permerror", f"{domain} has {len(texts)} SPF records; only one is allowed")
    record = parse_record(texts[0])
    if isinstance(record, BadRecord):
        raise SpfEnd("permerror", f"the SPF record of {domain} is malformed: {record}")
    return record


def _matches(state: Evaluation, domain: str, directive: Directive) -> Flow[bool]:
    """RFC 7208 section 5."""
    name = directive.name
    if name == "all":
        return True
    if directive.network is not None:
        return state.ip in directive.network
    state.count_lookup()
    if directive.domain is None:
        target: str | None = domain
    elif not _can_match(state, directive.domain):
        return False
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
        names = yield from find_validated_names(state, target)
        matched = any(is_within(one, target) for one in names)
    else:
        answer = yield from ask_term(state, target, "A")
        matched = answer.outcome is Outcome.FOUND
    return matched


def _include(state: Evaluation, domain: str, target: str | None) -> Flow[bool]:
    name = None if target is None else _domain_of(target)
    if name is None:
        raise SpfEnd("permerror", f"the SPF record of {domain} includes an invalid domain")
    outcome = yield from _check_host(state, name)
    if outcome.result == "none":
        raise SpfEnd("permerror", f"{domain} includes {name}, which has no SPF record")
    return outcome.result == "pass"


def _address_matches(state: Evaluation, target: str, directive: Directive) -> Flow[bool]:
    answer = yield from ask_term(state, target, state.address_type)
    return _has_address(state, answer.values, directive)


def _mx_matches(state: Evaluation, target: str, directive: Directive) -> Flow[bool]:
    answer = yield from ask_term(state, target, "MX")
    if len(answer.values) > MAX_NAMES:
        raise SpfEnd("permerror", f"{target} has more than {MAX_NAMES} mail hosts")
    missing: Answer | None = None
    for value in answer.values:
        host = value.partition(" ")[2]
        if host in ("", "."):
            continue
        addresses = yield from ask(state, host, state.address_type)
        if _has_address(state, addresses.values, directive):
            return True
        if addresses.outcome is Outcome.FAILED:
            missing = addresses
    # Only now: the order of the hosts must not decide.
    if missing is not None:
        raise no_answer(missing)
    return False


def _has_address(state: Evaluation, values: Sequence[str], directive: Directive) -> bool:
    ip = state.ip
    bits = directive.bits4 if isinstance(ip, IPv4Address) else directive.bits6
    shift = ip.max_prefixlen - bits
    wanted = int(ip) >> shift
    for value in values:
        address = _read_address(value)
        if address is None or address.version != ip.version:
            continue
        if int(address) >> shift == wanted:
            return True
    return False


@lru_cache(maxsize=4096)
def _read_address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


# ---- macros ------------------------------------------------------------------------------------


def _expand_name(state: Evaluation, domain: str, string: MacroString) -> Flow[str | None]:
    """Return the name a macro string makes; ``None``: it makes none."""
    if not _can_match(state, string):
        return None
    values = yield from _macro_values(state, domain, string)
    name = cut_name(expand(string, values).removesuffix("."))
    return name if len(name) <= MAX_NAME else None


_OF_LOCAL_PART = frozenset({"s", "l"})
_PERSONAL = frozenset({*_OF_LOCAL_PART, "t"})


def _can_match(state: Evaluation, string: MacroString) -> bool:
    # RFC 8616 section 4: a local part that is not ASCII is in no name of DNS.
    if not string.letters & _OF_LOCAL_PART:
        return True
    state.is_personal = True
    return state.local_part.isascii()


def _macro_values(state: Evaluation, domain: str, string: MacroString) -> Flow[dict[str, str]]:
    if not string.letters:
        return {}
    if string.letters & _PERSONAL:
        state.is_personal = True
    ip = state.ip
    values = {
        "s": f"{state.local_part}@{state.sender_domain}",
        "l": state.local_part,
        "o": state.sender_domain,
        "d": domain,
        "i": dotted(ip),
        "v": "in-addr" if isinstance(ip, IPv4Address) else "ip6",
        "h": state.helo,
        "c": str(ip),
        "r": state.receiver,
        "t": str(state.now_s),
    }
    if "p" in string.letters:
        values["p"] = yield from find_validated_name(state, domain)
    return values


def _explain(state: Evaluation, outcome: _Outcome) -> Flow[str | None]:
    """RFC 7208 section 6.2: whatever goes wrong here changes nothing but the words."""
    try:
        words = yield from _own_words(state, outcome)
    except (SpfEnd, BadMacro):
        return None
    return words


def _own_words(state: Evaluation, outcome: _Outcome) -> Flow[str | None]:
    if outcome.explanation is None:
        return None
    name = yield from _expand_name(state, outcome.domain, outcome.explanation)
    if name is None:
        return None
    answer = yield from ask(state, name, "TXT")
    text = answer.values[0] if len(answer.values) == 1 else ""
    if not text or len(text) > _MAX_EXPLANATION_TEXT or not text.isascii():
        return None
    string = parse_macro_string(text, explains=True, spaces=True)
    values = yield from _macro_values(state, outcome.domain, string)
    # Security: the sender's and the client's words come in by macros; this may become a reply.
    return _NOT_PLAIN.sub("?", expand(string, values)[:_MAX_EXPLANATION])
