"""The Authentication-Results field of a mail: ours on top, forged ones out (RFC 8601)."""

from __future__ import annotations

from collections.abc import Sequence

from zajil.check.facts import MessageFacts
from zajil.mailauth.authres import FIELD_NAME, Result, is_forged, write_field


def result_field(facts: MessageFacts, results: Sequence[Result]) -> bytes:
    """Write our field; a submission says that somebody logged in (RFC 8601 section 2.7.4).

    Not who: the field travels to every recipient, and a log-in name is half of a log-in.
    """
    if facts.login is not None:
        sender = facts.reverse_path
        properties = (("smtp.mailfrom", str(sender)),) if sender else ()
        results = (*results, Result("auth", "pass", properties))
    return write_field(facts.authserv_id, results)


def forged_ranges(facts: MessageFacts) -> list[tuple[int, int]]:
    """Give offset and end of each field in the header section that claims to be ours."""
    return [
        (field.start, field.end)
        for field in facts.fields
        if field.name == FIELD_NAME and is_forged(field.value, facts.authserv_id)
    ]
