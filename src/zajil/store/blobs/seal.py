"""Encryption of the bytes of one message, in frames that can be read alone.

A sealed message is a head (4 bytes of format, 16 random bytes) and frames. Each frame holds 64 KiB
of the message, the last one what is left, and ends with a tag of 16 bytes. The cipher is
AES-256-GCM with a key that is derived for each message from the key of the store, the random bytes
and the id of the blob, so that one message cannot stand in the place of another. The nonce of a
frame is its number and whether it is the last one: frames that are exchanged, repeated or cut off
are noticed.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Iterator

from zajil.core.ids import BlobId
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.mail.blob_reader import BlobReader

FORMAT = b"ZJB1"
SALT_SIZE = 16
HEAD_SIZE = len(FORMAT) + SALT_SIZE
FRAME = 65_536
TAG_SIZE = 16


def sealed_size(size: int) -> int:
    """Return how many bytes a message of so many bytes has when it is sealed."""
    return HEAD_SIZE + size + TAG_SIZE * _frames(size)


def _frames(size: int) -> int:
    return max(1, -(-size // FRAME))


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])


class _Cipher:
    """Encrypts or decrypts one message."""

    def __init__(self, key: bytes, blob_id: BlobId, salt: bytes) -> None:
        # Imported here: a store without encryption needs none of it.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        own = hmac.digest(key, b"zajil store: message\0" + salt + blob_id.encode(), "sha256")
        self._cipher = AESGCM(own)

    def seal(self, number: int, frame: bytes, *, is_last: bool) -> bytes:
        return self._cipher.encrypt(_nonce(number, is_last=is_last), frame, None)

    def open(self, number: int, sealed: bytes, *, is_last: bool) -> bytes:
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(_nonce(number, is_last=is_last), sealed, None)
        except InvalidTag:
            raise StoreUnavailable(
                "an encrypted message is damaged, or was encrypted with another key"
            ) from None


def seal(
    key: bytes, blob_id: BlobId, pieces: Iterable[bytes], random: Callable[[int], bytes]
) -> Iterator[bytes]:
    """Yield a message in its sealed form, frame by frame."""
    salt = random(SALT_SIZE)
    cipher = _Cipher(key, blob_id, salt)
    yield FORMAT + salt
    kept, number = bytearray(), 0
    for piece in pieces:
        kept += piece
        # A whole frame waits for a byte behind it: only then it is not the last one.
        while len(kept) > FRAME:
            yield cipher.seal(number, bytes(kept[:FRAME]), is_last=False)
            del kept[:FRAME]
            number += 1
    yield cipher.seal(number, bytes(kept), is_last=True)


class SealedReader(BlobReader):
    """Random access to a message through its sealed form."""

    def __init__(self, key: bytes, blob_id: BlobId, size: int, sealed: BlobReader) -> None:
        """Take the sealed form, and close it at the end.

        Args:
            key: of the store.
            blob_id: of the message.
            size: of the message.
            sealed: its sealed form.

        Raises:
            StoreUnavailable: it is not what ``seal`` made.
        """
        super().__init__(size, None, None)
        self._sealed = sealed
        self._last = _frames(size) - 1
        self._kept = (-1, b"")
        head = sealed.read_at(0, HEAD_SIZE)
        if not head.startswith(FORMAT):
            raise StoreUnavailable("an encrypted message is damaged: its beginning is not ours")
        self._cipher = _Cipher(key, blob_id, head[len(FORMAT) :])

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to ``size`` bytes from ``offset``; fewer only at the end.

        Raises:
            StoreUnavailable: it cannot be read, is damaged, or has another key.
        """
        end = min(offset + size, self.size)
        if offset >= end:
            return b""
        first, last = offset // FRAME, (end - 1) // FRAME
        text = b"".join([self._frame(number) for number in range(first, last + 1)])
        return text[offset - first * FRAME : end - first * FRAME]

    def _frame(self, number: int) -> bytes:
        if self._kept[0] != number:
            is_last = number == self._last
            at = HEAD_SIZE + number * (FRAME + TAG_SIZE)
            length = (self.size - number * FRAME if is_last else FRAME) + TAG_SIZE
            found = self._cipher.open(number, self._sealed.read_at(at, length), is_last=is_last)
            self._kept = (number, found)
        return self._kept[1]

    def close(self) -> None:
        """Let go of the sealed form."""
        self._sealed.close()
