"""Flags survive the way into two columns and back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zajil.store.flags import FLAG_BITS, pack_flags, unpack_flags

KEYWORDS = st.text("abcdefghijklmnopqrstuvwxyz$_-0123456789", min_size=1, max_size=12)


@given(st.frozensets(st.sampled_from(sorted(FLAG_BITS)) | KEYWORDS))
def test_round_trip(flags: frozenset[str]) -> None:
    assert unpack_flags(*pack_flags(flags)) == flags


def test_a_system_flag_is_known_in_any_case() -> None:
    assert pack_flags(["\\SEEN", "\\seen", "$Junk", "$Forwarded"]) == (1, "$Forwarded $Junk")


def test_no_flag_shares_a_bit() -> None:
    assert sum(FLAG_BITS.values()) == 2 ** len(FLAG_BITS) - 1
