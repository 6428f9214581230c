"""What is due for one name. Pure: the arguments are rows, answers and the time.

Laws:
- A renewal keeps the key, so that a TLSA record stays valid (RFC 7671 section 5.1).
- A next key is used only when its TLSA record was found and old answers have expired; where DNS has
  no TLSA record at all, at once (RFC 7671 section 8.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from zajil.core.clock import Random
from zajil.dns.flow import Answer, Outcome
from zajil.store.people.certificates import CertificateRow
from zajil.store.people.host_keys import HostKeyRow, HostKeyState

OLD_ANSWERS_MS = 2 * 86_400_000
"""So long the record of a new key must have been in DNS: resolvers may still have the answer from
before; their usual limit is a day."""
_FIRST_PAUSE_MS = 5 * 60_000
_MAX_PAUSE_MS = 12 * 3_600_000
MAX_RETRY_AFTER_MS = 86_400_000
"""Longer than this no authority can keep us waiting (RFC 9773 section 4.3.3: a day)."""
_LATEST_TRY_MS = 2 * MAX_RETRY_AFTER_MS
"""No pause is so long: what is noted for a later time was noted by a clock that was wrong."""


class TlsaSeen(Enum):
    """What DNS says of the key that is to be next."""

    NONE = "none"
    """There is no TLSA record for the name."""
    FOUND = "found"
    MISSING = "missing"
    """There are records, but not for this key."""
    UNKNOWN = "unknown"
    """DNS did not answer."""


class KeyStep(Enum):
    """What to do with the keys of a name."""

    NOTHING = "nothing"
    MAKE_ACTIVE = "make active"
    """Make the first key."""
    MAKE_NEXT = "make next"
    NOTE_FOUND = "note found"
    NOTE_MISSING = "note missing"
    ACTIVATE = "activate"


def is_due(row: CertificateRow, active: HostKeyRow | None, now_ms: int) -> bool:
    """Whether a certificate is to be ordered now.

    Args:
        row: what is known of the name.
        active: its key; ``None``: it is made first.
        now_ms: the time.
    """
    if row.waits_for is not None or now_ms < (row.next_try_ms or 0) <= now_ms + _LATEST_TRY_MS:
        return False
    if row.chain is None or active is None or row.key_hash != active.key_hash:
        return True
    return (row.renew_ms or 0) <= now_ms


def renewal_time_ms(not_before_ms: int, not_after_ms: int, random: Random) -> int:
    """Return when to renew without advice of the authority: a third before the end, with a random
    delay, so that not everybody comes at once."""
    lifetime_ms = not_after_ms - not_before_ms
    return not_after_ms - lifetime_ms // 3 + _share(lifetime_ms // 30, random)


def time_in_window_ms(start_ms: int, end_ms: int, random: Random) -> int:
    """Return a random moment of a window (RFC 9773 section 4.2)."""
    return start_ms + _share(end_ms - start_ms, random)


def latest_renewal_ms(not_before_ms: int, not_after_ms: int) -> int:
    """Return when a certificate is renewed whatever the authority advises: a tenth of its life
    before its end."""
    return not_after_ms - max(0, not_after_ms - not_before_ms) // 10


def pause_ms(failures: int, retry_after_ms: int, random: Random) -> int:
    """Return how long to wait after a failure; it grows, and does not end before the authority
    says, within a day.

    Args:
        failures: this one included.
        retry_after_ms: what the authority asked for, 0: nothing.
        random: for a delay.
    """
    pause = min(_FIRST_PAUSE_MS << min(failures - 1, 20), _MAX_PAUSE_MS)
    return max(pause, min(retry_after_ms, MAX_RETRY_AFTER_MS)) + _share(pause // 5, random)


def see_tlsa(answer: Answer, key: HostKeyRow) -> TlsaSeen:
    """Compare the TLSA records of a name with a key."""
    if answer.outcome is Outcome.FAILED:
        return TlsaSeen.UNKNOWN
    if answer.outcome is not Outcome.FOUND:
        return TlsaSeen.NONE
    values = {" ".join(value.lower().split()) for value in answer.values}
    return TlsaSeen.FOUND if f"3 1 1 {key.key_hash}" in values else TlsaSeen.MISSING


def key_step(
    keys: Sequence[HostKeyRow], seen: TlsaSeen | None, lifetime_ms: int, now_ms: int
) -> KeyStep:
    """Return what is to be done with the keys of one name.

    Args:
        keys: all of the name.
        seen: of the next key; ``None``: there is none.
        lifetime_ms: of a key; 0: for ever.
        now_ms: the time.
    """
    active = key_in_state(keys, HostKeyState.ACTIVE)
    following = key_in_state(keys, HostKeyState.NEXT)
    if active is None and following is None:
        return KeyStep.MAKE_ACTIVE
    if following is None:
        begun_ms = active.activated_ms or active.created_ms if active else 0
        is_old = lifetime_ms > 0 and begun_ms + lifetime_ms <= now_ms
        return KeyStep.MAKE_NEXT if is_old else KeyStep.NOTHING
    if active is None or seen is TlsaSeen.NONE:
        return KeyStep.ACTIVATE
    if seen is TlsaSeen.MISSING and following.found_ms is not None:
        return KeyStep.NOTE_MISSING
    if seen is not TlsaSeen.FOUND:
        return KeyStep.NOTHING
    if following.found_ms is None:
        return KeyStep.NOTE_FOUND
    is_seen = following.found_ms + OLD_ANSWERS_MS <= now_ms
    return KeyStep.ACTIVATE if is_seen else KeyStep.NOTHING


def key_in_state(keys: Sequence[HostKeyRow], state: HostKeyState) -> HostKeyRow | None:
    """Return the key in a state that only one has."""
    return next((key for key in keys if key.state is state), None)


def _share(whole: int, random: Random) -> int:
    """Return a random part of a number."""
    return whole * int.from_bytes(random(4), "big") >> 32
