"""Files of a message: which of them a page shows, and as what.

Security: a file is shown only as what it cannot harm as: a picture by its first bytes, sound, plain
text; never HTML, SVG or XML, which are documents with scripts of our origin. PDF is shown by the
viewer of the browser, to which scripts of a file do not belong to our origin; it must be PDF by
its first bytes (docs/decisions/0016-web.md). Everything else is downloaded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from zajil.message.parse import parse_message
from zajil.message.part import ENCLOSING, Part
from zajil.message.view import Attachment
from zajil.read.picture_fetch import picture_type
from zajil.read.shown import show_message

Kind = Literal["picture", "sound", "text", "pdf", "message", "other"]

PDF = "application/pdf"
_PDF_BEGINS = b"%PDF-"
PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_SOUNDS = frozenset(
    {
        *("audio/aac", "audio/flac", "audio/m4a", "audio/mp4", "audio/mpeg", "audio/ogg"),
        *("audio/opus", "audio/wav", "audio/webm", "audio/x-m4a", "audio/x-wav"),
    }
)
_TEXTS = frozenset(
    {
        *("text/plain", "text/csv", "text/markdown", "text/x-log", "text/x-diff", "text/x-patch"),
        *("text/x-python", "text/rfc822-headers", "message/delivery-status"),
    }
)
MOST_TEXT = 1 << 20
"""Characters of a text that are shown."""
LONGEST_PICTURE = 20 << 20
"""Bytes of a picture that a page shows as a thumbnail."""


@dataclass(frozen=True, slots=True)
class ShownFile:
    """A file as the page of its message lists it."""

    attachment: Attachment
    kind: Kind


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """What is shown of a file."""

    media_type: str
    data: bytes
    filename: str


def list_files(attachments: Iterable[Attachment]) -> list[ShownFile]:
    """Return the files of a message; those of enclosed messages are found in these."""
    return [ShownFile(one, _kind(one.content_type)) for one in attachments if one.number]


def find_file(message: bytes, number: str) -> tuple[str, Part] | None:
    """Return name and part of a file that the page lists; other parts are not files."""
    files = {file.number: file.filename for file in show_message(message).attachments}
    part = parse_message(message).find(number) if number and number in files else None
    return (files[number], part) if part is not None else None


def open_file(message: bytes, number: str) -> OpenedFile | None:
    """Return what is shown of a file; ``None``: it can only be downloaded."""
    found = find_file(message, number)
    if found is None:
        return None
    name, part = found
    if _kind(part.type) == "text":
        text = part.read_text(message, MOST_TEXT)[0]
        return OpenedFile("text/plain; charset=utf-8", text.encode("utf-8", "replace"), name)
    data = part.content(message)
    if part.type in _SOUNDS or (part.type == PDF and data.startswith(_PDF_BEGINS)):
        return OpenedFile(part.type, data, name)
    shown_as = picture_type(data)
    return OpenedFile(shown_as, data, name) if shown_as is not None else None


def enclosed_message(message: bytes, number: str) -> bytes | None:
    """Return a message that is a file of another one."""
    found = find_file(message, number)
    if found is None or found[1].type not in ENCLOSING:
        return None
    return found[1].content(message)


def _kind(content_type: str) -> Kind:
    if content_type in PICTURES:
        return "picture"
    if content_type in _SOUNDS:
        return "sound"
    if content_type in _TEXTS:
        return "text"
    if content_type == PDF:
        return "pdf"
    return "message" if content_type in ENCLOSING else "other"


def kind_of(content_type: str) -> Kind:
    """Return as what a file of this type is shown."""
    return _kind(content_type)
