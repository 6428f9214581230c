"""A letter that is not sent yet, as a message (RFC 5322) that any program can go on with. Pure.

Unlike a message that is sent it may lack recipients, hold what is no address, and name those in
Bcc.
What no field of the standard says stands in ``X-Zajil-Draft``, which is never sent.
"""

from __future__ import annotations

import re
from html import escape
from urllib.parse import parse_qsl, urlencode

from zajil.core.value_class import value_class
from zajil.message.address_list import parse_address_list
from zajil.message.build import (
    BadValue,
    write_address_field,
    write_raw_field,
    write_text_field,
)
from zajil.message.date import format_date
from zajil.message.encoded_word import decode_words
from zajil.message.entity import Pieces
from zajil.message.fields import find_value
from zajil.message.html import read_html
from zajil.message.large_data import Data
from zajil.message.leaves import Leaf, choose, find_leaves
from zajil.message.parse import parse_message
from zajil.message.part import Part
from zajil.message.view import MAX_TEXT, MessageView, content_id
from zajil.submit.compose import (
    ComposeForm,
    read_people,
    receipt_fields,
    thread_fields,
    write_body,
)
from zajil.submit.flowed import read_flowed

NOTE = "X-Zajil-Draft"
"""Name of the field of ``DraftNote``."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]+")
MAX_FILES = 100
"""Files of one draft."""
_MOST_TEXTS = 20
"""Parts of a draft that are its text."""


@value_class(frozen=True, slots=True)
class DraftNote:
    """What the fields of a message cannot say of a draft."""

    kind: str = ""
    """``reply`` or ``forward``; ``""``: it is a new message."""
    source: str = ""
    """``MAILBOX.UID`` of the message that it answers or forwards."""
    rich: bool = False
    """It is written with formatting."""


@value_class(frozen=True, slots=True)
class DraftFile:
    """A file in a draft, or in a message that is forwarded."""

    number: str
    """Of its part: ``Part.find`` takes it."""
    part: Part
    content_id: str
    """Of a picture inside the HTML; ``""``: there is none."""
    is_related: bool
    """It stands beside the HTML in a multipart/related (RFC 2387)."""


@value_class(frozen=True, slots=True, kw_only=True)
class ReadDraft:
    """A draft as its author goes on with it."""

    sender: str
    """Address in From, in U-labels; ``""``: there is none."""
    to: str
    cc: str
    bcc: str
    subject: str
    text: str
    """``""``: there is none, or only HTML."""
    html: str
    """As it stands in the message, not cleaned; ``""``: there is none."""
    in_reply_to: str
    references: str
    receipt: bool
    """Its author wants to know who has read it."""
    note: DraftNote
    is_foreign: bool
    """Another program wrote it: its HTML is whatever that program makes."""
    files: tuple[DraftFile, ...]


def write_draft(form: ComposeForm, note: DraftNote, *, now_ms: int, unique: str) -> Pieces:
    """Return a draft as a message.

    Args:
        form: what stands in the form, whatever it is.
        note: what else is to be kept.
        now_ms: for Date.
        unique: letters and digits that nobody can guess: for Message-ID and boundaries.

    Raises:
        BadForm: the name or type of an attachment cannot be written.
    """
    header = [write_raw_field("Date", format_date(now_ms))]
    sender = [(form.sender_name, form.sender)]
    utf8 = not form.sender.is_ascii
    header.append(write_address_field("From", sender, utf8=utf8))
    for name, text in (("To", form.to), ("Cc", form.cc), ("Bcc", form.bcc)):
        if text.strip():
            header.append(_people_field(name, text))
    if form.subject:
        header.append(write_text_field("Subject", _one_line(form.subject), utf8=False))
    header.append(write_raw_field("Message-ID", f"<{unique}@{form.sender.domain}>"))
    header += [*thread_fields(form), *receipt_fields(form, utf8=utf8)]
    header += _note_fields(note)
    return write_body(form, header, unique)


def _note_fields(note: DraftNote) -> list[bytes]:
    kept = {"kind": note.kind, "source": note.source, "rich": "1" if note.rich else "0"}
    written = urlencode({name: value for name, value in kept.items() if value})
    return [write_raw_field(NOTE, written)]


def write_own_fields(form: ComposeForm, note: DraftNote) -> str:
    """Return the header fields that only the author's copy of a sent message has.

    They say who was in Bcc, and make the copy a draft again if it is taken back in time.
    """
    fields = _note_fields(note)
    if form.bcc.strip():
        fields.insert(0, _people_field("Bcc", form.bcc))
    return b"".join(fields).decode()


def _people_field(name: str, text: str) -> bytes:
    text = _one_line(text)
    listed = read_people(text)
    people = [(one.display_name, one.address) for one in listed.people if one.address is not None]
    if len(people) == len(listed.people) and not listed.defects:
        try:
            utf8 = not all([address.is_ascii for _, address in people])
            return write_address_field(name, people, utf8=utf8)
        except BadValue:
            pass
    # What is no address yet is kept as it was typed.
    return write_text_field(name, text, utf8=False)


def _one_line(text: str) -> str:
    return _CONTROL.sub(" ", text)


def read_draft(data: Data) -> ReadDraft:
    """Read a draft that was written here or by another program; never raises on its content."""
    view = MessageView.from_data(data)
    written = find_value(view.fields, NOTE.lower().encode())
    note = dict(parse_qsl((written or b"")[:1000].decode("ascii", "replace")))
    root = parse_message(data)
    leaves = list(find_leaves(root))
    shown = [leaf for leaf in leaves if leaf.is_shown and leaf.part.filename is None]
    plain, html = (choose(shown, kind) for kind in ("text/plain", "text/html"))
    body = {id(leaf.part) for leaf in (*plain, *html)}
    related = {
        id(child)
        for _, part in root.walk()
        if part.type == "multipart/related"
        for child in part.children
    }
    files = [
        DraftFile(leaf.number, leaf.part, content_id(leaf.part), id(leaf.part) in related)
        for leaf in leaves
        if id(leaf.part) not in body
    ]
    return ReadDraft(
        sender=view.senders[0].address if view.senders else "",
        to=_people(view, b"to"),
        cc=_people(view, b"cc"),
        bcc=_people(view, b"bcc"),
        subject=view.subject,
        text=_plain(plain, data),
        html=_html(html, data),
        in_reply_to=view.in_reply_to,
        references=view.references,
        receipt=find_value(view.fields, b"disposition-notification-to") is not None,
        note=DraftNote(note.get("kind", ""), note.get("source", ""), note.get("rich") == "1"),
        is_foreign=written is None,
        files=tuple(files[:MAX_FILES]),
    )


def _plain(leaves: list[Leaf], data: Data) -> str:
    """Return the text of a draft; ``""``: it has only HTML.

    There are several parts where a program puts a file in the middle of the text.
    """
    if not any(leaf.part.type != "text/html" for leaf in leaves):
        return ""
    texts = [
        read_html(leaf.part.read_text(data, MAX_TEXT)[0]).text
        if leaf.part.type == "text/html"
        else _text(leaf.part, data)
        for leaf in leaves[:_MOST_TEXTS]
    ]
    return "\n".join(texts)


def _html(leaves: list[Leaf], data: Data) -> str:
    """Return the HTML of a draft; ``""``: it has only plain text."""
    if not any(leaf.part.type == "text/html" for leaf in leaves):
        return ""
    return "".join(
        [
            leaf.part.read_text(data, MAX_TEXT)[0]
            if leaf.part.type == "text/html"
            else f"<div>{escape(_text(leaf.part, data))}</div>".replace("\n", "<br>")
            for leaf in leaves[:_MOST_TEXTS]
        ]
    )


def _text(part: Part, data: Data) -> str:
    text, _ = part.read_text(data, MAX_TEXT)
    text = text.replace("\r\n", "\n")
    parameters = part.content_type.parameters
    if parameters.get("format", "").lower() == "flowed":
        text = read_flowed(text, delete_space=parameters.get("delsp", "").lower() == "yes")
    return text.removesuffix("\n")


def _people(view: MessageView, name: bytes) -> str:
    value = find_value(view.fields, name) or b""
    listed = parse_address_list(value)
    if listed.defects or any([one.address is None for one in listed.people]):
        return " ".join(decode_words(value).split())
    return ", ".join([spell_person(one.display_name, one.spec) for one in listed.people])


_PLAIN_NAME = re.compile(r"[\w ]+\Z")
"""Names that stand in an address list without quotes; everything else gets them."""


def spell_person(name: str, address: str) -> str:
    """Return one entry of a list of addresses as people type it."""
    if not name:
        return address
    if _PLAIN_NAME.match(name):
        return f"{name} <{address}>"
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{address}>'
