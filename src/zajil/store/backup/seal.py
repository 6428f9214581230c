"""How objects are named, compressed and encrypted.

Laws:
- The name of an object follows from its content: SHA-256 of it, or with a key HMAC-SHA-256, which
  tells nobody what is in it.
- What is read is compared with its name, so a damaged or exchanged object is never taken for whole.
- With a key an object is encrypted by AES-256-GCM, with its name as associated data.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import zlib
from pathlib import Path

from zajil.core.errors import Invalid, Refused
from zajil.store.backup.target import DamagedBackup

_MAGIC = b"ZB1"
_PLAIN, _ENCRYPTED = b"P", b"E"
_NONCE_BYTES = 12
_KEY_BYTES = 32
_LEVEL = 3
"""Of zlib: mail becomes a quarter smaller at each level, and half as much time is lost above 3."""
MAX_OBJECT = 1 << 30
"""Bytes that no object has: a manifest of a very large store stays below."""


class BadKey(Invalid):
    """The key file cannot be used."""


class WrongKey(Refused):
    """The target was written with another key, or without one."""


class BackupSeal:
    """Names, closes and opens objects of one target."""

    def __init__(self, key: bytes | None = None) -> None:
        """Take the key of 32 bytes; ``None``: objects are not encrypted."""
        self._names = self._cipher = None
        if key is not None:
            # Imported here: a server without encrypted backups needs none of it.
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM

            self._names = hmac.digest(key, b"zajil backup: names", "sha256")
            self._cipher = AESGCM(hmac.digest(key, b"zajil backup: contents", "sha256"))

    @property
    def key_check(self) -> str:
        """A value that tells keys apart, and nothing of them; empty without a key."""
        return "" if self._names is None else self.name_of(b"zajil backup: key check")

    def name_of(self, content: bytes) -> str:
        """Return 64 hexadecimal digits that name a content."""
        if self._names is None:
            return hashlib.sha256(content).hexdigest()
        return hmac.digest(self._names, content, "sha256").hex()

    def close(self, name: str, content: bytes) -> bytes:
        """Compress, and encrypt with a key.

        Args:
            name: of the object; only under this name can it be opened.
            content: of the object.
        """
        packed = zlib.compress(content, _LEVEL)
        if self._cipher is None:
            return _MAGIC + _PLAIN + packed
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _MAGIC + _ENCRYPTED + nonce + self._cipher.encrypt(nonce, packed, name.encode())

    def open(self, name: str, sealed: bytes) -> bytes:
        """Return the content of an object. The caller compares it with what it must be.

        Raises:
            DamagedBackup: it is not what ``close`` made under this name.
            WrongKey: it is encrypted and there is no key, or the other way round.
        """
        head, rest = sealed[: len(_MAGIC) + 1], sealed[len(_MAGIC) + 1 :]
        if head == _MAGIC + _ENCRYPTED:
            rest = self._decrypt(name, rest)
        elif head != _MAGIC + _PLAIN:
            raise DamagedBackup(f"object {name} does not begin as an object of a backup does")
        elif self._cipher is not None:
            # Security: who can write to the target must not pass plain objects off as ours.
            raise WrongKey("the backup is not encrypted, but a key is configured")
        try:
            unpacker = zlib.decompressobj()
            content = unpacker.decompress(rest, MAX_OBJECT)
        except zlib.error as error:
            raise DamagedBackup(f"object {name} is damaged: {error}") from None
        if not unpacker.eof:
            raise DamagedBackup(f"object {name} is damaged: its end is missing, or it is too large")
        return content

    def _decrypt(self, name: str, rest: bytes) -> bytes:
        if self._cipher is None:
            raise WrongKey(
                "the backup is encrypted: name its key in backup.key_file or with --key-file"
            )
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], name.encode())
        except (InvalidTag, ValueError):
            raise DamagedBackup(
                f"object {name} cannot be decrypted: it is damaged, or was encrypted with "
                "another key"
            ) from None


def new_key_text() -> str:
    """Return the text of a new key file: one line."""
    return base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode("ascii") + "\n"


def read_key(path: Path) -> bytes:
    """Return the key in a file that ``new_key_text`` was written to.

    Raises:
        BadKey: the file is missing, cannot be read, or contains no key.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise BadKey(f"the key file {path} does not exist: `zajil backup key` creates it") from None
    except OSError as error:
        raise BadKey(f"cannot read the key file {path}: {error.strerror}") from None
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise BadKey(f"{path} contains no key of a backup")
    return key
