"""The file of keys that messages are encrypted with (``store.key_file``).

One key in each line, 32 bytes in base64. The first one encrypts new messages; the others read what
was encrypted before. An empty line or one that begins with ``#`` is passed over.
"""

from __future__ import annotations

import base64
import hmac
from contextlib import suppress
from pathlib import Path

from zajil.store.blobs.location import Location
from zajil.store.engine.errors import BytesAway, StoreUnavailable

KEY_BYTES = 32


class BadStoreKey(StoreUnavailable):
    """The key file cannot be used; the text is one sentence."""


class StoreKeys:
    """The keys of one file."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            BadStoreKey: it is missing, cannot be read, or a line of it is no key.
        """
        self._path = path
        keys = _read(path)
        self._by_id = {key_id(key): key for key in keys}
        self.current = key_id(keys[0])
        """Id of the key for new messages."""

    @property
    def ids(self) -> frozenset[str]:
        """The ids of all keys."""
        return frozenset(self._by_id)

    def find(self, wanted: str) -> bytes | None:
        """Return a key by its id; ``None``: it is not in the file.

        A file that was changed is read again: so a new key can be given to all nodes before the
        first one encrypts with it.
        """
        if wanted not in self._by_id:
            with suppress(BadStoreKey):
                self._by_id |= {key_id(key): key for key in _read(self._path)}
        return self._by_id.get(wanted)


def find_key(keys: StoreKeys | None, place: Location) -> bytes:
    """Return the key of an encrypted message.

    Raises:
        StoreUnavailable: it is not in ``store.key_file``.
    """
    wanted = place.key_id or ""
    key = None if keys is None else keys.find(wanted)
    if key is None:
        raise BytesAway(
            f"message {place.blob_id} is encrypted with key {wanted}, which is not in "
            "store.key_file"
        )
    return key


def key_id(key: bytes) -> str:
    """Return eight hexadecimal digits that tell keys apart, and nothing of them."""
    return hmac.digest(key, b"zajil store: key id", "sha256")[:4].hex()


def _read(path: Path) -> list[bytes]:
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        raise BadStoreKey(
            f"the key file {path} (store.key_file) is missing: put the copy of it there; for a new "
            "store, `zajil store new-key` creates it"
        ) from None
    except OSError as error:
        raise BadStoreKey(
            f"cannot read the key file {path} (store.key_file): {error.strerror}"
        ) from None
    keys = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith(b"#"):
            continue
        try:
            key = base64.b64decode(text, validate=True)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise BadStoreKey(f"line {number} of the key file {path} (store.key_file) is no key")
        keys.append(key)
    if not keys:
        raise BadStoreKey(f"the key file {path} (store.key_file) contains no key")
    return keys
