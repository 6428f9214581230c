"""How rows of tables are written: one JSON array for each row, in lines, cut into chunks.

Laws:
- A value is written by its *kind*, which follows from the type in the schema, so a row reads the
  same whichever database it came from.
- Whether a chunk ends after a row depends on the row's key and length alone. So a new row, or one
  that is gone, changes one chunk, and the others are found again in the target.
"""

from __future__ import annotations

import binascii
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from zajil.store.backup.target import DamagedBackup

CHUNK_BYTES = 1 << 20
"""Of a chunk of rows, on average."""
PACK_BYTES = 1 << 22
"""Of a pack of messages, on average."""
_MOST = 2
"""A chunk or a pack ends at the latest at so many times its average size: it is in memory."""

Row = list[Any]
Key = tuple[Any, ...]


def kind_of(column: sa.Column[Any]) -> str:
    """Return how values of a column are written: text, integer, boolean, real or bytes."""
    # Boolean before Integer, LargeBinary before String: each is a kind of the other in some way.
    for type_, kind in (
        (sa.Boolean, "boolean"),
        (sa.Integer, "integer"),
        (sa.Float, "real"),
        (sa.LargeBinary, "bytes"),
        (sa.String, "text"),
    ):
        if isinstance(column.type, type_):
            return kind
    raise TypeError(f"column {column} has a type that backups cannot write")


def writer_of(kinds: Sequence[str]) -> Callable[[Sequence[Any]], bytes]:
    """Return a function that writes a row, whose columns have these kinds, as a line."""
    special = [
        (index, _WRITERS[kind]) for index, kind in enumerate(kinds) if kind in ("boolean", "bytes")
    ]

    def write(values: Sequence[Any]) -> bytes:
        row = list(values)
        for index, convert in special:
            if row[index] is not None:
                row[index] = convert(row[index])
        return _dumps(row).encode() + b"\n"

    return write


def read_rows(content: bytes, kinds: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of a chunk.

    Raises:
        DamagedBackup: it is not a chunk of rows of these kinds.
    """
    coded = [index for index, kind in enumerate(kinds) if kind == "bytes"]
    try:
        for line in content.splitlines():
            row = json.loads(line)
            if not isinstance(row, list) or len(row) != len(kinds):
                raise DamagedBackup("a row of the backup has another number of columns")
            for index in coded:
                if row[index] is not None:
                    row[index] = binascii.a2b_base64(row[index], strict_mode=True)
            yield row
    except (ValueError, TypeError, RecursionError) as error:
        raise DamagedBackup(f"a row of the backup cannot be read: {error}") from None


def key_bytes(key: Key) -> bytes:
    """Return a key as ``Cutter`` takes it."""
    return _dumps(key).encode()


class Cutter:
    """Tells after which rows, or messages, a chunk or pack ends."""

    def __init__(self, average: int) -> None:
        """Take the size in bytes that chunks shall have on average."""
        self._average = average
        self._size = 0

    def ends_after(self, key: bytes, size: int) -> bool:
        """Count a row or message; return whether it is the last of its chunk.

        Args:
            key: of the row or message.
            size: in bytes.
        """
        self._size += size
        # The larger it is, the likelier: so chunks have about the same size, whatever is in them.
        mark = int.from_bytes(hashlib.blake2b(key, digest_size=6).digest())
        if mark < ((size << 48) // self._average) or self._size >= self._average * _MOST:
            self._size = 0
            return True
        return False

    def begin(self) -> None:
        """Forget what was counted: a new chunk begins."""
        self._size = 0


def _write_bytes(value: Any) -> str:
    return binascii.b2a_base64(value, newline=False).decode("ascii")


_WRITERS: dict[str, Callable[[Any], Any]] = {"boolean": bool, "bytes": _write_bytes}
_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
