"""The bytes of one message while they arrive.

Pieces are kept as they came: nothing is joined or copied before the end. Past
``limits.message_size`` they are only counted, so a peer that ignores SIZE costs bandwidth, not
memory (RFC 1870 section 6.3).
"""

from __future__ import annotations


class Spool:
    """Collects the pieces of a message up to a limit."""

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._parts: list[bytes] = []
        self.size = 0
        """Bytes that came in all, kept or not."""

    @property
    def too_large(self) -> bool:
        """More came than the limit allows; the pieces are gone."""
        return self.size > self._max_size

    def add(self, chunk: bytes) -> None:
        """Keep one more piece."""
        self.size += len(chunk)
        if self.size <= self._max_size:
            self._parts.append(chunk)
        else:
            self._parts.clear()

    def message(self) -> bytes:
        """Give the whole message, in one piece."""
        if len(self._parts) != 1:
            self._parts = [b"".join(self._parts)]
        return self._parts[0]
