"""Due actions for the keys of one domain. Pure: the arguments are rows, options and the time.

The states of a key (``store.people.dkim_keys``):

    made ── record seen in DNS for publish_ahead ──▶ active ── rotate_every, and a new one is seen
      ──▶ retired ── overlap ──▶ revoked ── revoked_record_lifetime ──▶ removed

Laws:
- No mail is signed with a key whose record is missing: the old key continues to sign, however long
  the operator takes to publish the new one.
- If a domain has no active key, a new key becomes active as soon as its record is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zajil.config.options_keys import KeyOptions
from zajil.core.value_class import value_class
from zajil.store.people.dkim_keys import Algorithm, DkimKeyRow, KeyState

_SOONEST_MS = 60_000
_CLOCK_SLACK_MS = 86_400_000
"""Clocks of nodes differ, by less than this."""
_LATEST_MS = 3_600_000


@value_class(frozen=True, slots=True)
class Due:
    """What is to be done now for one domain; all empty: nothing."""

    make: tuple[Algorithm, ...] = ()
    """New keys of these algorithms, to be published."""
    activate: tuple[str, ...] = ()
    """Selectors that begin to sign."""
    revoke: tuple[str, ...] = ()
    forget: tuple[str, ...] = ()
    discard: tuple[str, ...] = ()
    """Selectors of new keys that a clock which was ahead had made."""

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.make or self.activate or self.revoke or self.forget or self.discard)


def find_due(keys: Sequence[DkimKeyRow], options: KeyOptions, now_ms: int) -> Due:
    """Return what is to be done for one domain.

    Args:
        keys: all of the domain, in any order.
        options: how long each state lasts.
        now_ms: the time.
    """
    return Due(
        make=_missing(keys, options, now_ms),
        activate=_ready(keys, options, now_ms),
        revoke=_past(keys, KeyState.RETIRED, "retired_ms", now_ms - options.overlap_ms),
        forget=_past(
            keys, KeyState.REVOKED, "revoked_ms", now_ms - options.revoked_record_lifetime_ms
        ),
        discard=_of_the_future(keys, now_ms),
    )


def next_look_ms(keys: Iterable[DkimKeyRow], now_ms: int) -> int:
    """Return how long to wait before the next look at all keys, in milliseconds.

    Who has just made a key publishes it now, and wants to see it work; who has not published it
    for a day is asked less often.
    """
    ages = [now_ms - row.created_ms for row in keys if row.state is KeyState.PUBLISHED]
    return max(_SOONEST_MS, min([*ages, _LATEST_MS]))


def _missing(keys: Sequence[DkimKeyRow], options: KeyOptions, now_ms: int) -> tuple[Algorithm, ...]:
    """New keys: of an algorithm that has none, or of all when one is old enough."""
    if any(row.state is KeyState.PUBLISHED for row in keys):
        return ()
    active = {row.algorithm: row for row in keys if row.state is KeyState.ACTIVE}
    lacking = tuple([name for name in options.algorithms if name not in active])
    if lacking or not options.rotate_every_ms:
        return lacking
    oldest_ms = min(row.activated_ms or row.created_ms for row in active.values())
    is_old = oldest_ms + options.rotate_every_ms - options.publish_ahead_ms <= now_ms
    return options.algorithms if is_old else ()


def _ready(keys: Sequence[DkimKeyRow], options: KeyOptions, now_ms: int) -> tuple[str, ...]:
    signing = {row.algorithm for row in keys if row.state is KeyState.ACTIVE}
    return tuple(
        [
            row.selector
            for row in keys
            if row.state is KeyState.PUBLISHED
            and row.found_ms is not None
            and (row.algorithm not in signing or row.found_ms + options.publish_ahead_ms <= now_ms)
        ]
    )


def _of_the_future(keys: Sequence[DkimKeyRow], now_ms: int) -> tuple[str, ...]:
    """New keys that nobody has published, beside one that signs."""
    signing = {row.algorithm for row in keys if row.state is KeyState.ACTIVE}
    return tuple(
        [
            row.selector
            for row in keys
            if row.state is KeyState.PUBLISHED
            and row.found_ms is None
            and row.created_ms > now_ms + _CLOCK_SLACK_MS
            and row.algorithm in signing
        ]
    )


def _past(
    keys: Sequence[DkimKeyRow], state: KeyState, since: str, before_ms: int
) -> tuple[str, ...]:
    found = []
    for row in keys:
        at_ms: int | None = getattr(row, since)
        if row.state is state and at_ms is not None and at_ms <= before_ms:
            found.append(row.selector)
    return tuple(found)
