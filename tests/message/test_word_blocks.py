"""Segments of the index: what is merged is what was there."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given, settings
from hypothesis import strategies as st

from zajil.message.word_blocks import (
    Block,
    BlockNumbers,
    OpenSegment,
    encode_message,
    merge,
    read_keys,
)

Messages = list[tuple[frozenset[bytes], bool]]
"""Keys of each message, and whether it is still there."""

KEYS = st.binary(min_size=1, max_size=3).filter(lambda key: b"\n" not in key)
MESSAGE = st.tuples(st.frozensets(KEYS, max_size=8), st.booleans())


def words_of(blocks: list[Block]) -> dict[bytes, list[int]]:
    found: dict[bytes, list[int]] = {}
    last = b""
    for block in blocks:
        numbers = BlockNumbers(block.numbers)
        keys = read_keys(block.words)
        assert (keys[0], keys[-1]) == (block.first, block.last)
        assert last < block.first
        last = block.last
        found.update((key, list(numbers.of(place))) for place, key in enumerate(keys))
    return found


def wanted(messages: list[frozenset[bytes]]) -> dict[bytes, list[int]]:
    found: dict[bytes, list[int]] = {}
    for number, keys in enumerate(messages):
        for key in keys:
            found.setdefault(key, []).append(number)
    return found


def opened(keys: frozenset[bytes], kept: bool) -> OpenSegment:
    block = encode_message(keys)
    return OpenSegment([(block.words, block.numbers)] if block else [], True, [kept])


@given(st.lists(st.lists(MESSAGE, min_size=1, max_size=5), min_size=1, max_size=4))
@settings(max_examples=60)
def test_merging_twice(groups: list[Messages]) -> None:
    """Messages become segments, some messages go, the segments become one."""
    segments = []
    for messages in groups:
        blocks = list(merge([opened(keys, True) for keys, _ in messages]))
        assert words_of(blocks) == wanted([keys for keys, _ in messages])
        pairs = [(block.words, block.numbers) for block in blocks]
        segments.append(OpenSegment(pairs, len(messages) == 1, [kept for _, kept in messages]))
    merged = list(merge(segments))
    assert words_of(merged) == wanted(
        [keys for messages in groups for keys, kept in messages if kept]
    )


def test_many_words_and_messages_make_many_blocks() -> None:
    common = [f"common{number}".encode() for number in range(20)]
    messages = [
        frozenset([*common, *(f"w{number}x{rare}".encode() for rare in range(10))])
        for number in range(700)
    ]
    blocks = list(merge([opened(keys, True) for keys in messages]))
    assert len(blocks) > 5
    assert words_of(blocks) == wanted(messages)
    pairs = [(block.words, block.numbers) for block in blocks]
    kept = [number % 3 != 0 for number in range(700)]
    twice = [OpenSegment(pairs, False, kept), OpenSegment(pairs, False, [True] * 700)]
    left = [keys for keys, is_kept in zip(messages, kept, strict=True) if is_kept]
    assert words_of(list(merge(twice))) == wanted([*left, *messages])


def test_nothing_is_left() -> None:
    assert list(merge([opened(frozenset({b"a"}), False), opened(frozenset(), True)])) == []
    assert encode_message([]) is None
    assert list(accumulate(BlockNumbers(b"").steps_of(3))) == [0]
