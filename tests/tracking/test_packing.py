"""Events of a mail, compressed."""

from __future__ import annotations

import pytest

from zajil.tracking import events as tracked
from zajil.tracking.codec import encode_events
from zajil.tracking.events import TrackingEvent
from zajil.tracking.packing import pack_events, unpack_events

NOW_MS = 1_764_000_000_000
EVENTS: list[TrackingEvent] = [
    tracked.SessionOpened(NOW_MS, "smtp", "198.51.100.7:4711", "192.0.2.25:25"),
    tracked.SenderNamed(NOW_MS, "a@x.test", "SIZE=5120"),
    tracked.CheckDone(NOW_MS, "spf", "none", "x.test has no SPF record", ("TXT x.test -> none",)),
    tracked.CheckDone(NOW_MS, "dkim", "none", "The message has no DKIM signature.", ()),
    tracked.VerdictReached(
        NOW_MS, None, "junk", 6.5, ("رسالة",), (("words.junk", 4.0, "{words}", {"words": "x"}),)
    ),
    tracked.MailAccepted(NOW_MS, 1),
]


PACKED = (
    "0103ba1e562f20553d26063080540959e8991aea191a18e8995b99981b1a026d85554c46a6b05a096c09523d"
    "816c50a243855e496a313094213587a9a19101d86568318bac07a5308368876507cc220d2a0f4eecc0548214"
    "e3f054836c3665f915391121990a494e59e0d83103a7a51b1b6f6cbeb1fc66cb8d9590c4520e2c848bf5202a"
    "4c40ad9b6ab0482d28018059c0f8af802500cc4843b20b187d00"
)
"""``EVENTS``, packed by the first version that did it."""


def test_what_was_packed_is_unpacked() -> None:
    assert unpack_events(pack_events(EVENTS)) == EVENTS


def test_a_usual_journey_becomes_a_third() -> None:
    usual = [*EVENTS[:4], EVENTS[5]]
    assert len(pack_events(usual)) * 3 < len(encode_events(usual))


def test_the_dictionary_stays() -> None:
    """What an earlier version packed is read by this one."""
    packed = bytes.fromhex(PACKED)
    assert unpack_events(packed) == EVENTS


@pytest.mark.parametrize("packed", [b"", b"\x01", b"\x02abc", b"\x01abcdef"])
def test_damaged_bytes_are_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match=r"events|JSON|line"):
        unpack_events(packed)
