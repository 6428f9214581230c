"""Find the messages of an mbox file: mboxo, mboxrd, mboxcl, mboxcl2. (RFC 4155) Pure.

Laws:
- Every byte of the file is in one message, in a line between two, or in the lines before the first.
- A line separates only if it looks like one: after an empty line, with a time or before a header
  field. A body may have lines that begin with "From " and are not quoted.
- Content-Length is believed where it leads to the end of the file or to a separator, in files whose
  first message has one that does. Else a sender could hide the messages behind its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from zajil.core.errors import Malformed
from zajil.core.value_class import value_class
from zajil.message.date import parse_date
from zajil.message.encoded_word import decode_words
from zajil.message.fields import Field, read_fields, split_message
from zajil.message.source import PIECE, Source

MAX_HEADER = 1 << 20
"""Bytes in which the header section must end, so that flags are read from it."""
_MAX_LINE = 1000
"""Bytes of a separator that are looked at."""
_MAX_LABELS = 100
_BLOCK = 16_384
"""Bytes in which the next separator is looked for first."""

# asctime, with a zone in front of or behind the year (Gmail Takeout, old sendmail).
_TIME = re.compile(
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? +"
    rb"(?:(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +([0-9]{1,2})|"
    rb"([0-9]{1,2}) +(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)) +"
    rb"(?:([0-9]{4}) +)?([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)"
    rb"(?: +([A-Z]{1,5}|[+-][0-9]{4}))?(?: +([0-9]{4}))?(?: +([+-][0-9]{4}))?",
)
_BARE = re.compile(rb"From (?:-|\S{0,254})[ \t]*\r?\n")
_FIELD = re.compile(rb"[!-9;-~]{1,200}[ \t]*:|>From ")
_END_OF_HEADER = re.compile(rb"\n\r?\n")
_LENGTH = re.compile(rb"\s*([0-9]{1,15})\s*")


class NotMbox(Malformed):
    """The bytes do not begin as an mbox file does."""


@value_class(frozen=True, slots=True)
class MboxSpan:
    """Where a message is in the file."""

    start: int
    """Offset of its separator."""
    begin: int
    """Of its first byte."""
    end: int
    """Behind its last byte; the empty line that the format adds is not its."""
    separator: bytes
    is_quoted: bool
    """Whether a ``>`` in front of "From " was added by the writer."""


@value_class(frozen=True, slots=True, kw_only=True)
class Status:
    """What mail programs noted in the header section of one message."""

    flags: frozenset[str]
    labels: tuple[str, ...] = ()
    """Of Gmail; empty: it has none."""
    is_gone: bool = False
    """It was deleted in Thunderbird, and the folder not compacted since."""
    is_internal: bool = False
    """It has the field of a mail program's own data: as the first of a file, it is no message."""


def begins_as_mbox(source: Source) -> bool:
    """Return whether a file begins with a separator, or is empty."""
    at = _skip_empty(source)
    return at >= source.size or _is_separator(source, at, is_first=True)


def find_messages(source: Source) -> Iterator[MboxSpan]:
    """Yield the messages of a file in their order.

    Raises:
        NotMbox: the file does not begin with a separator; an empty one has no messages.
    """
    if not begins_as_mbox(source):
        raise NotMbox("it does not begin with a line 'From '")
    at = _skip_empty(source)
    counts: bool | None = None
    while at < source.size:
        line = _line_at(source, at)
        begin = min(at + len(line), source.size)
        counted = None if counts is False else _counted_end(source, begin)
        if counts is None:
            counts = counted is not None
        if counted is not None:
            end, following = counted
            quoted = not _has_separator_words(source, begin, end)
        else:
            following = _find_separator(source, begin)
            end, quoted = _without_empty_line(source, begin, following), True
        yield MboxSpan(at, begin, end, line, quoted)
        at = following


def read_time(separator: bytes) -> int | None:
    """Return when a message was received by its separator, in milliseconds since 1970.

    ``None``: it has no time, or only one at which a mail program copied the message.
    """
    if separator.startswith((b"From - ", b"From ???@??? ")):
        return None
    found = _TIME.search(separator)
    if found is None:
        return None
    month, day, day2, month2, year, time, zone, year2, zone2 = (
        (part or b"").decode("ascii") for part in found.groups()
    )
    text = f"{day or day2} {month or month2} {year or year2} {time} {zone2 or zone or '+0000'}"
    return parse_date(text)


def read_header(source: Source, span: MboxSpan) -> bytes:
    """Return the header section of a message with the empty line; ``b""``: it has no end."""
    data = source.read_at(span.begin, min(MAX_HEADER, span.end - span.begin))
    _, body = split_message(data)
    return data[:body] if body < len(data) or span.end - span.begin == len(data) else b""


def take_status(header: bytes) -> tuple[Status, bytes]:
    """Return what programs noted in a header section, and the section without that.

    Only the first field of a name is theirs: further ones came with the message.
    """
    split, _ = split_message(header)
    noted: dict[bytes, Field] = {}
    is_top = True
    for field in read_fields(header[:split]):
        is_top = is_top and field.name in _THUNDERBIRD
        # Security: a sender must not say that a message was deleted. Thunderbird writes above all.
        if field.name in _NOTES or (is_top and field.name in _MOZILLA_FIELDS):
            noted.setdefault(field.name, field)
    kept, at = bytearray(), 0
    for field in sorted(noted.values(), key=lambda one: one.start):
        kept += header[at : field.start]
        at = field.end
    values = {name: field.value.decode("utf-8", "replace").strip() for name, field in noted.items()}
    return _status(values), bytes(kept + header[at:])


_NOTES = frozenset(
    {
        *(b"status", b"x-status", b"x-keywords", b"x-uid", b"x-imap", b"x-imapbase"),
        *(b"x-gmail-labels", b"x-gm-thrid"),
    }
)
"""Fields that a program adds when it writes a message into a file."""
_MOZILLA_FIELDS = frozenset({b"x-mozilla-status", b"x-mozilla-status2", b"x-mozilla-keys"})
_THUNDERBIRD = _MOZILLA_FIELDS | {b"x-account-key", b"x-uidl"}
_MOZILLA = {0x0001: "\\Seen", 0x0002: "\\Answered", 0x0004: "\\Flagged", 0x1000: "$Forwarded"}
_MOZILLA_GONE = 0x0008
_UNREAD = {"unread", "ungelesen", "non lus", "no leídos", "غير مقروءة"}
_STARRED = {"starred", "markiert", "suivis", "destacados", "مميزة بنجمة"}
"""Labels of Gmail that tell flags, in several languages."""
_LETTERS = {"A": "\\Answered", "F": "\\Flagged", "D": "\\Deleted", "T": "\\Draft", "R": "\\Seen"}


def _status(values: dict[bytes, str]) -> Status:
    flags: set[str] = set()
    for name in (b"status", b"x-status"):
        flags |= {_LETTERS[one] for one in values.get(name, "") if one in _LETTERS}
    for name in (b"x-keywords", b"x-mozilla-keys"):
        flags |= {one for one in values.get(name, "").split() if not one.startswith("\\")}
    bits = values.get(b"x-mozilla-status", "")
    number = int(bits, 16) if re.fullmatch(r"[0-9A-Fa-f]{1,8}", bits) else 0
    flags |= {flag for bit, flag in _MOZILLA.items() if number & bit}
    labels = _labels(values.get(b"x-gmail-labels", ""))
    if b"x-gmail-labels" in values:
        lower = {one.casefold() for one in labels}
        flags |= set() if lower & _UNREAD else {"\\Seen"}
        flags |= {"\\Flagged"} if lower & _STARRED else set()
    return Status(
        flags=frozenset(flags),
        labels=labels,
        is_gone=bool(number & _MOZILLA_GONE),
        is_internal=b"x-imap" in values,
    )


def _labels(value: str) -> tuple[str, ...]:
    text = decode_words(" ".join(value.split()))
    found = [one.strip().strip('"') for one in text.split(",")[:_MAX_LABELS]]
    return tuple([one for one in found if one])


# ---- where lines are ----------------------------------------------------------------------------


def _skip_empty(source: Source) -> int:
    """Return the offset behind a byte order mark and empty lines at the beginning."""
    head = source.read_at(0, _MAX_LINE)
    at = 3 if head.startswith(b"\xef\xbb\xbf") else 0
    while head[at : at + 1] in (b"\r", b"\n"):
        at += 1
    return at if head[at : at + 1] else source.size if len(head) >= source.size else at


def _line_at(source: Source, at: int) -> bytes:
    """Return a line with its end; one that is too long is cut, which no separator is."""
    line, end, _ = source.read_at(at, _MAX_LINE).partition(b"\n")
    return line + end


def _is_separator(source: Source, at: int, *, is_first: bool = False) -> bool:
    data = source.read_at(at, 2 * _MAX_LINE)
    line, end, following = data.partition(b"\n")
    if not line.startswith(b"From ") or len(line) > _MAX_LINE:
        return False
    if not end:  # the last line of a file that was cut
        return _TIME.search(line) is not None
    before = source.read_at(max(0, at - 3), min(3, at))
    after_empty = is_first or before.endswith((b"\n\n", b"\n\r\n"))
    has_time, has_field = _TIME.search(line) is not None, _FIELD.match(following) is not None
    if after_empty:
        return has_time or (has_field and _BARE.fullmatch(line + end) is not None)
    return has_time and has_field


def _find_separator(source: Source, start: int) -> int:
    """Return the offset of the next separator; the size of the file: there is none."""
    # An empty message: its separator is followed by another one.
    if source.read_at(start, 5) == b"From " and _is_separator(source, start):
        return start
    # Most messages are short: reading far ahead for each would read the file many times.
    at, size = start, _BLOCK
    while at < source.size:
        block = source.read_at(at, size)
        size = min(4 * size, PIECE)
        place = block.find(b"\nFrom ")
        while place >= 0:
            if _is_separator(source, at + place + 1):
                return at + place + 1
            place = block.find(b"\nFrom ", place + 1)
        if at + len(block) >= source.size:
            break
        at += len(block) - 5
    return source.size


def _without_empty_line(source: Source, begin: int, end: int) -> int:
    tail = source.read_at(max(begin, end - 4), min(4, end - begin))
    if tail.endswith(b"\r\n\r\n"):
        return end - 2
    if tail.endswith(b"\n\n") or tail == b"\n":
        return end - 1
    return end - 2 if tail == b"\r\n" else end


def _counted_end(source: Source, begin: int) -> tuple[int, int] | None:
    """Return the end by Content-Length, and where the next separator is; ``None``: not so."""
    head = source.read_at(begin, 16_384)
    found = _END_OF_HEADER.search(head)
    if found is None:
        return None
    for field in read_fields(head[: found.start() + 1]):
        length = _LENGTH.fullmatch(field.value) if field.name == b"content-length" else None
        if length is None:
            continue
        end = begin + found.end() + int(length[1])
        if end == source.size:
            return end, end
        if end > source.size:
            return None
        gap = re.match(rb"(?:\r?\n){0,2}", source.read_at(end, 4))
        following = end + (gap.end() if gap else 0)
        if following == source.size or _is_separator(source, following, is_first=True):
            return end, following
    return None


def _has_separator_words(source: Source, begin: int, end: int) -> bool:
    at = begin
    while at < end:
        block = source.read_at(at, min(PIECE, end - at))
        if b"\nFrom " in block:
            return True
        if at + len(block) >= end:
            break
        at += max(1, len(block) - 5)
    return False
