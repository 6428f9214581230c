"""Values that were made of the headers of many messages, in memory, for the next time.

Law: a value depends on the bytes of its message alone. These never change, and no UID of a mailbox
names another message later; so a value is kept by mailbox and UID, and is right in every process.
"""

from __future__ import annotations

import threading
import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby, pairwise
from typing import TypeAlias

from zajil.core.byte_order import little_endian
from zajil.core.ids import MailboxId
from zajil.core.value_class import value_class

MOST_BYTES = 16 << 20
"""Of all blocks of a process."""
MOST_OF_BLOCK = 1 << 20
"""Bytes of the values of one block."""
FEWEST = 100
"""For fewer messages at a time it is quicker to read their rows than to open a block."""
BLOCK_BITS = 10
"""A block has the messages whose UIDs are the same without so many bits."""
_LEVEL = 1
_BESIDE = 400
"""Bytes that a block takes beside its values, roughly."""

Value: TypeAlias = bytes | None
"""``None``: the message has to be read."""


@value_class(frozen=True, slots=True)
class ValueBlock:
    """The values of some messages, joined."""

    uids: array[int]
    """Ascending."""
    ends: array[int]
    """Where in the data each value ends; one begins where the last one ends."""
    unknown: frozenset[int]
    """UIDs whose value is ``None``."""
    packed: bytes

    @classmethod
    def from_values(cls, values: dict[int, Value]) -> ValueBlock | None:
        """Pack the values of messages, by UID; ``None``: they are too large to be kept."""
        uids = array("I", sorted(values))
        parts = [values[uid] or b"" for uid in uids]
        ends = array("I", accumulate(map(len, parts)))
        if not uids or ends[-1] > MOST_OF_BLOCK:
            return None
        unknown = frozenset([uid for uid in uids if values[uid] is None])
        return cls(uids, ends, unknown, zlib.compress(b"".join(parts), _LEVEL))

    @property
    def memory(self) -> int:
        """Return how many bytes it takes, roughly."""
        return len(self.packed) + 8 * len(self.uids) + 60 * len(self.unknown) + _BESIDE

    def pack(self) -> bytes:
        """Return the block as it is stored."""
        unknown = sorted(self.unknown)
        numbers = array("I", [len(self.uids), *self.uids, *self.ends, *unknown])
        head = zlib.compress(little_endian(numbers).tobytes(), _LEVEL)
        return len(head).to_bytes(4, "little") + head + self.packed

    @classmethod
    def unpack(cls, stored: bytes) -> ValueBlock:
        """Return what ``pack`` stored."""
        end = 4 + int.from_bytes(stored[:4], "little")
        numbers = little_endian(array("I", zlib.decompress(stored[4:end])))
        count = numbers[0]
        uids, ends = numbers[1 : 1 + count], numbers[1 + count : 1 + 2 * count]
        return cls(uids, ends, frozenset(numbers[1 + 2 * count :]), stored[end:])

    def data(self) -> bytes:
        """Return the values, joined."""
        return zlib.decompress(self.packed)

    def values(self) -> list[Value]:
        """Return the value of each UID."""
        data = self.data()
        found: list[Value] = [data[a:b] for a, b in pairwise((0, *self.ends))]
        if self.unknown:
            found = [
                None if uid in self.unknown else value
                for uid, value in zip(self.uids, found, strict=True)
            ]
        return found


class ValueCache:
    """The blocks that were used last; for use in any thread."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._size = 0
        self._kept: OrderedDict[tuple[MailboxId, bytes, int], ValueBlock] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def memory(self) -> int:
        """Return how many bytes all blocks take, roughly."""
        return self._size

    def find(self, mailbox_id: MailboxId, kind: bytes, number: int) -> ValueBlock | None:
        """Return the block of this number.

        Args:
            mailbox_id: of a mailbox that the caller found under its account.
            kind: what the values are.
            number: ``uid >> BLOCK_BITS``.
        """
        key = (mailbox_id, kind, number)
        with self._lock:
            block = self._kept.get(key)
            if block is not None:
                self._kept.move_to_end(key)
        return block

    def find_values(
        self, mailbox_id: MailboxId, kind: bytes, uids: Sequence[int]
    ) -> list[Value] | None:
        """Return the values of these messages, ascending; ``None``: not all of them are kept."""
        found: list[Value] = []
        for number, some in blocks_of(uids):
            block = self.find(mailbox_id, kind, number)
            if block is None or not _has(block, some):
                return None
            if block.uids == some:
                found += block.values()
            else:
                values = dict(zip(block.uids, block.values(), strict=True))
                found += [values[uid] for uid in some]
        return found

    def keep(self, mailbox_id: MailboxId, kind: bytes, values: dict[int, Value]) -> None:
        """Keep the values of messages, by UID, beside those that are kept."""
        for number, some in blocks_of(sorted(values)):
            old = self.find(mailbox_id, kind, number)
            known: dict[int, Value] = {}
            if old is not None:
                known = dict(zip(old.uids, old.values(), strict=True))
            block = ValueBlock.from_values({**known, **{uid: values[uid] for uid in some}})
            if block is not None:
                self.put(mailbox_id, kind, number, block)

    def missing(self, mailbox_id: MailboxId, kind: bytes, uids: Sequence[int]) -> list[int]:
        """Return the numbers of the blocks for these messages, ascending, of which none is kept."""
        numbers = numbers_of(uids)
        return [one for one in numbers if self.find(mailbox_id, kind, one) is None]

    def put(self, mailbox_id: MailboxId, kind: bytes, number: int, block: ValueBlock) -> None:
        """Keep a block in place of another one."""
        key = (mailbox_id, kind, number)
        with self._lock:
            old = self._kept.pop(key, None)
            self._kept[key] = block
            self._size += _cost(key[1], block) - (0 if old is None else _cost(key[1], old))
            while self._size > self._most_bytes:
                (_, kind, _), gone = self._kept.popitem(last=False)
                self._size -= _cost(kind, gone)


def numbers_of(uids: Sequence[int]) -> list[int]:
    """Return the numbers of the blocks that have these UIDs, ascending."""
    numbers, at = list[int](), 0
    while at < len(uids):
        numbers.append(uids[at] >> BLOCK_BITS)
        at = bisect_right(uids, last_uid_of(numbers[-1]), at)
    return numbers


def last_uid_of(number: int) -> int:
    """Return the largest UID that may be in a block."""
    return ((number + 1) << BLOCK_BITS) - 1


def uids_within(uids: array[int], number: int) -> array[int]:
    """Return those of the UIDs, ascending, that are in a block."""
    start = bisect_left(uids, number << BLOCK_BITS)
    return uids[start : bisect_right(uids, last_uid_of(number), start)]


def blocks_of(uids: Sequence[int]) -> Iterator[tuple[int, array[int]]]:
    """Yield the numbers of the blocks that have these UIDs, ascending, and the UIDs of each."""
    for number, some in groupby(uids, key=lambda uid: uid >> BLOCK_BITS):
        yield number, array("I", some)


def _has(block: ValueBlock, uids: array[int]) -> bool:
    return block.uids == uids or set(block.uids).issuperset(uids)


def _cost(kind: bytes, block: ValueBlock) -> int:
    return block.memory + len(kind)
