"""The server's end of a compressed connection, without I/O. (RFC 4978)

The caller moves the bytes::

    feed(b"...") -> take() -> a portion of what the peer said; send(b"...") -> bytes to send

Security: what a peer sends may grow a thousandfold. Nothing is decompressed before it is asked for,
and never more than a portion.
"""

from __future__ import annotations

import zlib

from zajil.core.errors import Malformed

PORTION = 65_536
"""Octets that ``take`` returns at most."""
_LEVEL = 3
"""Level 6 takes twice the time for text that is a tenth smaller."""
# Memory of one connection: 2 ** (window + 2) + 2 ** (level + 9) octets for what we send, and 40 KB
# for what comes, because the peer chooses its window.
_WINDOW, _MEMORY_LEVEL = 13, 5


class BadCompression(Malformed):
    """What came is no DEFLATE stream."""


class DeflateChannel:
    """Compresses and decompresses one connection."""

    __slots__ = ("_compressor", "_decompressor", "_input", "_is_full")

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(
            _LEVEL, zlib.DEFLATED, wbits=-_WINDOW, memLevel=_MEMORY_LEVEL
        )
        self._decompressor = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
        self._input = b""
        self._is_full = False  # the last portion was whole: more may be inside the decompressor

    @property
    def has_input(self) -> bool:
        """Whether ``take`` may return something."""
        return bool(self._input) or self._is_full

    def feed(self, data: bytes) -> None:
        """Keep bytes from the network, as they are."""
        self._input = self._input + data if self._input else data

    def take(self) -> bytes:
        """Return the next portion of what the peer sent; ``b""``: more has to come.

        Raises:
            BadCompression: it is not DEFLATE.
        """
        if self._decompressor.eof:  # behind the end of the stream nothing is told to anybody
            self._input = b""
            return b""
        try:
            data = self._decompressor.decompress(self._input, PORTION)
        except zlib.error as error:
            raise BadCompression(str(error)) from None
        self._input = self._decompressor.unconsumed_tail
        self._is_full = len(data) == PORTION and not self._decompressor.eof
        return data

    def send(self, data: bytes) -> bytes:
        """Return the compressed form of ``data``, complete: the peer can read all of it."""
        return self._compressor.compress(data) + self._compressor.flush(zlib.Z_SYNC_FLUSH)
