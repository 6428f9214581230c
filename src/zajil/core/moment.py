"""Stored times as ``datetime``, for every possible number.

Law: nothing here raises. A time may come from a client (the date-time of APPEND, a report, a header
field), and a time out of range must not make the stored data unreadable.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

EARLIEST_MS = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND
"""The first millisecond of year 1, UTC."""
LATEST_MS = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MILLISECOND
"""The last millisecond of year 9999, UTC."""


def utc_datetime(at_ms: int) -> datetime:
    """Return the time in UTC; one outside years 1 to 9999 becomes the nearest inside.

    Args:
        at_ms: milliseconds since 1970 UTC.
    """
    return _EPOCH + timedelta(milliseconds=min(max(at_ms, EARLIEST_MS), LATEST_MS))


def local_datetime(at_ms: int, zone: tzinfo | None) -> datetime:
    """Return the time in a time zone; in UTC where the zone would leave years 1 to 9999.

    Args:
        at_ms: milliseconds since 1970 UTC.
        zone: ``None``: the zone of this machine.
    """
    at = utc_datetime(at_ms)
    try:
        return at.astimezone(zone)
    except (OverflowError, ValueError, OSError):  # the last two: the C library's own range
        return at


def spell_utc(at_ms: int) -> str:
    """Write a time for people, with its zone: ``2026-11-28 09:27:28 UTC``."""
    return f"{utc_datetime(at_ms).replace(tzinfo=None).isoformat(' ', 'seconds')} UTC"
