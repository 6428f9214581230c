"""How many recipients an account may send to in a minute and on a day. Pure.

``store.feedback.send_counts`` keeps the counts, and asks ``SendLimit.permits`` in the commit that
accepts the mail. Periods are those of the clock, in UTC: one row of counts per account is enough,
and a user understands when they end.
"""

from __future__ import annotations

from zajil.config.options_users import SubmitOptions
from zajil.core.value_class import value_class
from zajil.store.feedback.send_counts import DAY_MS, MINUTE_MS, SendCounts


@value_class(frozen=True, slots=True)
class SendLimit:
    """Maximum number of recipients of an account; 0: no limit."""

    per_minute: int
    per_day: int

    def permits(self, counts: SendCounts) -> bool:
        """Whether these counts, the mail in question included, are within the limit."""
        return not (
            (self.per_minute and counts.minute_count > self.per_minute)
            or (self.per_day and counts.day_count > self.per_day)
        )

    def blocked_until_ms(self, counts: SendCounts, recipients: int, now_ms: int) -> int | None:
        """Return when an account over its limit may send again; ``None``: it may send now.

        Args:
            counts: what it has sent before.
            recipients: how many more it wants to send to.
            now_ms: the time.
        """
        if self.per_day and counts.in_day(now_ms) + recipients > self.per_day:
            return (now_ms // DAY_MS + 1) * DAY_MS
        if self.per_minute and counts.in_minute(now_ms) + recipients > self.per_minute:
            return (now_ms // MINUTE_MS + 1) * MINUTE_MS
        return None


def send_limit(options: SubmitOptions) -> SendLimit | None:
    """Return the limit of the configuration; ``None``: no limit is set."""
    if options.recipients_per_minute or options.recipients_per_day:
        return SendLimit(options.recipients_per_minute, options.recipients_per_day)
    return None
