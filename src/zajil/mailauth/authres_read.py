"""Read what others found out: Authentication-Results and ARC-Authentication-Results (RFC 8601).

Laws:
- What cannot be read is ``None``, never an error; a result that cannot be read is left out.
- Linear in the value, and bounded: ``MAX_SIZE`` octets, ``MAX_RESULTS`` results.
- Who wrote the field is not decided here: it is worth what its writer is worth.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from zajil.core.domain import BadDomain, to_ascii
from zajil.core.value_class import value_class
from zajil.mailauth.authres import MethodResult

MAX_SIZE = 65_536
MAX_RESULTS = 100
MAX_PROPERTIES = 40
"""Of one result."""


@value_class(frozen=True, slots=True)
class ReadResults:
    """One field."""

    authserv_id: str
    results: tuple[MethodResult, ...]
    instance: int | None = None
    """``i=`` of an ARC-Authentication-Results."""

    def results_of(self, method: str) -> list[MethodResult]:
        """Return what one method found, in order."""
        return [result for result in self.results if result.method == method]


# Quoted strings stay whole, comments are dropped, and a semicolon outside of both separates.
_PIECE = re.compile(r'"(?:[^"\\]++|\\.)*+"|[^"();\\]++|\\.|.', re.DOTALL)
_IN_COMMENT = re.compile(r"(?:[^()\\]++|\\.)*+([()])?", re.DOTALL)
_QUOTED = re.compile(r'"((?:[^"\\]++|\\.)*+)"', re.DOTALL)
_METHOD = re.compile(r"\s*+([A-Za-z][\w-]*+)(?:\s*+/\s*+[0-9]++)?\s*+=\s*+([A-Za-z][\w-]*+)(?!\S)")
_PROPERTY = re.compile(
    r"\s*+([A-Za-z][\w-]*+(?:\s*+\.\s*+[A-Za-z][\w-]*+)?)\s*+=\s*+"
    r'((?:"(?:[^"\\]++|\\.)*+")?[^\s"]*+)',
    re.DOTALL,
)
_NAME = re.compile(r'\s*+(?:"((?:[^"\\]++|\\.)*+)"|([^\s="]++))(?:\s++[0-9]++)?\s*+\Z', re.DOTALL)
_INSTANCE = re.compile(r"\s*+i\s*+=\s*+([0-9]{1,2})\s*+\Z")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def read_results(value: bytes) -> ReadResults | None:
    """Read the value of an Authentication-Results field; ``None`` if it is none."""
    pieces = _split(value)
    return None if pieces is None else _read(pieces, None)


def read_arc_results(value: bytes) -> ReadResults | None:
    """Read the value of an ARC-Authentication-Results field (RFC 8617 section 4.1.1)."""
    pieces = _split(value)
    instance = _INSTANCE.match(pieces[0]) if pieces else None
    if pieces is None or instance is None or len(pieces) < 2:
        return None
    return _read(pieces[1:], int(instance[1]))


def read_instance(value: bytes) -> int | None:
    """Return ``i=`` of an ARC-Authentication-Results; its payload may hold anything."""
    first = value.partition(b";")[0]
    pieces = _split(first)
    match = _INSTANCE.match(pieces[0]) if pieces else None
    return int(match[1]) if match else None


def payload_of(value: bytes, authserv_id: str) -> bytes | None:
    """Return what follows the name in a field of this authserv-id, as it stands.

    Returns:
        ``None`` if the field is another's, or cannot be read.
    """
    found = read_results(value)
    if found is None or not is_same_name(found.authserv_id, authserv_id):
        return None
    at = 0
    for piece in _pieces(value.decode("latin-1")):
        at += len(piece)
        if piece == ";":
            return value[at:]
    return b""


def is_same_name(name: str, other: str) -> bool:
    """Whether two names of servers are one: any case, U-labels or A-labels."""
    return _one_spelling(name) == _one_spelling(other)


def _one_spelling(name: str) -> str:
    try:
        return to_ascii(name)
    except BadDomain:
        return name.rstrip(".").casefold()


def _split(value: bytes) -> list[str] | None:
    """Cut a value at its semicolons, comments left out; ``None``: it has no end, or too much."""
    if len(value) > MAX_SIZE:
        return None
    pieces: list[list[str]] = [[]]
    for text in _pieces(value.decode("utf-8", "replace")):
        if text == ";":
            pieces.append([])
        else:
            pieces[-1].append(" " if text.startswith("(") else text)
    return ["".join(piece) for piece in pieces]


def _pieces(text: str) -> Iterator[str]:
    """Return quoted strings, runs, semicolons, and whole comments one by one."""
    at = 0
    while match := _PIECE.match(text, at):
        end = match.end()
        if match[0] == "(":
            end = _end_of_comment(text, end)
        yield text[at:end]
        at = end


def _end_of_comment(text: str, at: int) -> int:
    """Return where a comment ends; they nest (RFC 5322 section 3.2.2)."""
    depth = 1
    while depth and (match := _IN_COMMENT.match(text, at)):
        at = match.end()
        if match[1] is None:
            return len(text)
        depth += 1 if match[1] == "(" else -1
    return at


def _read(pieces: list[str], instance: int | None) -> ReadResults | None:
    name = _NAME.match(pieces[0])
    if name is None or len(pieces) < 2:
        return None
    results = []
    for piece in pieces[1 : MAX_RESULTS + 1]:
        result = _read_result(piece)
        if result is not None:
            results.append(result)
    return ReadResults(_ESCAPE.sub(r"\1", name[1] or name[2] or ""), tuple(results), instance)


def _read_result(piece: str) -> MethodResult | None:
    match = _METHOD.match(piece)
    if match is None:
        return None
    properties: list[tuple[str, str]] = []
    reason = ""
    at = match.end()
    while len(properties) < MAX_PROPERTIES and (found := _PROPERTY.match(piece, at)):
        at = found.end()
        name = "".join(found[1].split()).lower()
        if name == "reason":
            reason = _plain(found[2])
        elif "." in name:
            properties.append((name, _plain(found[2])))
    return MethodResult(match[1].lower(), match[2].lower(), tuple(properties), reason)


def _plain(value: str) -> str:
    """Return a value without its quotes; ``"a b"@north.test`` keeps what follows them."""
    quoted = _QUOTED.match(value)
    return _ESCAPE.sub(r"\1", quoted[1]) + value[quoted.end() :] if quoted else value
