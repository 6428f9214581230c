"""What a submission adds to a message, takes out of it and writes anew (RFC 6409 section 8).

Laws:
- Only whole header fields are added or cut, and only what cannot travel is written anew; every
  other byte stays as the author's program wrote it.
- Fields are added on top: a line further down that is no field may end the header section for
  the next reader.
- What another server would change on the way is changed before it is signed: header fields in
  ASCII unless the session said SMTPUTF8, no line longer than 998 octets (RFC 6376 section 5.3).
  What cannot be changed is refused at once, with a text for its author.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from zajil.check.content.structure import has_long_line
from zajil.core.address import Address
from zajil.core.value_class import value_class
from zajil.message.address_list import parse_address_list
from zajil.message.date import format_date
from zajil.message.fields import Field, cut_ranges, take_odd
from zajil.message.mend_fields import CannotMend, is_fit
from zajil.message.mend_parts import MAX_MENDED, Mended, mend_message
from zajil.message.smtputf8 import is_utf8, raw_part_headers
from zajil.message.source import Source, read_range, size_of

# Bcc: RFC 5322 section 3.6.3, first way. Return-Path is the final server's to add
# (RFC 5321 section 4.4).
_CUT = (b"bcc", b"resent-bcc", b"return-path")
_AUTHORS = (b"from", b"sender", b"resent-from", b"resent-sender")


@value_class(frozen=True, slots=True)
class Completed:
    """A header section that may travel."""

    header: bytes
    changes: tuple[str, ...]
    """``added Date``, ``removed Bcc``; empty: not a byte was changed."""
    cut: tuple[tuple[int, int], ...] = ()
    """Ranges of the header section before, ascending."""


def foreign_authors(fields: Sequence[Field], may_send_as: Callable[[Address], bool]) -> list[str]:
    """Return the addresses in From and Sender that are not the account's own.

    Security: what cannot be parsed counts as foreign: a reader might parse it otherwise. Every
    field of these names is looked at, and every line that some take for one, because a reader may
    show any of them.
    """
    foreign: list[str] = []
    for field in map(take_odd, fields):
        if field.name not in _AUTHORS:
            continue
        listed = parse_address_list(field.value)
        people = listed.people
        if listed.defects or not people:
            foreign.append(field.value.decode("utf-8", "replace").strip())
        foreign += [
            one.spec for one in people if one.address is None or not may_send_as(one.address)
        ]
    return foreign


def complete_header(
    header: bytes,
    fields: Sequence[Field],
    *,
    author: Address,
    now_ms: int,
    message_id: str,
) -> Completed:
    """Add From, Date and Message-ID where they are missing; remove Bcc.

    Args:
        header: the header section; its first line is not folded.
        fields: what ``read_fields(header)`` gave.
        author: of the account, for a message without From.
        now_ms: for Date.
        message_id: for Message-ID, with its angle brackets.
    """
    names = {field.name for field in fields}
    cut = [(field.start, field.end) for field in fields if field.name in _CUT]
    kept = cut_ranges(header, cut)
    changes = [f"removed {name.decode().title()}" for name in _CUT if name in names]
    added: list[str] = []
    if b"from" not in names:
        # A-labels where they suffice: U-labels would make the mail need SMTPUTF8.
        added.append(f"From: {author if author.is_ascii else author.unicode}\r\n")
        changes.append("added From")
    if b"date" not in names:
        added.append(f"Date: {format_date(now_ms)}\r\n")
        changes.append("added Date")
    if b"message-id" not in names:
        added.append(f"Message-ID: {message_id}\r\n")
        changes.append("added Message-ID")
    return Completed("".join(added).encode() + kept, tuple(changes), tuple(cut))


# ---- what could not travel ------------------------------------------------------------------


async def mend(
    header: bytes, fields: Sequence[Field], body: bytes | Source, *, utf8: bool
) -> Mended | None:
    """Write a message anew if it cannot travel as it is; ``None``: it can.

    Looks at the whole body; a large one, and the work of mending, does not hold up others.

    Args:
        header: the header section.
        fields: what ``read_fields(header)`` gave.
        body: with the empty line before it.
        utf8: the session said SMTPUTF8.

    Raises:
        CannotMend: it must be refused.
        StoreUnavailable: the body cannot be read.
    """
    if isinstance(body, bytes):
        is_good = _may_travel(header, fields, body, utf8)
    else:
        is_good = await asyncio.to_thread(_may_travel, header, fields, body, utf8)
    return None if is_good else await asyncio.to_thread(_mend, header, body, utf8)


def _may_travel(header: bytes, fields: Sequence[Field], body: bytes | Source, utf8: bool) -> bool:
    if not is_fit(header, utf8=utf8) or has_long_line(body):
        return False
    return all(utf8 and is_utf8(section) for section in raw_part_headers(fields, body))


def _mend(header: bytes, body: bytes | Source, utf8: bool) -> Mended:
    if size_of(body) > MAX_MENDED:
        raise CannotMend("a line or a header field has to be encoded, and the message is too large")
    return mend_message(header, read_range(body, 0, size_of(body)), utf8=utf8)
