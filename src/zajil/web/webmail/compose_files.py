"""Files of a letter that is being written: parts of its draft, or of a message that it forwards.

A form names a file by the message that holds it, so nothing is uploaded or copied twice before the
letter is saved.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from zajil.core.ids import AccountId, MailboxId, Uid
from zajil.message.entity import NewFile, Pieces, Slice, file_pieces, message_pieces
from zajil.message.fields import split_message
from zajil.message.header_view import one_line
from zajil.message.large_data import WHOLE, Data, LargeData
from zajil.message.leaves import File
from zajil.message.parse import parse_message
from zajil.message.part import Part
from zajil.message.source import read_range
from zajil.message.view import Attachment, MessageView, content_id
from zajil.read.picture_fetch import picture_type
from zajil.store.engine.open import Store
from zajil.store.mail.blobs import NoSuchBlob
from zajil.store.mail.mailboxes import may_read
from zajil.store.mail.messages import MessageReader, get_messages, open_message
from zajil.submit.draft import MAX_FILES
from zajil.web.uploads import UploadedFile
from zajil.web.webmail.compose_rich import PICTURE_PATH
from zajil.web.webmail.shown_files import Kind, kind_of

_REF = re.compile(r"([0-9]{1,16})\.([0-9]{1,10})/((?:[0-9]{1,4}(?:\.[0-9]{1,4}){0,20})?)\Z")


@dataclass(frozen=True, slots=True)
class FileRef:
    """A part of a message of the account."""

    mailbox_id: MailboxId
    uid: Uid
    number: str
    """As ``Part.find`` takes it; ``""``: the whole message, to be enclosed."""

    def __str__(self) -> str:
        return f"{self.mailbox_id}.{self.uid}/{self.number}"


@dataclass(frozen=True, slots=True)
class LetterFile:
    """A file of a letter."""

    ref: FileRef
    filename: str
    content_type: str
    size: int
    """Bytes, about."""
    content_id: str
    """Of a picture that stands in the text; ``""``: it is an attachment."""
    pieces: Pieces
    """Its part; of use as long as the message is open."""

    @property
    def kind(self) -> Kind:
        """As what its author can look at it before it is sent."""
        return kind_of(self.content_type)

    @property
    def open_address(self) -> str:
        """Where it is shown, or can be downloaded."""
        if not self.ref.number:
            return f"/mail/{self.ref.mailbox_id}/{self.ref.uid}"
        way = "open" if self.kind in ("picture", "sound", "text", "pdf") else "file"
        return f"/mail/{self.ref.mailbox_id}/{self.ref.uid}/{way}/{self.ref.number}"

    @property
    def address(self) -> str:
        """Where its author sees it, if it is a picture in the text."""
        place = f"{self.ref.mailbox_id}/{self.ref.uid}"
        return f"{PICTURE_PATH}/{place}/{quote(self.content_id, safe='')}"


def read_ref(text: object) -> FileRef | None:
    """Read what a form names; ``None``: it names no file."""
    match = _REF.match(text) if isinstance(text, str) else None
    if match is None:
        return None
    return FileRef(MailboxId(int(match[1])), Uid(int(match[2])), match[3])


def read_refs(texts: Iterable[object]) -> tuple[FileRef, ...]:
    """Read all that a form names, each once, as many as a draft may have."""
    found = dict.fromkeys(ref for ref in map(read_ref, texts) if ref is not None)
    return tuple(found)[:MAX_FILES]


def uploaded(files: Iterable[object]) -> list[UploadedFile]:
    """Return the files that somebody chose; an empty field is none."""
    return [one for one in files if isinstance(one, UploadedFile) and one.filename]


def upload_pieces(file: UploadedFile, unique: str = "") -> tuple[Pieces, bool]:
    """Return the part of an uploaded file, and whether it is a picture in the text.

    Args:
        file: as it came.
        unique: its Content-ID as a picture in the text; ``""``: it is an attachment, as is a file
            that turns out to be no picture.

    Raises:
        BadValue: its name cannot be written.
        StoreUnavailable, StoreFull: it could not be kept.
    """
    name = one_line((file.filename or "").replace("\\", "/").rpartition("/")[2], 200) or "file"
    kind = (file.content_type or "").partition(";")[0].strip().lower()
    data = file.content()
    shown_as = picture_type(read_range(data, 0, 64)) if unique else None
    if shown_as is None:
        return file_pieces(NewFile(name, kind, data)), False
    return file_pieces(NewFile(name, shown_as, data, unique)), True


def open_files(
    conn: Any, store: Store, account_id: AccountId, refs: Sequence[FileRef], stack: ExitStack
) -> list[LetterFile]:
    """Open the files of a letter; those that are gone are left out.

    Args:
        conn: a snapshot.
        store: where the messages lie.
        account_id: who writes.
        refs: the files.
        stack: closes the messages.
    """
    opened: dict[tuple[MailboxId, Uid], tuple[MessageReader, Data, Part] | None] = {}
    found: list[LetterFile] = []
    for ref in refs:
        place = (ref.mailbox_id, ref.uid)
        if place not in opened:
            opened[place] = _open(conn, store, account_id, place, stack)
        message = opened[place]
        if message is None:
            continue
        reader, data, root = message
        if not ref.number:
            found.append(_enclosed(ref, reader, data))
            continue
        part = root.find(ref.number)
        if part is not None:
            found.append(_file(ref, part, reader, data))
    return found


def data_of(reader: MessageReader) -> Data:
    """Return the bytes of an open message for parsers."""
    return reader.read_at(0, reader.size) if reader.size <= WHOLE else LargeData(reader)


def _open(
    conn: Any,
    store: Store,
    account_id: AccountId,
    place: tuple[MailboxId, Uid],
    stack: ExitStack,
) -> tuple[MessageReader, Data, Part] | None:
    mailbox_id, uid = place
    # Security: the mailbox is looked up under the account; an id alone is never enough.
    if not may_read(conn, account_id, mailbox_id):
        return None
    messages = get_messages(conn, mailbox_id, [uid])
    if not messages:
        return None
    try:
        reader = stack.enter_context(open_message(conn, store.blobs, messages[0]))
    except NoSuchBlob:
        return None
    data = data_of(reader)
    return reader, data, parse_message(data)


def _file(ref: FileRef, part: Part, reader: MessageReader, data: Data) -> LetterFile:
    shown = Attachment(File(part, None, ref.number), part.filename or "", part.type, _size_of(part))
    header = data[part.start : part.header_end]
    # Of a message that is nothing but a file, the fields of the message itself stay behind.
    kept = [header[one.start : one.end] for one in part.fields if one.name.startswith(b"content-")]
    pieces: Pieces = (
        b"".join([field.rstrip(b"\r\n") + b"\r\n" for field in kept]) + b"\r\n",
        Slice(reader, part.body_start, part.body_end),
    )
    return LetterFile(ref, shown.filename, shown.content_type, shown.size, content_id(part), pieces)


def _size_of(part: Part) -> int:
    size = part.body_end - part.body_start
    return size * 57 // 78 if part.encoding == "base64" else size


def _enclosed(ref: FileRef, reader: MessageReader, data: Data) -> LetterFile:
    view = MessageView.from_data(data)
    end, _ = split_message(view.header)
    name = f"{one_line(view.subject, 80).replace('/', '_').strip('. ') or 'message'}.eml"
    pieces = message_pieces(name, reader, is_ascii=view.header[:end].isascii())
    return LetterFile(ref, name, "message/rfc822", reader.size, "", pieces)
