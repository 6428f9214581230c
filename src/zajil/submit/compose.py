"""A web or command-line form becomes a message (RFC 5322). Pure.

The direction that the author wrote in goes with the letter: text that reads right to left has an
HTML alternative that says so, because plain text cannot.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any, Literal

from zajil.core.address import Address
from zajil.core.errors import Invalid
from zajil.core.value_class import value_class
from zajil.message.address_list import AddressList, parse_address_list
from zajil.message.build import (
    BadValue,
    NewAttachment,
    build_entity,
    build_message,
    write_address_field,
    write_raw_field,
    write_text_field,
)
from zajil.message.date import format_date
from zajil.message.entity import Pieces, multipart_pieces
from zajil.message.source import read_pieces
from zajil.read.paragraphs import find_direction, split_paragraphs
from zajil.submit.flowed import write_flowed

Direction = Literal["auto", "ltr", "rtl"]


class BadForm(Invalid, ValueError):
    """A field of the form cannot be used; ``field`` names it, ``wrong`` is what stands there."""

    def __init__(self, field: str, wrong: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}: {wrong}")
        self.field = field
        self.wrong = wrong
        self.reason = reason


@value_class(frozen=True, slots=True, kw_only=True)
class ComposeForm:
    """What the author filled in."""

    sender: Address
    sender_name: str
    to: str
    """Addresses as people type them: ``Amal <amal@north.test>, سلمى@زاجل.test``."""
    cc: str = ""
    bcc: str = ""
    subject: str = ""
    text: str = ""
    direction: Direction = "auto"
    in_reply_to: str = ""
    """Message-ID of the message this answers, with angle brackets; ``""``: it answers none."""
    references: str = ""
    """Message-IDs of the thread, oldest first; ``view.MessageView.references``."""
    html: str = ""
    """Safe HTML of a body that was written with formatting; ``""``: it is plain text."""
    receipt: bool = False
    """Ask the programs of the recipients for a read receipt (RFC 8098 section 2.1)."""
    attachments: tuple[NewAttachment, ...] = ()
    files: tuple[Pieces, ...] = ()
    """Parts of files of any size (``message.entity``)."""
    pictures: tuple[Pieces, ...] = ()
    """Parts that ``html`` shows by their Content-ID."""


@value_class(frozen=True, slots=True)
class Composed:
    """A message and its envelope."""

    pieces: Pieces
    """The message, without Bcc; CRLF line ends."""
    recipients: tuple[Address, ...]
    """To, Cc and Bcc, each once."""
    message_id: str
    needs_smtputf8: bool

    @property
    def message(self) -> bytes:
        """The whole message: for one that is small."""
        return join_pieces(self.pieces)


def join_pieces(pieces: Pieces) -> bytes:
    """Return all bytes; for a message that is small."""
    return b"".join([part for piece in pieces for part in read_pieces(piece)])


def compose_message(form: ComposeForm, *, now_ms: int, unique: str) -> Composed:
    """Make the message.

    Args:
        form: what was filled in.
        now_ms: for Date.
        unique: letters and digits that no other message has, like a mail id: for Message-ID and
            boundaries.

    Raises:
        BadForm: no recipient, something that is no address, or text no field can hold.
    """
    to, cc, bcc = (
        _addresses(name, text)
        for name, text in (("to", form.to), ("cc", form.cc), ("bcc", form.bcc))
    )
    everybody = [address for _, address in (*to, *cc, *bcc)]
    if not everybody:
        raise BadForm("to", form.to, "no recipient")
    # Bcc counts for the envelope alone: the message must not betray that there was one.
    utf8 = not all(address.is_ascii for _, address in (*to, *cc, ("", form.sender)))
    message_id = f"<{unique}@{form.sender.domain}>"
    header = [
        write_raw_field("Date", format_date(now_ms)),
        _written("sender", write_address_field, "From", [(form.sender_name, form.sender)], utf8),
    ]
    for name, people in (("To", to), ("Cc", cc)):
        if people:
            header.append(_written(name.lower(), write_address_field, name, people, utf8))
    header.append(_written("subject", write_text_field, "Subject", form.subject, utf8))
    header.append(write_raw_field("Message-ID", message_id))
    header += [*thread_fields(form), *receipt_fields(form, utf8=utf8)]
    pieces = write_body(form, header, unique)
    unique_recipients = {address.key: address for address in everybody}
    needs_smtputf8 = utf8 or not all(address.is_ascii for address in everybody)
    return Composed(pieces, tuple(unique_recipients.values()), message_id, needs_smtputf8)


def write_body(form: ComposeForm, header: Sequence[bytes], unique: str) -> Pieces:
    """Return a whole message: text, perhaps HTML with its pictures, perhaps files.

    Args:
        form: what was filled in.
        header: its fields, without those of MIME.
        unique: letters and digits that nobody can guess, for boundaries.

    Raises:
        BadForm: the name or type of an attachment cannot be written.
    """
    html = form.html or _html(form)
    text = write_flowed(re.sub(r"\r\n?", "\n", form.text))
    try:
        if not form.files and not form.pictures:
            files = form.attachments
            built = build_message(
                header, text, html=html, attachments=files, unique=unique, flowed=True
            )
            return (built,)
        body: Pieces = (build_entity(text, html, unique, flowed=True),)
        if form.pictures:
            body = multipart_pieces("related", [body, *form.pictures], unique, 8)
        if form.files:
            body = multipart_pieces("mixed", [body, *form.files], unique, 9)
    except BadValue as error:
        raise BadForm("attachments", "", str(error)) from None
    return (*header, b"MIME-Version: 1.0\r\n", *body)


def read_people(text: str) -> AddressList:
    """Return the addresses that somebody typed, with their defects."""
    # People and phones put other commas and semicolons between addresses.
    return parse_address_list(
        text.replace("،", ",").replace("؛", ",").replace(";", ",").replace("\n", ",")
    )


def _addresses(field: str, text: str) -> list[tuple[str, Address]]:
    listed = read_people(text)
    found: list[tuple[str, Address]] = []
    for one in listed.people:
        if one.address is None:
            raise BadForm(field, one.spec, "not an address")
        found.append((one.display_name, one.address))
    if listed.defects:
        raise BadForm(field, text, listed.defects[0])
    return found


def _written(field: str, write: Any, name: str, value: Any, utf8: bool) -> bytes:
    try:
        written: bytes = write(name, value, utf8=utf8)
    except BadValue as error:
        raise BadForm(field, "", str(error)) from None
    return written


def thread_fields(form: ComposeForm) -> list[bytes]:
    """Write In-Reply-To and References (RFC 5322 section 3.6.4); odd ids are left out."""
    written: list[bytes] = []
    for name, ids in (
        ("In-Reply-To", form.in_reply_to.split()[:1]),
        # Only the start and the end of a long thread: lines and relays have limits.
        ("References", _shorten_thread(form.references.split())),
    ):
        good = [one for one in ids if one[:1] == "<" and one[-1:] == ">" and len(one) < 500]
        if good:
            try:
                written.append(write_raw_field(name, " ".join(good)))
            except BadValue:
                continue
    return written


def receipt_fields(form: ComposeForm, *, utf8: bool) -> list[bytes]:
    """Write where read receipts go, if the author wants them (RFC 8098 section 2.1)."""
    if not form.receipt:
        return []
    return [write_address_field("Disposition-Notification-To", [("", form.sender)], utf8=utf8)]


def _shorten_thread(ids: Sequence[str]) -> Sequence[str]:
    return ids if len(ids) <= 20 else [ids[0], *ids[-19:]]


def _html(form: ComposeForm) -> str | None:
    """Return the HTML alternative; ``None`` where plain text reads right by itself."""
    paragraphs = split_paragraphs(form.text)
    if form.direction != "rtl" and not any(one.direction == "rtl" for one in paragraphs):
        return None
    out = [f'<!DOCTYPE html>\n<html><body><div dir="{form.direction}">']
    depth = 0
    for one in paragraphs:
        wanted = min(one.quote_depth, 20)
        out.append("<blockquote>" * (wanted - depth) + "</blockquote>" * (depth - wanted))
        depth = wanted
        direction = "auto" if form.direction == "auto" else form.direction
        if one.quote_depth:
            direction = find_direction(one.text)
        text = escape(one.text).replace("\n", "<br>\n")
        out.append(f'<p dir="{direction}">{text}</p>')
    out.append("</blockquote>" * depth + "</div></body></html>")
    return "\n".join(line for line in out if line)
