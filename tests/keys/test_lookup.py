"""Is the record of a key in DNS?"""

from __future__ import annotations

import pytest

from kit.zone import Zone, run_flow_on_zone
from zajil.keys.lookup import look_for_record
from zajil.keys.record import record_value
from zajil.store.people.dkim_keys import DkimKeyRow, KeyState

ROW = DkimKeyRow(
    domain="north.test",
    selector="ed-1",
    algorithm="ed25519-sha256",
    state=KeyState.PUBLISHED,
    public_key=bytes(32),
    created_ms=0,
)
NAME = "ed-1._domainkey.north.test"
RIGHT = record_value(ROW)


@pytest.mark.parametrize(
    ("zone", "seen"),
    [
        ({NAME: {"TXT": [RIGHT]}}, "found"),
        ({}, "missing"),
        ({NAME: {"A": ["192.0.2.1"]}}, "missing"),
        ({NAME: {"TXT": ["v=DKIM1; p=AAAA"]}}, "other"),
        ({NAME: {"TXT": [RIGHT, "v=DKIM1; p=AAAA"]}}, "several"),
        ({NAME: None}, "unknown"),
    ],
)
def test_what_dns_says_of_a_key(zone: Zone, seen: str) -> None:
    found = run_flow_on_zone(look_for_record(ROW), zone)
    assert found.seen == seen
    assert found.input.startswith(f"TXT {NAME} -> ")
