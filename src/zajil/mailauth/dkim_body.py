"""The hash of a body, computed while it arrives (RFC 6376 section 3.4.3, 3.4.4 and 3.7).

Laws:
- However the body is cut into pieces, the hash is the same.
- Each canonicalization runs once, for however many hashes; it is a few passes of C over each
  piece, linear in it, and keeps at most two bytes and a count from one piece to the next.
- CRLF ends a line; a lone CR or LF is an ordinary byte.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from zajil.core.errors import InternalError
from zajil.mailauth.tag_list import BadTagList, Tag, optional_number, parse_tag_list, value_of
from zajil.message.fields import Field

SIGNATURE, ARC_SIGNATURE = b"dkim-signature", b"arc-message-signature"
"""Names of the fields that ask for a hash of the body."""

MAX_SIGNATURES = 8
"""DKIM signatures of one message that are looked at, from the top (RFC 6376 section 6.1 allows a
limit); what people send has one to three."""
MAX_PARTIAL = 2
"""Different ``l=`` of one message for which the body is hashed, each a hash of its own."""

_CANONICALIZATIONS = {b"simple": "simple", b"relaxed": "relaxed"}

_SLICE = 1 << 16
"""Bytes that are worked on at a time: what fits into the cache of a core."""


class BodyNeed(NamedTuple):
    """One hash that a signature asks for."""

    canonicalization: str
    """``simple`` or ``relaxed``."""
    algorithm: str
    """``sha256``."""
    limit: int | None
    """How many octets of the canonical body are hashed (``l=``); ``None``: all."""


def body_needs(fields: Sequence[Field]) -> tuple[BodyNeed, ...]:
    """Return the hashes that the signatures of a message ask for, DKIM's and ARC's, each once.

    Those of the first ``MAX_SIGNATURES`` of DKIM and of all of ARC; of those with ``l=`` the first
    ``MAX_PARTIAL``, so that a message cannot ask for hundreds of hashes.
    """
    needs: list[BodyNeed] = []
    signatures = partial = 0
    for field in fields:
        if field.name == SIGNATURE:
            signatures += 1
            if signatures > MAX_SIGNATURES:
                continue
        elif field.name != ARC_SIGNATURE:
            continue
        for need in _needs_of(field):
            if need in needs:
                continue
            if need.limit is not None:
                partial += 1
                if partial > MAX_PARTIAL:
                    continue
            needs.append(need)
    return tuple(needs)


def _needs_of(field: Field) -> tuple[BodyNeed, ...]:
    try:
        tags = parse_tag_list(field.value)
        need = read_body_need(tags)
    except BadTagList:
        return ()
    if field.name == ARC_SIGNATURE and b"c" not in tags:
        return need, need._replace(canonicalization="relaxed")  # ``arc_set`` says why
    return (need,)


def read_body_need(tags: Mapping[bytes, Tag]) -> BodyNeed:
    """Read the hash that a signature asks for.

    Raises:
        BadTagList: it is malformed.
    """
    return BodyNeed(read_canonicalization(tags)[1], "sha256", optional_number(tags, b"l", 76))


def read_canonicalization(tags: Mapping[bytes, Tag]) -> tuple[str, str]:
    """Read ``c=``: of the header, of the body (RFC 6376 section 3.5).

    Raises:
        BadTagList: one is unknown.
    """
    header, slash, body = value_of(tags, b"c", b"simple/simple").partition(b"/")
    names = _CANONICALIZATIONS
    if header not in names or (slash and body not in names):
        raise BadTagList("uses an unknown canonicalization")
    return names[header], names[body] if slash else "simple"


class NotHashed(InternalError, KeyError):
    """The hash was not asked for before the body came."""


class _Hash(Protocol):
    def update(self, data: bytes | memoryview, /) -> None: ...

    def digest(self) -> bytes: ...


class BodyDigests:
    """All hashes of one body."""

    __slots__ = ("_canonical", "_ended", "size")

    def __init__(self, needs: Sequence[BodyNeed]) -> None:
        """Begin an empty body.

        Args:
            needs: which hashes will be asked for; with none, ``feed`` costs nothing.
        """
        self._canonical: dict[str, _CanonicalBody] = {}
        self._ended = False
        self.size = 0
        """Bytes that came."""
        for need in needs:
            if need.canonicalization not in self._canonical:
                kind = _RelaxedBody if need.canonicalization == "relaxed" else _SimpleBody
                self._canonical[need.canonicalization] = kind()
            self._canonical[need.canonicalization].want(need.limit)

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes: the body in order, without the empty line before it."""
        self.size += len(chunk)
        for body in self._canonical.values():
            if len(chunk) <= _SLICE:
                body.feed(chunk)
                continue
            for at in range(0, len(chunk), _SLICE):
                body.feed(chunk[at : at + _SLICE])

    def digest(self, need: BodyNeed) -> bytes:
        """Return a hash; the body ends here, no more can be fed.

        Raises:
            NotHashed: it was not among the needs.
        """
        self._end()
        try:
            return self._canonical[need.canonicalization].hashes[need.limit].digest()
        except KeyError:
            raise NotHashed(need) from None

    def canonical_size(self, canonicalization: str) -> int:
        """Return the octets of the canonical body; the body ends here.

        Raises:
            NotHashed: no hash with this canonicalization was asked for.
        """
        self._end()
        try:
            return self._canonical[canonicalization].size
        except KeyError:
            raise NotHashed(canonicalization) from None

    def _end(self) -> None:
        if not self._ended:
            self._ended = True
            for body in self._canonical.values():
                body.end()


def body_of(body: bytes) -> bytes:
    """Cut off the empty line that stands between a header section and the body."""
    if body.startswith(b"\r\n"):
        return body[2:]
    return body[1:] if body.startswith(b"\n") else body


_LINES_REVERSED = re.compile(rb"(?:\n\r)*")
_MANY_LINES = b"\r\n" * 4096


class _CanonicalBody:
    """What both canonicalizations share: empty lines at the end do not count."""

    __slots__ = ("_edge", "_lines", "hashes", "size")

    def __init__(self) -> None:
        self.hashes: dict[int | None, _Hash] = {}
        self.size = 0
        """Octets of the canonical body so far."""
        self._edge = b""  # what may be half of a line end, and the white space before it
        self._lines = 0  # line ends that count only if something comes after them

    def want(self, limit: int | None) -> None:
        """Compute the hash of so many octets, too."""
        if limit not in self.hashes:
            self.hashes[limit] = hashlib.sha256()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes."""
        data = self._shrink(self._edge + chunk if self._edge else chunk)
        data = self._cut_edge(data)
        end = len(data.rstrip(b"\r\n"))
        tail = data[end:]
        lines = len(tail) >> 1
        if tail != b"\r\n" * lines:
            # A lone CR or LF among them: count pairs from the end.
            found = _LINES_REVERSED.match(tail[::-1])
            lines = len(found[0]) >> 1 if found else 0
            end = len(data) - 2 * lines
        if end:
            self._put_lines()
            self._put(data if end == len(data) else memoryview(data)[:end])
            self._lines = lines
        else:
            self._lines += lines

    def end(self) -> None:
        """Nothing more comes."""
        if self._edge.endswith(b"\r"):
            self._put_lines()
            self._put(self._edge)
        if self.size or self._ends_when_empty():
            self._put(b"\r\n")

    def _shrink(self, data: bytes) -> bytes:
        return data

    def _cut_edge(self, data: bytes) -> bytes:
        self._edge = b"\r" if data.endswith(b"\r") else b""
        return data[:-1] if self._edge else data

    def _ends_when_empty(self) -> bool:
        return True

    def _put_lines(self) -> None:
        for many in _blocks(self._lines):
            self._put(_MANY_LINES if many == 4096 else b"\r\n" * many)
        self._lines = 0

    def _put(self, data: bytes | memoryview) -> None:
        before = self.size
        self.size += len(data)
        for limit, found in self.hashes.items():
            if limit is None or limit >= self.size:
                found.update(data)
            elif limit > before:
                found.update(memoryview(data)[: limit - before])


def _blocks(count: int) -> Iterator[int]:
    """Cut a count into pieces: a million empty lines must not become one string."""
    while count > 0:
        yield min(count, 4096)
        count -= 4096


class _SimpleBody(_CanonicalBody):
    """RFC 6376 section 3.4.3: only empty lines at the end go; an empty body is one CRLF."""

    __slots__ = ()


class _RelaxedBody(_CanonicalBody):
    """RFC 6376 section 3.4.4: white space becomes one space, none at the ends of lines."""

    __slots__ = ()

    def _shrink(self, data: bytes) -> bytes:
        if b"\t" in data:
            data = data.replace(b"\t", b" ")
        # Each round halves the runs: sixteen of them at most, whatever a slice holds.
        while b"  " in data:
            data = data.replace(b"  ", b" ")
        return data.replace(b" \r\n", b"\r\n")

    def _cut_edge(self, data: bytes) -> bytes:
        if data.endswith(b"\r"):
            self._edge = b" \r" if data.endswith(b" \r") else b"\r"
        else:
            self._edge = b" " if data.endswith(b" ") else b""
        return data[: -len(self._edge)] if self._edge else data

    def _ends_when_empty(self) -> bool:
        return False
