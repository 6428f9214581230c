"""How much an account may send, and when it may go on. Pure (RFC 6409 section 6.1: policy).

Periods are those of the clock, minutes and days in UTC: they need one row of counts per account,
and a person understands when they end.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from zajil.config.options import SubmitOptions
from zajil.store.send_counts import DAY_MS, MINUTE_MS, SendCounts, SendLimit


class Period(Enum):
    """What a limit is counted in."""

    MAIL = "mail"
    MINUTE = "minute"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Over:
    """One more recipient would be too many."""

    period: Period
    until_ms: int
    """When the account may go on; of a single mail: at once, with another mail."""


def send_limit(options: SubmitOptions) -> SendLimit | None:
    """Give what the store counts; ``None``: nothing, no limit is set."""
    if options.recipients_per_minute or options.recipients_per_day:
        return SendLimit(options.recipients_per_minute, options.recipients_per_day)
    return None


def over_limit(
    options: SubmitOptions, counts: SendCounts, recipients: int, now_ms: int
) -> Over | None:
    """Say whether a mail may have so many recipients.

    Args:
        options: the limits; 0 is none.
        counts: what the account has sent before this mail.
        recipients: of this mail, with the one in question.
        now_ms: the time.
    """
    if options.recipients_per_mail and recipients > options.recipients_per_mail:
        return Over(Period.MAIL, now_ms)
    return over_period(
        SendLimit(options.recipients_per_minute, options.recipients_per_day),
        counts,
        recipients,
        now_ms,
    )


def over_period(limit: SendLimit, counts: SendCounts, recipients: int, now_ms: int) -> Over | None:
    """Say whether the account may send to so many more; the longer period first."""
    day, minute = counts.in_day(now_ms), counts.in_minute(now_ms)
    if limit.per_day and day + recipients > limit.per_day:
        return Over(Period.DAY, (now_ms // DAY_MS + 1) * DAY_MS)
    if limit.per_minute and minute + recipients > limit.per_minute:
        return Over(Period.MINUTE, (now_ms // MINUTE_MS + 1) * MINUTE_MS)
    return None
