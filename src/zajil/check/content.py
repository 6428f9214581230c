"""Format and limits: what can be said of a message without asking anybody (RFC 5322)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from zajil.check.facts import MessageFacts
from zajil.check.verdict import Action, Reason

# RFC 5322 section 3.6: at most one of each; a second one shows one thing to a filter and another
# to a reader.
_ONCE = (b"from", b"sender", b"reply-to", b"to", b"cc", b"subject", b"date", b"message-id")


def check_format(facts: MessageFacts) -> Sequence[Reason]:
    """Give what speaks against the form of the message; usually nothing."""
    limits = facts.limits
    counts = Counter([field.name for field in facts.fields])
    reasons: list[Reason] = []
    if counts[b"received"] > limits.received_fields:
        reasons.append(_refuse("loop", "It passed too many servers: it goes in circles."))
    if len(facts.header) > limits.header_size:
        reasons.append(_refuse("header-size", "Its header section is larger than we take."))
    if not counts[b"from"]:
        reasons.append(Reason("format.no-from", 2.0, "It does not say who wrote it (no From)."))
    if not counts[b"date"]:
        reasons.append(Reason("format.no-date", 0.5, "It has no Date."))
    if counts[b""]:
        reasons.append(Reason("format.bad-line", 1.0, "Its header section has a malformed line."))
    for name in _ONCE:
        if counts[name] > 1:
            text = f"It has {counts[name]} {name.decode().title()} fields, where one is allowed."
            reasons.append(Reason(f"format.repeated-{name.decode()}", 1.5, text))
    if not facts.smtputf8 and not facts.header.isascii():
        text = "Its header section has raw 8-bit text that was not announced."
        reasons.append(Reason("format.8bit-header", 0.5, text))
    return reasons


def _refuse(name: str, text: str) -> Reason:
    return Reason(f"format.{name}", 10.0, text, Action.REJECT)
