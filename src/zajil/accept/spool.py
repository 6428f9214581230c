"""The bytes of one message while they arrive.

Pieces are kept as they came: nothing is joined or copied before the end. Past ``limits.memory``
they go to a file beside the blobs, past ``limits.message_size`` they are only counted, so a peer
that ignores SIZE costs bandwidth and nothing else (RFC 1870 section 6.3).

The body is hashed on the way, so that no large message is read again for its signatures: from the
piece on by which it is no small one any more. After ``split`` the caller reads the fields, once
for everybody, and asks ``digests(fields, body)`` for the hashes; those of a small message are
computed then, and only if its signatures, or the caller, want some.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from zajil.config.options import LimitOptions
from zajil.mailauth.dkim_body import BodyDigests, BodyNeed, body_needs, body_of
from zajil.message.fields import Field, read_fields, split_message
from zajil.message.source import Source
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.mail.blobs import Blobs

_SMALL = 1 << 16
"""Bytes of a message that is hashed at its end, in one go."""


class Spool:
    """Collects the pieces of a message up to a limit."""

    __slots__ = (
        *("_digests", "_hash", "_header_size", "_max_size", "_small", "_spill"),
        *("needs", "reads_signatures", "size"),
    )

    def __init__(
        self,
        limits: LimitOptions,
        blobs: Blobs,
        needs: Sequence[BodyNeed] = (),
        *,
        reads_signatures: bool = True,
    ) -> None:
        """Begin with nothing.

        Args:
            limits: of sizes.
            blobs: where a large message goes.
            needs: hashes of the body that we want to sign with.
            reads_signatures: hash also what the message's own signatures ask for.
        """
        self._max_size = limits.message_size
        self._header_size = limits.header_size
        self._spill = blobs.spill(limits.memory)
        # Invariant: what lies in a file at the end was hashed on the way.
        self._small = min(_SMALL, limits.memory)
        self._hash: _HashOnTheWay | None = None
        self._digests: BodyDigests | None = None  # of what was hashed at the end
        self.size = 0
        """Bytes that came in all, kept or not."""
        self.needs = tuple(needs)
        """Hashes we want beside those of signatures; may be changed before the first piece."""
        self.reads_signatures = reads_signatures

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
            self._hash = None
            return None
        if self._hash is not None:
            self._hash.add(chunk)
        elif self.size > self._small:
            self._begin_hash(chunk)
        return self._spill.add(chunk)

    async def split(self) -> tuple[bytes, bytes | Source]:
        """Return the header section, and the body with the empty line before it.

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

    def digests(self, fields: Sequence[Field], body: bytes | Source) -> BodyDigests:
        """Return the hashes of the body: ``needs``, and those that the signatures ask for.

        They are computed once, whoever asks again.

        Args:
            fields: of the header section that ``split`` gave.
            body: that ``split`` gave. A large one is not looked at: it was hashed on the way.
        """
        if self._hash is not None and self._hash.digests is not None:
            return self._hash.digests
        if self._digests is None:
            self._digests = self._hash_at_end(fields, body)
        return self._digests

    def _hash_at_end(self, fields: Sequence[Field], body: bytes | Source) -> BodyDigests:
        needs = _wanted(self.needs, self.reads_signatures, fields)
        digests = BodyDigests(needs)
        # A large message without a body, or with a header section that nobody takes, has none.
        if needs and isinstance(body, bytes) and self._hash is None:
            digests.feed(body_of(body))
        return digests

    def _begin_hash(self, chunk: bytes) -> None:
        if self._spill.failure is not None:
            return
        # Invariant: it does not know us; a circle would keep the file open for a while.
        wanted = partial(_wanted, self.needs, self.reads_signatures)
        self._hash = _HashOnTheWay(self._header_size, wanted)
        # Invariant: no more than ``limits.memory`` came before, so all of it is at hand.
        before = self._spill.content()
        if isinstance(before, bytes):
            self._hash.add(before)
        self._hash.add(chunk)


def _wanted(
    needs: tuple[BodyNeed, ...], reads_signatures: bool, fields: Sequence[Field]
) -> tuple[BodyNeed, ...]:
    asked = body_needs(fields) if reads_signatures else ()
    return tuple(dict.fromkeys((*needs, *asked))) if asked else needs


class _HashOnTheWay:
    """Waits for the end of the header section, then hashes what follows."""

    __slots__ = ("_head", "_header_size", "_wanted", "digests")

    def __init__(
        self, header_size: int, wanted: Callable[[Sequence[Field]], tuple[BodyNeed, ...]]
    ) -> None:
        self._head: bytearray | None = bytearray()  # None: its end was found, or is too far
        self._header_size = header_size
        self._wanted = wanted
        self.digests: BodyDigests | None = None

    def add(self, chunk: bytes) -> None:
        """Take the next bytes of the message."""
        if self.digests is not None:
            self.digests.feed(chunk)
        elif self._head is not None:
            # Security: only what is new is searched, however small the pieces are.
            searched = max(len(self._head) - 2, 0)
            self._head += chunk
            if _has_empty_line(self._head, searched):
                self._begin(bytes(self._head))
            elif len(self._head) > self._header_size + len("\r\n\r\n"):
                self._head = None

    def _begin(self, data: bytes) -> None:
        self._head = None
        end, start = split_message(data)
        if end <= self._header_size:
            self.digests = BodyDigests(self._wanted(read_fields(data[:end])))
            self.digests.feed(data[start:])


def _has_empty_line(head: bytearray, start: int) -> bool:
    """Whether a header section ends, as ``split_message`` sees it, at or after an offset."""
    if not start and head.startswith((b"\n", b"\r\n")):
        return True
    return head.find(b"\n\r\n", start) >= 0 or head.find(b"\n\n", start) >= 0
