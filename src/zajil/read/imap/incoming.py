"""One message on its way in. (RFC 3501 section 6.3.11, RFC 3516 section 4.4)"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from zajil.imap.append_command import NewMessage
from zajil.imap.response import Completion
from zajil.message.binary_parts import encode_binary_parts
from zajil.message.source import Source, read_pieces, size_of
from zajil.read.imap.line_ends import LineEnds
from zajil.store.mail.blobs import Blobs, StagedBlob

_NUL = Completion("NO", "the message has a NUL byte")
_NUL_IN_BINARY = Completion("NO", "only a binary part may have a NUL byte", "UNKNOWN-CTE")


class IncomingMessage:
    """Takes a message piece by piece; past ``store.inline_limit`` it goes to a file.

    Deviation: RFC 9755 section 4 has 8-bit header fields refused before ENABLE UTF8=ACCEPT. Old
    mail in all charsets has them, and programs that move mailboxes enable nothing (2026-11-28): it
    is stored as it came, and shown as each client can read it.
    """

    def __init__(self, head: NewMessage, blobs: Blobs) -> None:
        self.head = head
        self._blobs = blobs
        self._spill = blobs.spill()
        self._line_ends = LineEnds()
        self._is_binary = False
        self._has_nul = False

    @property
    def size(self) -> int:
        """Bytes that have come."""
        return self._spill.size

    def begin_binary(self) -> None:
        """Keep every byte that comes from now on: binary parts are encoded at the end."""
        self._is_binary = True

    def add(self, piece: bytes) -> Awaitable[None] | None:
        """Keep a piece; wait for what this gives before the next one, if it gives something."""
        if self._is_binary:
            return self._spill.add(piece)
        self._has_nul = self._has_nul or b"\x00" in piece
        return self._spill.add(self._line_ends.clean(piece))

    async def stage(self, *, in_memory: bool) -> StagedBlob | Completion:
        """Return the whole message, ready for a commit; or why it cannot be kept.

        Args:
            in_memory: it may stay there if it is small.

        Raises:
            StoreUnavailable, StoreFull: it could not be kept.
        """
        taken = self._spill.add(self._line_ends.end())
        if taken is not None:
            await taken
        content = self._spill.content()
        if self._is_binary:
            content = await asyncio.to_thread(_encode, content)
            self._has_nul = b"\x00" in content
        # Security: a NUL cannot be sent back in a literal (RFC 3501 section 9, CHAR8).
        if self._has_nul:
            # RFC 3516 section 4.4
            return _NUL_IN_BINARY if self._is_binary else _NUL
        if not size_of(content):
            return Completion("NO", "the message is empty")
        if in_memory:
            return await self._blobs.stage_any([content])
        return await self._blobs.stage_apart([content])


def _encode(content: bytes | Source) -> bytes:
    """Encode the binary parts of a message, and make every line end CRLF."""
    ends = LineEnds()
    return ends.clean(encode_binary_parts(b"".join(read_pieces(content)))) + ends.end()
