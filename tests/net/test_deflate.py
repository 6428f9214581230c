"""A compressed connection without I/O: whole answers, and bombs a portion at a time."""

from __future__ import annotations

import random
import tracemalloc
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.net.deflate import PORTION, BadCompression, DeflateChannel


def client() -> tuple[zlib._Compress, zlib._Decompress]:
    """Return the two directions of a peer with the largest window."""
    return zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15)


@given(st.lists(st.binary(max_size=300), max_size=8), st.integers(1, 50))
def test_everything_comes_through_in_both_directions(pieces: list[bytes], size: int) -> None:
    compress, decompress = client()
    channel = DeflateChannel()
    got = b""
    for piece in pieces:
        sent = compress.compress(piece) + compress.flush(zlib.Z_SYNC_FLUSH)
        for at in range(0, len(sent), size):
            channel.feed(sent[at : at + size])
            while channel.has_input:
                got += channel.take()
        # Each answer is complete: the peer needs nothing that comes later to read it.
        assert decompress.decompress(channel.send(piece)) == piece
    assert got == b"".join(pieces)


def test_a_bomb_is_opened_a_portion_at_a_time() -> None:
    """A hundred megabytes from a hundred kilobytes: no more than a portion is in memory."""
    compress, _ = client()
    bomb = b"".join([compress.compress(bytes(1 << 20)) for _ in range(100)]) + compress.flush()
    channel = DeflateChannel()
    channel.feed(bomb)
    total = 0
    tracemalloc.start()
    while channel.has_input:
        portion = channel.take()
        assert len(portion) <= PORTION
        total += len(portion)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == 100 << 20
    assert peak < 1 << 20


def test_what_is_not_compressed_is_refused() -> None:
    channel = DeflateChannel()
    channel.feed(b"a NOOP\r\n" * 10)
    with pytest.raises(BadCompression):
        channel.take()


def test_behind_the_end_of_the_stream_there_is_nothing() -> None:
    compress, _ = client()
    channel = DeflateChannel()
    channel.feed(compress.compress(b"a LOGOUT\r\n") + compress.flush(zlib.Z_FINISH))
    assert channel.take() == b"a LOGOUT\r\n"
    channel.feed(random.Random(1).randbytes(100))
    assert channel.has_input
    while channel.has_input:
        assert channel.take() == b""


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_no_input_raises_anything_else(pieces: list[bytes]) -> None:
    channel = DeflateChannel()
    with suppress(BadCompression):
        for piece in pieces:
            channel.feed(piece)
            while channel.has_input:
                assert len(channel.take()) <= PORTION
