"""A small fuzzer: seeds, mutations of them, and the smallest input that still fails.

The same number gives the same inputs on every machine. A target is a function that takes bytes and
returns; what it raises is a find. Finds are kept in ``tests/fuzz/cases`` and tried for ever.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MAX_SIZE = 4096
"""Bytes of an input; most defects need few."""
_MAX_SHRINKS = 2000
"""Attempts to make a find smaller."""
_LINEAR_BYTES = (32_768, 262_144)
_LINEAR_FACTOR = 4.0
"""Eight times the input may take 32 times the time: what is quadratic takes 64."""


@dataclass(frozen=True, slots=True)
class Target:
    """A parser under test."""

    name: str
    check: Callable[[bytes], None]
    """Feeds the bytes; returns if all is as documented."""
    seeds: tuple[bytes, ...]
    """Inputs that the parser understands."""
    words: tuple[bytes, ...] = ()
    """What its grammar is made of; put in at random."""
    cost: int = 1
    """How many times dearer one run is than with most targets."""

    def runs(self, runs: int) -> int:
        """Return how many inputs to try where a cheap target gets so many; each seed is one."""
        return max(runs // self.cost, len(self.seeds) + 20)


@dataclass(frozen=True, slots=True)
class Find:
    """An input that made a target raise."""

    target: str
    data: bytes
    error: BaseException

    def file_name(self) -> str:
        """Return the name of its file among the cases."""
        return f"{self.target}-{hashlib.sha256(self.data).hexdigest()[:12]}.bin"

    def save(self, folder: Path) -> Path:
        """Keep it, to be tried by every run from now on."""
        folder.mkdir(exist_ok=True)
        path = folder / self.file_name()
        path.write_bytes(self.data)
        return path


def make_inputs(target: Target, seed: int) -> Iterator[bytes]:
    """Yield the seeds, then mutations of them without end."""
    yield b""
    yield from target.seeds
    chance = random.Random(f"{target.name} {seed}")  # not for secrets
    pool = list(target.seeds) or [b""]
    while True:
        data = chance.choice(pool)
        for _ in range(chance.randint(1, 6)):
            data = _mutate(data, pool, target.words, chance)
        data = data[:MAX_SIZE]
        if chance.random() < 0.02:
            # Inputs far from the seeds; the oldest of them go first.
            pool.append(data)
            del pool[len(target.seeds) : -200]
        yield data


def try_input(target: Target, data: bytes) -> Find | None:
    """Feed one input."""
    try:
        target.check(data)
    except RecursionError as error:
        return Find(target.name, data, error.with_traceback(None))
    except Exception as error:
        return Find(target.name, data, error)
    return None


def fuzz(target: Target, seed: int, *, runs: int = 0, seconds: float = 0) -> Find | None:
    """Feed inputs until one fails; gives the smallest that fails alike, or ``None``.

    Args:
        target: what to feed.
        seed: of the inputs.
        runs: how many; 0: until the time is over.
        seconds: how long; 0: until the runs are over.
    """
    deadline = time.monotonic() + seconds if seconds else None
    for number, data in enumerate(make_inputs(target, seed)):
        if (runs and number >= runs) or (deadline and time.monotonic() > deadline):
            return None
        find = try_input(target, data)
        if find is not None:
            return shrink(target, find)
    return None


def shrink(target: Target, find: Find) -> Find:
    """Take away and simplify as long as the same kind of error comes."""
    tries = 0
    size = len(find.data) // 2
    while size and tries < _MAX_SHRINKS:
        at = 0
        while at < len(find.data) and tries < _MAX_SHRINKS:
            shorter = find.data[:at] + find.data[at + size :]
            tries += 1
            again = try_input(target, shorter)
            if again is not None and type(again.error) is type(find.error):
                find = again
            else:
                at += size
        size //= 2
    return find


def is_linear(target: Target, piece: bytes) -> bool:
    """Compare the time of a repeated piece with that of eight times as many; by hand only."""
    small, large = (piece * (size // len(piece) + 1) for size in _LINEAR_BYTES)
    growth = len(large) / len(small)
    first, second = _seconds(target, small), _seconds(target, large)
    return second <= max(first, 0.000_5) * growth * _LINEAR_FACTOR


def _seconds(target: Target, data: bytes) -> float:
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        target.check(data)
        best = min(best, time.process_time() - start)
    return best


def _mutate(
    data: bytes, pool: Sequence[bytes], words: Sequence[bytes], chance: random.Random
) -> bytes:
    at = chance.randint(0, len(data))
    end = min(len(data), at + chance.choice((1, 1, 1, 2, 4, 8, 32)))
    match chance.randrange(9):
        case 0:  # a byte becomes another
            return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
        case 1:  # bytes go
            return data[:at] + data[end:]
        case 2:  # bytes come again
            return data[:end] + data[at:end] * chance.choice((1, 1, 2, 50)) + data[end:]
        case 3 | 4 if words:
            return data[:at] + chance.choice(words) + data[at:]
        case 5:  # what parsers stumble over
            return data[:at] + chance.choice(_ODD) + data[at:]
        case 6:  # two inputs become one
            other = chance.choice(pool)
            return data[:at] + other[chance.randint(0, len(other)) :]
        case 7:  # a bit
            if at == len(data):
                return data
            return data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :]
    return data[:at] + chance.choice(_ODD) + data[end:]


_ODD = (
    *(bytes([byte]) for byte in b"\r\n\0\t \x0b\x0c\x1b\x7f\x80\xff\\\"'<>()[]{}@.:;,=*%+-_/?&$#~"),
    *(b"\r\n", b"\r\n.\r\n", b"\n.\n", b"\r\n\r\n", b"\r\r\n", b"\r\n ", b"\xef\xbb\xbf"),
    *(b"0", b"-1", b"4294967296", b"99999999999999999999", b"1e9", b"00", b"0x10"),
    *(b"\xc0\xae", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x80\xae", b"\xd8\xb3"),
    *(b"\xe2\x80\xa8", b"\xc2\x85", b"\xcc\x81" * 8, b"\xef\xb8\x8f", b"\xf0\x9f\x95\x8a"),
    *(b"a" * 70, b"a" * 300, b"(" * 60, b'"' * 3, b"\\" * 5, b"=?utf-8?b?", b"xn--a", b"..", b"%s"),
)
