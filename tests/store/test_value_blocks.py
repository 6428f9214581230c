"""Blocks of values and of columns are stored and read again as they were."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from zajil.store.mail.header_columns import ColumnKind, HeaderColumn, pack_block, unpack_block
from zajil.store.mail.kept_blocks import is_complete
from zajil.store.mail.value_cache import (
    BLOCK_BITS,
    FEWEST,
    ValueBlock,
    blocks_of,
    last_uid_of,
    numbers_of,
    uids_within,
)

_TEXT = st.text(st.characters(exclude_characters="\0"), max_size=9)
UIDS = st.lists(st.integers(1, 5000) | st.integers(1, 2**32 - 1), unique=True).map(sorted)
NUMBERS = ColumnKind("n", "summary.date_ms", int, "q")
TEXTS = ColumnKind("t", "summary.base_subject", str)


@given(st.dictionaries(st.integers(1, 2**32 - 1), st.none() | st.binary(max_size=50), min_size=1))
def test_values(values: dict[int, bytes | None]) -> None:
    block = ValueBlock.from_values(values)
    assert block is not None
    again = ValueBlock.unpack(block.pack())
    assert again == block
    assert dict(zip(again.uids, again.values(), strict=True)) == values


@given(st.data(), UIDS)
def test_columns(data: st.DataObject, uids: list[int]) -> None:
    """Each block has its part of the column, and together they are all of it."""
    count = len(uids)
    for kind, one in ((NUMBERS, st.integers(-(2**63), 2**63 - 1)), (TEXTS, _TEXT)):
        values = data.draw(st.lists(one, min_size=count, max_size=count))
        column = HeaderColumn(array("I", uids), array("q", values) if kind.code else values)
        found: list[tuple[int, object]] = []
        for number in numbers_of(uids):
            own, stored = pack_block(column, number)
            part = unpack_block(kind, stored)
            assert part.uids == own
            assert {uid >> BLOCK_BITS for uid in own} == {number}
            found += zip(part.uids, part.values, strict=True)
        assert found == list(zip(uids, values, strict=True))


@given(UIDS)
def test_ranges(uids: list[int]) -> None:
    held = array("I", uids)
    blocks = list(blocks_of(held))
    assert [number for number, _ in blocks] == numbers_of(held)
    for number, some in blocks:
        assert uids_within(held, number) == some
        assert some[-1] <= last_uid_of(number)


def test_a_block_is_complete_when_nothing_can_come_into_its_range() -> None:
    uids = array("I", range(1, 1100))
    first, second = uids_within(uids, 0), uids_within(uids, 1)
    assert is_complete(first, 0, uids)
    assert not is_complete(first[:-1], 0, uids)
    assert not is_complete(second, 1, uids)
    assert not is_complete(first, 0, first)
    few = array("I", [*range(1, FEWEST), 2000])
    assert not is_complete(uids_within(few, 0), 0, few)
