"""How much an account may send, and when it may go on: local policy (RFC 6409 section 3.2). Pure.

Periods are those of the clock, minutes and days in UTC: they need one row of counts per account,
and a person understands when they end. How many recipients one mail may have is
``ReceiveServices.most_recipients``.
"""

from __future__ import annotations

from zajil.config.options_users import SubmitOptions
from zajil.store.feedback.send_counts import DAY_MS, MINUTE_MS, SendCounts, SendLimit


def send_limit(options: SubmitOptions) -> SendLimit | None:
    """Give what the store counts; ``None``: nothing, no limit is set."""
    if options.recipients_per_minute or options.recipients_per_day:
        return SendLimit(options.recipients_per_minute, options.recipients_per_day)
    return None


def blocked_until_ms(
    limit: SendLimit, counts: SendCounts, recipients: int, now_ms: int
) -> int | None:
    """Say when an account may go on that would send to too many; ``None``: it may send.

    Args:
        limit: 0 is none.
        counts: what it has sent before.
        recipients: how many more.
        now_ms: the time.
    """
    if limit.per_day and counts.in_day(now_ms) + recipients > limit.per_day:
        return (now_ms // DAY_MS + 1) * DAY_MS
    if limit.per_minute and counts.in_minute(now_ms) + recipients > limit.per_minute:
        return (now_ms // MINUTE_MS + 1) * MINUTE_MS
    return None
