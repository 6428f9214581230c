"""Flags survive the way into two columns and back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.store.mail.flags import (
    FLAG_BITS,
    add_flags,
    pack_flags,
    remove_flags,
    replace_flags,
    unpack_flags,
)

KEYWORDS = st.text("abcdefghijklmnopqrstuvwxyz$_-0123456789", min_size=1, max_size=12)


@given(st.frozensets(st.sampled_from(sorted(FLAG_BITS)) | KEYWORDS))
def test_round_trip(flags: frozenset[str]) -> None:
    assert unpack_flags(*pack_flags(flags)) == flags


def test_a_system_flag_is_known_in_any_case() -> None:
    assert pack_flags(["\\SEEN", "\\seen", "$Junk", "$Forwarded"]) == (1, "$Forwarded $Junk")


@pytest.mark.parametrize(
    ("change", "flags", "words", "want"),
    [
        (add_flags, "Work", "WORK \\SEEN", "Work \\SEEN"),
        (remove_flags, "Work \\Seen $a", "work \\seen", "$a"),
        (replace_flags, "Work $a", "WORK $b", "Work $b"),
        (replace_flags, "Work", "", ""),
    ],
)
def test_flags_have_no_case(
    change: Callable[[frozenset[str], frozenset[str]], frozenset[str]],
    flags: str,
    words: str,
    want: str,
) -> None:
    assert change(frozenset(flags.split()), frozenset(words.split())) == frozenset(want.split())


def test_a_row_with_one_keyword_in_two_spellings() -> None:
    assert pack_flags(["WORK", "work", "Work"]) == (0, "WORK")
    assert unpack_flags(1, "WORK Work a work") == {"\\Seen", "WORK", "a"}


def test_no_flag_shares_a_bit() -> None:
    assert sum(FLAG_BITS.values()) == 2 ** len(FLAG_BITS) - 1
