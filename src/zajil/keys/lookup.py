"""Check whether the record of a key is in DNS. A flow (RFC 6376 section 3.6.2)."""

from __future__ import annotations

from typing import Literal

from zajil.core.value_class import value_class
from zajil.dns.flow import Flow, Outcome, Question
from zajil.keys.record import is_same_key
from zajil.mailauth.dkim_key import key_name
from zajil.store.people.dkim_keys import DkimKeyRow

Seen = Literal["found", "missing", "other", "several", "unknown"]
"""``other``: another text stands there; ``several``: more than one record, and who verifies may
take any of them (RFC 6376 section 3.6.2.2); ``unknown``: DNS did not answer."""


@value_class(frozen=True, slots=True)
class RecordSeen:
    """What DNS says of one key."""

    seen: Seen
    input: str
    """The answer, as a line."""


def look_for_record(row: DkimKeyRow) -> Flow[RecordSeen]:
    """Ask for the record of a key and compare."""
    answer = yield Question(key_name(row.domain, row.selector), "TXT")
    seen: Seen
    if answer.outcome is Outcome.FAILED:
        seen = "unknown"
    elif answer.outcome is not Outcome.FOUND:
        seen = "missing"
    elif len(answer.values) > 1:
        seen = "several"
    else:
        seen = "found" if is_same_key(answer.values[0], row) else "other"
    return RecordSeen(seen, str(answer))
