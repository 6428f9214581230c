"""Masks give back the messages they were made of, however many there are."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from zajil.read.imap.masks import chosen, mask_from
from zajil.read.imap.search_answer import numbers_of

UIDS = st.lists(st.integers(1, 500), unique=True, max_size=200).map(sorted)


@given(st.data(), UIDS)
def test_chosen(data: st.DataObject, uids: list[int]) -> None:
    some = data.draw(st.sets(st.sampled_from(uids)) if uids else st.just(set[int]()))
    mask = mask_from(map(some.__contains__, uids))
    assert list(chosen(array("I", uids), mask)) == sorted(some)


@given(st.data(), UIDS)
def test_sequence_numbers(data: st.DataObject, uids: list[int]) -> None:
    some = data.draw(st.lists(st.sampled_from(uids), unique=True) if uids else st.just([]))
    assert list(numbers_of(array("I", uids), some)) == [uids.index(uid) + 1 for uid in some]
