"""The content of one part without its transfer encoding, read from any place on.

A client fetches a large attachment piece by piece. Decoding remembers where it was every megabyte,
so the next piece is not decoded from the beginning of the part.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator

from zajil.core.value_class import value_class
from zajil.imap.body_section import Span
from zajil.message.transfer import TransferDecoder

Read = Callable[[int, int], bytes]
"""Returns the bytes of the message between two offsets."""

_PIECE = 65536
"""Encoded bytes that are decoded at a time."""
_TURN = 16
"""Pieces after which others may have their turn."""
_EVERY = 1 << 20
"""Encoded bytes between two places that are remembered."""
_MOST = 1000
"""Places of one part."""
_HELD = 1024
"""Bytes of an unfinished line that are kept with a place."""
_DECODED = ("base64", "quoted-printable")
"""Encodings whose content is not the bytes as they stand."""


@value_class(frozen=True, slots=True)
class _Place:
    """How far decoding came."""

    at: int
    """Offset in the content."""
    encoded_at: int
    """Offset in the message."""
    decoder: TransferDecoder
    """As it was there; never used, but copied."""


class DecodedPart:
    """The content of a part; not for use in two threads at the same time.

    Args:
        span: its body.
        encoding: lower case, one of ``TRANSFER_ENCODINGS``.
    """

    __slots__ = ("_encoding", "_places", "_span", "size")

    def __init__(self, span: Span, encoding: str) -> None:
        self._span = span
        self._encoding = encoding
        self._places = [_Place(0, span.start, TransferDecoder(encoding))]
        self.size = None if encoding in _DECODED else span.size
        """Bytes of the content; ``None``: its end was not reached yet."""

    @property
    def is_large(self) -> bool:
        """Whether there may be places to remember."""
        return self._span.size > _EVERY

    def pieces(self, read: Read, offset: int = 0, room: int | None = None) -> Iterator[bytes]:
        """Return so many bytes of the content from an offset on, in pieces; an empty one ends a
        turn.

        Args:
            read: of the message.
            offset: in the content; behind its end nothing is returned.
            room: the most bytes; ``None``: all.
        """
        if self._encoding not in _DECODED:
            most = self._span.size if room is None else room
            yield from self._read_as_it_stands(read, self._span.cut((offset, most)))
            return
        left = room
        for at, piece in self._decode_from(read, offset):
            if not piece:
                yield piece
                continue
            start = max(0, offset - at)
            wanted_piece = piece[start:] if left is None else piece[start : start + left]
            if wanted_piece:
                yield wanted_piece
                left = None if left is None else left - len(wanted_piece)
            if left == 0:
                return

    def _read_as_it_stands(self, read: Read, wanted: Span) -> Iterator[bytes]:
        for number, start in enumerate(range(wanted.start, wanted.end, _PIECE), 1):
            yield read(start, min(wanted.end, start + _PIECE))
            if number % _TURN == 0:
                yield b""

    def _has_room(self, decoder: TransferDecoder) -> bool:
        # Attack: lines without an end, of which each place would keep 64 KiB.
        return len(self._places) < _MOST and decoder.held_size < _HELD

    def _decode_from(self, read: Read, offset: int) -> Iterator[tuple[int, bytes]]:
        """Return pieces and where they are in the content, from the last known place before."""
        places = self._places
        place = places[bisect_right(places, offset, key=lambda one: one.at) - 1]
        decoder, at = place.decoder.copy(), place.at
        for number, start in enumerate(range(place.encoded_at, self._span.end, _PIECE), 1):
            if start - places[-1].encoded_at >= _EVERY and self._has_room(decoder):
                places.append(_Place(at, start, decoder.copy()))
            piece = decoder.take(read(start, min(self._span.end, start + _PIECE)))
            yield at, piece
            at += len(piece)
            if piece and number % _TURN == 0:
                yield at, b""
        piece = decoder.finish()
        self.size = at + len(piece)
        yield at, piece
