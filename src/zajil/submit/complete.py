"""What a submission adds to a message and takes out of it (RFC 6409 section 8). Pure.

Laws:
- Only whole header fields are added or cut; every other byte stays as the author's program
  wrote it.
- Fields are added on top: a line further down that is no field may end the header section for
  the next reader.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zajil.core.address import Address
from zajil.message.address_list import parse_address_list
from zajil.message.date import format_date
from zajil.message.fields import Field, cut_ranges, take_odd

# Bcc: RFC 5322 section 3.6.3, first way. Return-Path is the final server's to add
# (RFC 5321 section 4.4).
_CUT = (b"bcc", b"resent-bcc", b"return-path")
_AUTHORS = (b"from", b"sender", b"resent-from", b"resent-sender")


@dataclass(frozen=True, slots=True)
class Completed:
    """A header section that may travel."""

    header: bytes
    changes: tuple[str, ...]
    """``added Date``, ``removed Bcc``; empty: not a byte was changed."""
    cut: tuple[tuple[int, int], ...] = ()
    """Ranges of the header section before, ascending."""


def foreign_authors(fields: Sequence[Field], may_send_as: Callable[[Address], bool]) -> list[str]:
    """Give what stands in From and Sender and is not the account's own.

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
