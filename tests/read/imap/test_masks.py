"""Masks give back the messages they were made of, however many there are."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from zajil.core.ids import MailboxId, ModSeq, Uid
from zajil.read.imap.masks import Chunk, chosen, mask_from, mask_of
from zajil.read.imap.search_answer import numbers_of
from zajil.store.mail.message_table import MessageTable, TableBuilder

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


def make_table(uids: list[int], times_ms: list[int] | None = None) -> MessageTable:
    builder = TableBuilder(MailboxId(1), ModSeq(1), Uid(max(uids, default=0) + 1))
    times = uids if times_ms is None else times_ms
    builder.add([(uid, 1, 0, "", at_ms, 1, 1) for uid, at_ms in zip(uids, times, strict=True)])
    return builder.finish()


@given(UIDS, UIDS, st.integers(0, 200), st.integers(0, 200))
def test_the_mask_of_a_list(uids: list[int], some: list[int], one: int, other: int) -> None:
    """Some of them may be gone, or outside of the chunk."""
    start, stop = sorted((min(one, len(uids)), min(other, len(uids))))
    table = make_table(uids)
    mask = mask_of(Chunk(table, start, stop), array("I", some))
    assert list(chosen(table.uids[start:stop], mask)) == sorted({*some} & {*uids[start:stop]})


@given(UIDS, st.data(), st.integers(0, 60))
def test_the_newest_of_a_table(uids: list[int], data: st.DataObject, count: int) -> None:
    times = data.draw(st.lists(st.integers(1, 9), min_size=len(uids), max_size=len(uids)))
    if data.draw(st.booleans()):
        times.sort()
    some = data.draw(st.lists(st.sampled_from(uids), unique=True) if uids else st.just([]))
    gone = data.draw(st.sets(st.integers(501, 520)))
    table = make_table(uids, times)
    found = table.newest(array("I", sorted({*some, *gone})), count)
    places = sorted([uids.index(uid) for uid in some], key=lambda place: (times[place], place))
    assert found == places[::-1][:count]
