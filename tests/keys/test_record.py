"""A key as its TXT record."""

from __future__ import annotations

import base64

import dns.rdata
import pytest
from dns.rdtypes.ANY.TXT import TXT
from hypothesis import given
from hypothesis import strategies as st

from zajil.keys.record import is_same_key, record_value, zone_text
from zajil.store.people.dkim_keys import Algorithm, DkimKeyRow, KeyState

ED = bytes(range(32))


def row(
    algorithm: Algorithm = "ed25519-sha256",
    state: KeyState = KeyState.ACTIVE,
    public_key: bytes = ED,
) -> DkimKeyRow:
    return DkimKeyRow(
        domain="north.test",
        selector="ed-1",
        algorithm=algorithm,
        state=state,
        public_key=public_key,
        created_ms=0,
    )


def strings_of(text: str) -> tuple[bytes, ...]:
    rdata = dns.rdata.from_text("IN", "TXT", text)
    assert isinstance(rdata, TXT)
    return rdata.strings


def test_the_record_is_what_rfc_8463_prints() -> None:
    """RFC 8463 section 4.2: the key itself, in base64, and nothing around it."""
    value = record_value(row())
    assert value == f"v=DKIM1; h=sha256; k=ed25519; p={base64.b64encode(ED).decode()}"


def test_a_revoked_key_says_so() -> None:
    """RFC 6376 section 3.6.1: an empty value means that this public key has been revoked."""
    assert record_value(row(state=KeyState.REVOKED)).endswith("; p=")


def test_a_long_record_is_several_strings() -> None:
    """RFC 1035 section 3.3: a string has at most 255 octets; who reads joins them."""
    value = record_value(row("rsa-sha256", public_key=bytes(294)))
    text = zone_text(value)
    strings = strings_of(text)
    assert b"".join(strings).decode() == value
    assert [len(string) for string in strings] == [255, len(value) - 255]


@given(st.text(st.characters(codec="ascii", exclude_categories=["C"]), max_size=600))
def test_what_stands_in_a_zone_file_is_read_as_it_was(value: str) -> None:
    assert b"".join(strings_of(zone_text(value))).decode() == value


@pytest.mark.parametrize(
    ("value", "same"),
    [
        (record_value(row()), True),
        (f"k=ed25519;p={base64.b64encode(ED).decode()}", True),
        (f"v=DKIM1; k=ed25519; n=by hand; p={base64.b64encode(ED).decode()[:9]} "
         f"{base64.b64encode(ED).decode()[9:]};", True),
        (f"v=DKIM1; p={base64.b64encode(ED).decode()}", False),
        ("v=DKIM1; k=ed25519; p=", False),
        ("v=DKIM1; k=ed25519; p=%%%", False),
        ("v=spf1 -all", False),
        ("", False),
    ],
)  # fmt: skip
def test_an_operator_may_write_it_otherwise(value: str, same: bool) -> None:
    assert is_same_key(value, row()) is same


def test_a_revoked_key_is_seen_by_its_empty_value() -> None:
    revoked = row(state=KeyState.REVOKED)
    assert is_same_key("v=DKIM1; k=ed25519; p=", revoked)
    assert not is_same_key(record_value(row()), revoked)


@given(st.text(max_size=200))
def test_no_record_raises(value: str) -> None:
    assert is_same_key(value, row()) in (True, False)
