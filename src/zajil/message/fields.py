"""Header fields as raw slices of the message (RFC 5322 section 2.2), for the way of every mail.

Laws:
- Nothing is decoded or normalised here; duplicates and malformed lines are kept, in order.
- CRLF ends a line; a lone LF is taken for one too, so that what an IMAP client appended reads
  the same here as in its own program. A lone CR is an ordinary byte.
- Linear in the input; at most ``MAX_FIELDS`` fields are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
from itertools import islice
from typing import NamedTuple

from zajil.message.large_data import Data

MAX_FIELDS = 10_000
"""Fields that are read of one header section; guards memory against a header of empty fields.
A real one has under 200."""
MAX_PICKED = 1_000_000
"""Fields of one header section among which some are picked; guards time."""


class Field(NamedTuple):
    """One header field, or one line that is none."""

    name: bytes
    """Lower case; ``b""`` for a line without a field name."""
    value: bytes
    """After the colon, still folded, without the final line end."""
    start: int
    """Offset of the first byte in the header section that was read."""
    end: int
    """Offset after the final line end."""


# field-name is printable ASCII without colon (RFC 5322 section 2.2); the space before the colon
# is the obsolete form of RFC 5322 section 4.5. Possessive: no backtracking, whatever comes.
# Not possessive around the name: there Python 3.11.2 forgets to go back, and the line
# loses its start.
_FIELD = re.compile(rb"(?=[\x00-\xff])((?:([!-9;-~]++)[ \t]*+:)?([^\n]*+(?:\n[ \t][^\n]*+)*+)\n?+)")
_NO_NAME = bytes(byte for byte in range(256) if not 0x21 <= byte <= 0x7E)
_new_field = tuple.__new__  # the constructor of a NamedTuple is a Python function: half the speed
_FOLD = re.compile(rb"\r?\n(?=[ \t])|\r?\n\Z")


def split_message(data: Data) -> tuple[int, int]:
    """Find where the header section ends and where the body begins.

    Returns:
        The end of the header section, which is after the line end of its last field, and the
        start of the body, which is after the empty line. Both are ``len(data)`` when there is no
        empty line.
    """
    if data.startswith(b"\r\n"):
        return 0, 2
    if data.startswith(b"\n"):
        return 0, 1
    crlf = data.find(b"\n\r\n")
    lf = data.find(b"\n\n", 0, crlf if crlf >= 0 else len(data))
    if lf >= 0:
        return lf + 1, lf + 2
    if crlf >= 0:
        return crlf + 1, crlf + 3
    return len(data), len(data)


def read_fields(header: bytes) -> list[Field]:
    """Read all fields of a header section, in order.

    Args:
        header: what ``split_message`` cut off; without the empty line.
    """
    # Security: a large header of tiny fields would fill memory, so it is cut before it is split.
    if header.count(b"\n") < MAX_FIELDS:
        found = _FIELD.findall(header)
    else:
        found = [match.groups(b"") for match in islice(_FIELD.finditer(header), MAX_FIELDS)]
    fields: list[Field] = []
    end = 0
    for raw, name, value in found:
        start = end
        end += len(raw)
        if value[-1:] == b"\r":
            value = value[:-1]
        fields.append(_new_field(Field, (name.lower(), value, start, end)))
    return fields


def pick_fields(header: bytes, names: Set[bytes], *, named: bool) -> bytes:
    """Return the bytes of some fields, in their order; quicker than ``read_fields``.

    Args:
        header: as ``read_fields`` takes it.
        names: lower case.
        named: return the fields that have one of these names; else the others, with what is no
            field.
    """
    if header.count(b"\n") >= MAX_FIELDS:
        picked = bytearray()
        for match in islice(_FIELD.finditer(header), MAX_PICKED):
            if ((match[2] or b"").lower() in names) is named:
                picked += match[1]
        return bytes(picked)
    found = _FIELD.findall(header)
    return b"".join([raw for raw, name, _ in found if (name.lower() in names) is named])


def begins_folded(header: bytes, cut: Sequence[tuple[int, int]] = ()) -> bool:
    """Whether what is left of a header section would continue a field that is written above it.

    Security: a space or TAB folds (RFC 5322 section 2.2.3), so the sender would write into a field
    of ours. Some readers take any white space or control character for a fold; no field name begins
    with one.

    Args:
        header: the header section.
        cut: ranges that will be cut out of it; what follows each may come to stand first.
    """
    if header and not 0x20 < header[0] < 0x7F and _is_fold(header[:3]):
        return True
    return any([_is_fold(header[end : end + 3]) for _, end in cut])


def _is_fold(begin: bytes) -> bool:
    # White space is one byte in the charsets of one byte, and up to three in UTF-8.
    first = begin[:1].decode("latin-1"), begin.decode("utf-8", "replace")[:1]
    return any([char.isspace() or char < "!" or "\x7f" <= char <= "\x9f" for char in first if char])


def take_odd(field: Field) -> Field:
    """Return a line that is no field as the field that some readers take it for.

    Security: spaces, controls and bytes that are not ASCII before, in and after a name
    (``From<NBSP>:``, a byte order mark, a colon on the next line) are left out by some.

    Args:
        field: what ``read_fields`` gave; a field is given back as it is.
    """
    if field.name:
        return field
    name, colon, value = field.value.partition(b":")
    if not colon:
        return field
    return field._replace(name=name.translate(None, _NO_NAME).lower(), value=value)


def unfold(value: bytes) -> bytes:
    """Take the line ends out of a value and the space around it (RFC 5322 section 2.2.3)."""
    if b"\n" in value:
        value = _FOLD.sub(b"", value)
    return value.strip(b" \t\r\n")


def find_field(fields: Iterable[Field], name: bytes) -> Field | None:
    """Return the first field with this name (lower case)."""
    for field in fields:
        if field.name == name:
            return field
    return None


def find_fields(fields: Iterable[Field], name: bytes) -> list[Field]:
    """Return all fields with this name (lower case)."""
    return [field for field in fields if field.name == name]


def find_value(fields: Iterable[Field], name: bytes) -> bytes | None:
    """Return the unfolded value of the first field with this name (lower case)."""
    field = find_field(fields, name)
    return None if field is None else unfold(field.value)


def cut_ranges(header: bytes, ranges: Sequence[tuple[int, int]]) -> bytes:
    """Return the header section without these byte ranges, every other byte unchanged.

    Args:
        ranges: ``(start, end)`` of fields, ascending, not overlapping.
    """
    if not ranges:
        return header
    kept: list[bytes] = []
    at = 0
    for start, end in ranges:
        kept.append(header[at:start])
        at = end
    kept.append(header[at:])
    return b"".join(kept)
