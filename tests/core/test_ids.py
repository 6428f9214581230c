from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.core.ids import ID_RANDOM_SIZE, new_blob_id, new_mail_id, new_session_id

NOW_MS = 1_795_435_200_000
MOMENTS = st.integers(0, 2**48 - 1)
RANDOM = st.binary(min_size=ID_RANDOM_SIZE, max_size=ID_RANDOM_SIZE)


def test_ids_are_words_that_are_safe_everywhere() -> None:
    for make in (new_mail_id, new_session_id, new_blob_id):
        made = make(NOW_MS, bytes(range(ID_RANDOM_SIZE)))
        assert len(made) == 28
        assert made.isascii()
        assert made.isalnum()
        assert made == made.lower()


@given(MOMENTS, MOMENTS, RANDOM, RANDOM)
def test_ids_sort_by_time(one_ms: int, other_ms: int, one: bytes, other: bytes) -> None:
    if one_ms < other_ms:
        assert new_mail_id(one_ms, one) < new_mail_id(other_ms, other)


@given(MOMENTS, RANDOM, RANDOM)
def test_every_random_bit_counts(now_ms: int, one: bytes, other: bytes) -> None:
    assert (new_mail_id(now_ms, one) == new_mail_id(now_ms, other)) == (one == other)


def test_too_little_randomness_is_refused() -> None:
    with pytest.raises(ValueError, match="random bytes"):
        new_mail_id(NOW_MS, b"short")
