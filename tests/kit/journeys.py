"""A mail with three recipients, one of them in Bcc, and events about it, for tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from hypothesis import strategies as st

from zajil.core.ids import AccountId, MailId, SessionId
from zajil.core.service import RecipientState
from zajil.tracking import events as tracked
from zajil.tracking.events import TrackingEvent
from zajil.tracking.journey import Journey, Recorded
from zajil.tracking.tracked_recipient import TrackedRecipient

AMAL, BASIM, SALMA, STRANGER = (AccountId(number) for number in range(1, 5))
SESSION = SessionId("s" * 24)
MAIL = MailId("01j9zc6r8p4mx7w2q5t3vhk0ya")

NAMES = {
    AMAL: ("amal", "amal@north.test"),
    BASIM: ("basim", "basim@north.test", "team@north.test"),
    SALMA: ("salma", "سلمى@xn--mgbcd4a2b0d2b.test"),
    STRANGER: ("stranger", "stranger@north.test"),
}
BCC = "salma@north.test"


def journey_of(*events: TrackingEvent) -> Journey:
    """Return the journey of a mail from Amal to Basim, to a Bcc, and to another server."""
    return Journey(
        mail_id=MAIL,
        parent_mail_id=None,
        message_id="<a@north.test>",
        header_from="amal@north.test",
        received_at_ms=1000,
        account_id=AMAL,
        recipients=(
            TrackedRecipient(
                "basim@north.test", RecipientState.DELIVERED, "filed as INBOX", None, BASIM
            ),
            TrackedRecipient(BCC, RecipientState.DELIVERED, "filed as Junk", None, SALMA),
            TrackedRecipient("noor@south.test", RecipientState.WAITING, "no answer", 9000),
        ),
        events=tuple(Recorded(SESSION, event) for event in events),
    )


FILED_BASIM = tracked.MailboxFiled(1, "basim@north.test", "basim", "INBOX", "no rule")

SECRET = "hidden@north.test"
"""Whom no owner of another copy may learn of."""


def example_event(
    event: type[TrackingEvent], draw: Callable[[st.SearchStrategy[Any]], Any]
) -> TrackingEvent:
    """Make an event of a kind that is about ``SECRET`` wherever it can be about somebody.

    Args:
        event: the kind.
        draw: of ``hypothesis``: what is neither here nor there.
    """
    values: dict[str, object] = {}
    for field in fields(event):
        kind = str(field.type)
        if field.name in ("recipient", "dialogue", "recipients", "targets", "command", "domain"):
            values[field.name] = (SECRET,) if kind.startswith("tuple") else SECRET
        elif field.name == "host":
            values[field.name] = "north.test"
        elif kind.startswith("tuple"):
            values[field.name] = ()
        elif kind in ("int", "float"):
            values[field.name] = draw(st.integers(0, 10**12))
        elif kind.startswith("bool"):
            values[field.name] = draw(st.booleans())
        else:
            values[field.name] = draw(st.sampled_from(["", "plain", "250 2.0.0 ok"]))
    return event(**values)  # type: ignore[arg-type]
