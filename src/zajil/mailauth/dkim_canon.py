"""Header fields in the form that is signed (RFC 6376 section 3.4.1, 3.4.2, 3.7 and 5.4.2).

``SignedHeader`` wraps the header section of one message for all its signatures: each field is
looked up and made canonical once, whoever signed it. ARC uses it the same way (RFC 8617 section
4.1.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from zajil.message.fields import Field

_FOLD = re.compile(rb"\r?\n")
_RUN = re.compile(rb"[ \t]++")


def relaxed_field(name: bytes, value: bytes) -> bytes:
    """Return a field in relaxed form, without its CRLF (RFC 6376 section 3.4.2).

    Args:
        name: lower case.
        value: still folded; no matter whether CRLF or LF ends its lines.
    """
    if _is_plain(value):
        return name + b":" + b" ".join(value.split())
    return name + b":" + _RUN.sub(b" ", _FOLD.sub(b"", value)).strip(b" ")


def _is_plain(text: bytes) -> bool:
    """Whether ``split`` may be used: it knows more white space than RFC 6376 has in lines."""
    if b"\x0b" in text or b"\x0c" in text:
        return False
    return b"\r" not in text or text.count(b"\r") == text.count(b"\r\n")


def simple_field(raw: bytes) -> bytes:
    """Return a field as it stands, without its CRLF; lines end in CRLF, as they did on the wire."""
    if raw.count(b"\n") != raw.count(b"\r\n"):
        raw = raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return raw.removesuffix(b"\r\n")


class SignedHeader:
    """The header section of one message, for those who sign or verify it."""

    __slots__ = ("_by_name", "_header", "_is_plain", "_relaxed", "fields")

    def __init__(self, header: bytes, fields: Sequence[Field]) -> None:
        """Wrap it.

        Args:
            header: the bytes.
            fields: what ``read_fields(header)`` gave.
        """
        self._header = header
        self.fields = fields
        self._is_plain = _is_plain(header)
        self._relaxed: dict[int, bytes] = {}
        self._by_name: dict[bytes, list[Field]] = {}
        for field in fields:
            if field.name in self._by_name:
                self._by_name[field.name].append(field)
            else:
                self._by_name[field.name] = [field]

    def count(self, name: bytes) -> int:
        """Return how many fields have this name (lower case)."""
        return len(self._by_name.get(name, ()))

    def canonical(self, field: Field, canonicalization: str) -> bytes:
        """Return one field in canonical form, with its CRLF."""
        if canonicalization != "relaxed":
            return simple_field(self._header[field.start : field.end]) + b"\r\n"
        found = self._relaxed.get(field.start)
        if found is None:
            if self._is_plain:
                found = b"%b:%b\r\n" % (field.name, b" ".join(field.value.split()))
            else:
                found = relaxed_field(field.name, field.value) + b"\r\n"
            self._relaxed[field.start] = found
        return found

    def select(self, names: Sequence[bytes], besides: Field | None = None) -> list[Field]:
        """Return the fields that a list of names signs (RFC 6376 section 5.4.2).

        A name takes the lowest field that is not yet taken; one too many takes nothing.

        Args:
            names: lower case, in the order of ``h=``.
            besides: the signature itself, which cannot sign itself.
        """
        left: dict[bytes, Iterator[Field]] = {}
        found = []
        for name in names:
            rest = left.get(name)
            if rest is None:
                there = self._by_name.get(name)
                if there is None:
                    continue
                rest = left[name] = reversed(there)
            field = next(rest, None)
            if field is besides:
                field = next(rest, None)
            if field is not None:
                found.append(field)
        return found

    def signed_bytes(
        self,
        names: Sequence[bytes],
        canonicalization: str,
        besides: Field | None = None,
    ) -> bytes:
        """Return the canonical form of all fields that a list of names signs."""
        fields = self.select(names, besides)
        return b"".join([self.canonical(field, canonicalization) for field in fields])

    def without_value(self, field: Field, start: int, end: int, canonicalization: str) -> bytes:
        """Return a signature field as it is signed: without the value of ``b=``, without its CRLF.

        Args:
            field: the signature.
            start: offset in its value, after ``b=``.
            end: offset of the semicolon after it, or of the end of the value.
            canonicalization: of the header.
        """
        value = field.value[:start] + field.value[end:]
        if canonicalization == "relaxed":
            return relaxed_field(field.name, value)
        raw = self._header[field.start : field.end]
        return simple_field(raw[: raw.index(b":") + 1] + value)
