"""The buffered random source gives every byte once."""

from __future__ import annotations

from itertools import count

from zajil.net.system import BufferedRandom


def test_no_byte_is_given_twice() -> None:
    drawn = count()

    def draw(size: int) -> bytes:
        return b"".join(next(drawn).to_bytes(4, "big") for _ in range(size // 4))

    random = BufferedRandom(draw)
    given = [random(8) for _ in range(2000)]
    assert len(set(given)) == len(given)


def test_more_than_a_buffer_is_given_in_one_piece() -> None:
    assert len(BufferedRandom()(10_000)) == 10_000


def test_what_is_left_over_is_never_too_little() -> None:
    random = BufferedRandom()
    assert [len(random(4000)) for _ in range(5)] == [4000] * 5
