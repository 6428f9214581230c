"""The bytes of one message while they arrive.

Pieces are kept as they came: nothing is joined or copied before the end. Past ``limits.memory``
they go to a file beside the blobs, past ``limits.message_size`` they are only counted, so a peer
that ignores SIZE costs bandwidth and nothing else (RFC 1870 section 6.3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from zajil.config.options import LimitOptions
from zajil.message.fields import split_message
from zajil.message.source import Source
from zajil.store.blobs import Blobs
from zajil.store.errors import StoreUnavailable


class Spool:
    """Collects the pieces of a message up to a limit."""

    __slots__ = ("_header_size", "_max_size", "_spill", "size")

    def __init__(self, limits: LimitOptions, blobs: Blobs) -> None:
        self._max_size = limits.message_size
        self._header_size = limits.header_size
        self._spill = blobs.spill(limits.memory)
        self.size = 0
        """Bytes that came in all, kept or not."""

    @property
    def too_large(self) -> bool:
        """More came than the limit allows; the pieces are gone."""
        return self.size > self._max_size

    @property
    def failure(self) -> StoreUnavailable | None:
        """Why the disk did not take them; the pieces are gone, and the mail must be deferred."""
        return self._spill.failure

    def add(self, chunk: bytes) -> Awaitable[None] | None:
        """Keep one more piece; the next one may come when what this gives is done."""
        self.size += len(chunk)
        if self.size > self._max_size:
            self._spill.discard()
            return None
        return self._spill.add(chunk)

    async def split(self) -> tuple[bytes, bytes | Source]:
        """Give the header section, and the body with the empty line before it.

        Of a header section that is too large only its begin, longer than ``limits.header_size``.

        Raises:
            StoreUnavailable: the message could not be kept, or not be read again.
        """
        whole = self._spill.content()
        if isinstance(whole, bytes):
            end, _ = split_message(whole)
            return whole[:end], whole[end:]
        # The empty line of a header section of just the right size is in it too.
        head = await asyncio.to_thread(whole.read_at, 0, self._header_size + len("\r\n\r\n"))
        end, _ = split_message(head)
        return head[:end], self._spill.content(end)
