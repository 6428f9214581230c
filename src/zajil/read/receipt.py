"""Read receipts (RFC 8098): who asks for one, what one says, and how one is written. Pure.

A receipt is never sent without its reader's word. It is not even asked for where the message came
from a list or a program, or already is a report.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from zajil.core.address import Address, BadAddress, parse_address
from zajil.core.value_class import value_class
from zajil.message.address_list import parse_address_list
from zajil.message.build import (
    BadValue,
    multipart_entity,
    text_entity,
    write_address_field,
    write_raw_field,
    write_text_field,
)
from zajil.message.date import format_date
from zajil.message.fields import Field, find_value, read_fields, unfold
from zajil.message.header_view import one_line
from zajil.message.parse import parse_message
from zajil.message.part import Part

_MOST_ASKING = 3
"""Addresses that a receipt goes to; a message that names more is up to something else."""
_MOST_READ = 65_536
"""Bytes of the part for programs."""
_MOST_PARTS = 10
_KINDS = frozenset({"message/disposition-notification", "message/global-disposition-notification"})
_BULK = frozenset({"list", "bulk", "junk"})
_ID = re.compile(r"<[!-;=?-~]{1,250}>\Z")
_DISPOSITION = re.compile(
    r"\s*(manual-action|automatic-action)\s*/\s*[a-z-]{1,40}\s*;\s*([a-z]{1,20})", re.IGNORECASE
)


@value_class(frozen=True, slots=True)
class ReceiptRequest:
    """A message asks for a receipt (RFC 8098 section 2.1)."""

    addresses: tuple[Address, ...]
    """Where it goes; never empty."""
    is_expected: bool
    """They are where the message came from (Return-Path); else its reader is to be warned."""


@value_class(frozen=True, slots=True)
class Receipt:
    """What a receipt says (RFC 8098 section 3)."""

    message_id: str
    """Of the message that it is about, with angle brackets; ``""``: it does not say."""
    recipient: str
    """Whose receipt it is, as it stands there; ``""``: it does not say."""
    disposition: str
    """``displayed``, ``deleted``, ``dispatched``, ``processed`` ..."""
    is_automatic: bool
    """No person did anything."""


@value_class(frozen=True, slots=True, kw_only=True)
class NewReceipt:
    """What a receipt is written from."""

    reader: Address
    reader_name: str
    recipients: tuple[Address, ...]
    message_id: str
    """Of the message; may be ``""``."""
    references: str
    """Of its thread, with its own."""
    subject: str
    """Of the receipt."""
    text: str
    """For people."""
    now_ms: int
    unique: str
    """Letters and digits that no other message has."""
    hostname: str


def read_request(fields: Sequence[Field]) -> ReceiptRequest | None:
    """Return who asks for a receipt; ``None``: nobody who should get one.

    Args:
        fields: of the message as it lies in the mailbox, with its Return-Path.
    """
    if _is_automatic(fields):
        return None
    asked = [field.value for field in fields if field.name == b"disposition-notification-to"]
    if len(asked) != 1:
        return None
    # RFC 8098 section 2.2: a parameter that is required and not known forbids a receipt.
    options = _text(fields, b"disposition-notification-options").lower()
    if "required" in options:
        return None
    people = parse_address_list(_unfolded(asked[0])).people
    addresses = tuple([one.address for one in people if one.address is not None])
    if not 0 < len(addresses) == len(people) <= _MOST_ASKING:
        return None
    path = _text(fields, b"return-path").strip()
    if path == "<>":
        return None
    try:
        origin = parse_address(path.removeprefix("<").removesuffix(">")).key
    except BadAddress:
        origin = ""
    return ReceiptRequest(addresses, all(one.key == origin for one in addresses))


def _is_automatic(fields: Sequence[Field]) -> bool:
    if any(field.name in (b"list-id", b"list-post", b"list-unsubscribe") for field in fields):
        return True
    if _text(fields, b"auto-submitted").strip().lower() not in ("", "no"):
        return True
    if _text(fields, b"precedence").strip().lower() in _BULK:
        return True
    return _text(fields, b"content-type").strip().lower().startswith("multipart/report")


def read_receipt(message: bytes) -> Receipt | None:
    """Return what a receipt says; ``None``: the message is none."""
    whole = parse_message(message)
    if whole.type != "multipart/report":
        return None
    for part in whole.children[:_MOST_PARTS]:
        if part.type in _KINDS:
            return _read_notification(part, message)
    return None


def _read_notification(part: Part, message: bytes) -> Receipt | None:
    content, _ = part.read_content(message, _MOST_READ)
    fields = read_fields(content)
    found = _DISPOSITION.match(_text(fields, b"disposition"))
    if found is None:
        return None
    message_id = _text(fields, b"original-message-id").strip()
    recipient = _text(fields, b"final-recipient").partition(";")[2]
    return Receipt(
        message_id=message_id if _ID.match(message_id) else "",
        recipient=one_line(recipient, 320).strip(),
        disposition=found[2].lower(),
        is_automatic=found[1].lower() == "automatic-action",
    )


def write_receipt(receipt: NewReceipt) -> bytes:
    """Make the receipt of a message that its reader has seen (RFC 8098 section 3).

    It is sent with the null reverse-path.
    """
    utf8 = not all(one.is_ascii for one in (receipt.reader, *receipt.recipients))
    people = [("", one) for one in receipt.recipients]
    head = [
        write_raw_field("Date", format_date(receipt.now_ms)),
        write_address_field("From", [(receipt.reader_name, receipt.reader)], utf8=utf8),
        write_address_field("To", people, utf8=utf8),
        write_text_field("Subject", receipt.subject, utf8=utf8),
        write_raw_field("Message-ID", f"<{receipt.unique}@{receipt.reader.domain}>"),
    ]
    for name, value in (("In-Reply-To", receipt.message_id), ("References", receipt.references)):
        head += _raw(name, value)
    # RFC 3834 section 5: no robot is to answer this.
    head.append(b"Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n")
    is_ascii = receipt.reader.is_ascii
    kind = "disposition-notification" if is_ascii else "global-disposition-notification"
    parts = [text_entity(receipt.text), _notification(receipt, kind)]
    # RFC 6522 section 3: report-type is the subtype of the second part.
    entity = multipart_entity("report", parts, receipt.unique, [("report-type", kind)])
    encoding = b"" if entity.isascii() else b"Content-Transfer-Encoding: 8bit\r\n"
    return b"".join(head) + encoding + entity


def _notification(receipt: NewReceipt, kind: str) -> bytes:
    who = receipt.reader
    spelled = f"rfc822; {who}" if who.is_ascii else f"utf-8; {who.unicode}"
    body = b"".join(
        [
            write_raw_field("Reporting-UA", f"{receipt.hostname}; Zajil"),
            write_raw_field("Final-Recipient", spelled),
            *_raw("Original-Message-ID", receipt.message_id),
            write_raw_field("Disposition", "manual-action/MDN-sent-manually; displayed"),
        ]
    )
    encoding = "7bit" if body.isascii() else "8bit"
    return (
        f"Content-Type: message/{kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode()
        + body
    )


def _raw(name: str, value: str) -> list[bytes]:
    try:
        return [write_raw_field(name, value)] if value else []
    except BadValue:
        return []


def _text(fields: Sequence[Field], name: bytes) -> str:
    return _unfolded(find_value(fields, name) or b"")


def _unfolded(value: bytes) -> str:
    return unfold(value[:8000]).decode("utf-8", "replace")
