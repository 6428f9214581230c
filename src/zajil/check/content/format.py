"""Format and limits: what can be said of a message without asking anybody (RFC 5322)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from zajil.check.facts import MessageFacts
from zajil.check.sender.author import find_authors
from zajil.check.verdict.signals import make_reason
from zajil.check.verdict.verdict import Reason
from zajil.message.fields import MAX_FIELDS
from zajil.message.source import Source, read_pieces

# RFC 5322 section 3.6: at most one of each; a second one shows one thing to a filter and another
# to a reader.
_ONCE = (b"sender", b"reply-to", b"to", b"cc", b"subject", b"date", b"message-id")


_LINE = 998
"""RFC 5322 section 2.1.1: octets of a line, without CRLF."""
_NO_AUTHOR = 5.0
"""What a From without any address weighs: as much as one that a policy says to suspect."""


def check_format(facts: MessageFacts) -> Sequence[Reason]:
    """Give what speaks against the form of the message; usually nothing."""
    limits = facts.limits
    counts = Counter([field.name for field in facts.fields])
    reasons: list[Reason] = []
    if counts[b"received"] > limits.received_fields:
        reasons.append(make_reason("format.loop"))
    if len(facts.header) > limits.header_size or len(facts.fields) >= MAX_FIELDS:
        reasons.append(make_reason("format.header-size"))
    if not counts[b"from"]:
        reasons.append(make_reason("format.no-from"))
    elif counts[b"from"] > 1:
        # Security: DMARC looks at one of them and the reader sees another (RFC 9989 section 5.1).
        reasons.append(make_reason("format.repeated-from"))
    elif not (authors := find_authors(facts.fields)).is_readable:
        # Security: where not even an address can be guessed, nobody can be asked about the author.
        weight = None if authors.domains else _NO_AUTHOR
        reasons.append(make_reason("format.bad-from", weight=weight))
    if not counts[b"date"]:
        reasons.append(make_reason("format.no-date"))
    if counts[b""]:
        reasons.append(make_reason("format.bad-line"))
    for name in _ONCE:
        if counts[name] > 1:
            field = name.decode("ascii").title()
            reasons.append(make_reason("format.repeated-field", count=counts[name], field=field))
    if not facts.smtputf8 and not facts.header.isascii():
        reasons.append(make_reason("format.8bit-header"))
    if has_long_line(facts.body):
        reasons.append(make_reason("format.long-line"))
    return reasons


def has_long_line(body: bytes | Source) -> bool:
    """Whether a line is longer than RFC 5322 section 2.1.1 allows; looks at every thousandth byte.

    It jumps from each line end to the last one within reach, so a mail of short lines costs
    one search in a thousand bytes.
    """
    begun = b""  # of the line that goes on in the next piece
    for piece in read_pieces(body):
        data = begun + piece if begun else piece
        at, end = 0, len(data)
        while end - at > _LINE + 2:
            line_end = data.rfind(b"\n", at, at + _LINE + 2)
            if line_end < 0:
                return True
            at = line_end + 1
        begun = data[at:]
    return False
