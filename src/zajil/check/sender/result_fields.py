"""The Authentication-Results field of a mail: ours on top, forged ones out (RFC 8601)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zajil.check.facts import MessageFacts
from zajil.mailauth.authres import FIELD_NAME, MethodResult, is_forged, write_field
from zajil.message.address_list import parse_address_list
from zajil.message.fields import Field, take_odd

_WRITTEN_BY_THE_LAST_SERVER = (b"return-path",)
"""RFC 5321 section 4.4: there is one, ours."""
_FOUND_BY_THE_LAST_SERVER = (b"received-spf", b"bimi-indicator", b"bimi-location")
"""What the server of the reader finds out. Ours writes none of them, so a reader's program that
trusts them would trust the sender (RFC 7208 section 9.1; draft-brand-indicators-for-message-
identification section 5.6 has the last two removed)."""
_DELIVERED_TO = b"delivered-to"


def result_field(facts: MessageFacts, results: Sequence[MethodResult]) -> bytes:
    """Write our field; a submission says that somebody logged in (RFC 8601 section 2.7.4).

    Not who: the field travels to every recipient, and a log-in name is half of a log-in.
    """
    if facts.login is not None:
        sender = facts.reverse_path
        properties = (("smtp.mailfrom", str(sender)),) if sender else ()
        results = (*results, MethodResult("auth", "pass", properties))
    written = write_field(facts.authserv_id, results)
    if facts.smtputf8 or written.isascii():
        return written
    # The mail goes on without SMTPUTF8, whatever a peer put into the names that we tell.
    return written.decode("utf-8", "replace").encode("ascii", "replace")


def forged_ranges(
    facts: MessageFacts, is_our_domain: Callable[[str], bool] = lambda _domain: False
) -> list[tuple[int, int]]:
    """Return offset and end of each field in the header section that claims to be ours.

    Those of a mail that a program in front of us hands in are another matter: what that program
    found out is left.

    Args:
        facts: the mail.
        is_our_domain: whether a domain is one of ours; answers from memory.
    """
    names = {field.name for field in facts.fields}
    if not names & _LOOKED_AT:
        return []
    return [
        (field.start, field.end)
        for field in facts.fields
        # Security: some readers take a name that is none for what it looks like.
        if field.name in _LOOKED_AT and _is_forged(take_odd(field), facts, is_our_domain)
    ]


def all_result_ranges(facts: MessageFacts) -> list[tuple[int, int]]:
    """Return those of every field that could claim it: for a mail whose fields cannot be judged."""
    names = _LOOKED_AT - {b""}
    return [(field.start, field.end) for field in facts.fields if field.name in names]


_LOOKED_AT = frozenset(
    [
        *(FIELD_NAME, _DELIVERED_TO, b""),
        *_WRITTEN_BY_THE_LAST_SERVER,
        *_FOUND_BY_THE_LAST_SERVER,
    ]
)


def _is_forged(field: Field, facts: MessageFacts, is_our_domain: Callable[[str], bool]) -> bool:
    name = field.name
    if name == FIELD_NAME:
        return is_forged(field.value, facts.authserv_id)
    if name == _DELIVERED_TO:
        # Security: that it was for somebody here only we can say. Those of other servers stay:
        # they end loops.
        people = parse_address_list(field.value[:_READ]).people
        return any([one.address and is_our_domain(one.address.domain) for one in people])
    if name in _FOUND_BY_THE_LAST_SERVER:
        return facts.peer is not None
    return name in _WRITTEN_BY_THE_LAST_SERVER


_READ = 2000
"""Bytes of a field in which an address is looked for."""
