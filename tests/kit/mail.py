"""Mail for tests: messages as a program of the outside world would send them."""

from __future__ import annotations

from zajil.core.address import parse_address
from zajil.message.build import (
    build_message,
    write_address_field,
    write_raw_field,
    write_text_field,
)
from zajil.message.date import format_date

NOON_MS = 1_795_435_200_000
"""2026-11-23 12:00 UTC: when letters in tests were written."""


def make_message(
    sender: str = "amal@north.test",
    to: str = "sami@south.test",
    *,
    subject: str = "A letter",
    text: str = "Dear friend,\r\n\r\nhow are you?\r\n",
    html: str | None = None,
    message_id: str = "<letter-1@north.test>",
    date_ms: int = NOON_MS,
    extra: bytes = b"",
) -> bytes:
    """Make a complete message; addresses may be UTF-8, and then the header section is too.

    Args:
        sender: address for From.
        to: address for To.
        subject: text, any script.
        text: plain text.
        html: an alternative to it.
        message_id: with angle brackets.
        date_ms: for Date.
        extra: whole header fields, put on top as they are.
    """
    author, reader = parse_address(sender), parse_address(to)
    utf8 = not (author.is_ascii and reader.is_ascii)
    header = [
        extra,
        write_raw_field("Date", format_date(date_ms)),
        write_address_field("From", [("", author)], utf8=utf8),
        write_address_field("To", [("", reader)], utf8=utf8),
        write_text_field("Subject", subject, utf8=utf8),
        write_raw_field("Message-ID", message_id),
    ]
    return build_message(header, text, html=html, unique="letter")


def make_sized_message(size: int, **fields: str) -> bytes:
    """Make a message of exactly ``size`` bytes, for load and limits."""
    head = make_message(text="", **fields)  # type: ignore[arg-type]
    missing = size - len(head)
    if missing < 0:
        raise ValueError(f"a letter has at least {len(head)} bytes")
    if missing == 1:
        raise ValueError("a line takes two bytes")
    lines = max(missing // 72 - 1, 0)
    last = missing - 72 * lines
    return head + (b"x" * 70 + b"\r\n") * lines + (b"y" * (last - 2) + b"\r\n" if last else b"")
