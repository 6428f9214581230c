"""One mail as the content checks see it: parsed once, each thing worked out when it is asked for.

The parse is the webmail's (``message.parse``), so what is judged is what is shown (attacks I). Pure
but for a body that lies in a file: reading that may wait on the disk.

Laws:
- At most ``MAX_READ`` bytes of a body that is not in memory are read whole; ``is_cut`` says so. Of
  parts behind them the beginning is read.
- Nothing raises on what a message holds; every text, list and count is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

from zajil.check.content.enclosed import File, Files, find_files
from zajil.check.content.html_text import MAX_LINKS, HtmlText, Link, read_html
from zajil.check.content.late_parts import LateParts, find_late_parts
from zajil.message.address_list import AddressList, NamedAddress, parse_address_list
from zajil.message.charset import decode_text
from zajil.message.encoded_word import decode_words
from zajil.message.fields import Field, find_fields, find_value
from zajil.message.leaves import Leaf, find_leaves, is_multipart_without_parts, is_shown
from zajil.message.parse import parse_message
from zajil.message.part import ENCLOSING, Part, make_part
from zajil.message.source import Source, size_of
from zajil.message.transfer import decode_transfer

MAX_READ = 524_288
"""Bytes that are read of a body in a file: words and links of real mail stand at its start."""
MAX_TEXT = 262_144
"""Characters of one text part that are looked at."""
MAX_TEXT_PARTS = 100
MAX_ATTACHMENTS = 100
MAX_LATE = 32_768
"""Bytes that are read of a part that begins behind ``MAX_READ``."""
HEAD = 8192
"""Bytes of an attachment that tell its type."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in an address field."""

    name: str
    """The display name, decoded; ``""`` for none."""
    address: str
    """``local-part@domain`` with U-labels; what stands there if it is no address."""
    domain: str
    """ASCII form, lower case; ``""``: it is no address."""
    raw_name: str = ""
    """As it stands, encoded words and all."""


@dataclass(frozen=True, slots=True)
class TextPiece:
    """One text part that a reader sees, or one way to read it."""

    part: Part
    text: str
    """What is visible, decoded."""
    html: HtmlText | None
    """Of an HTML part: its links, and what is hidden."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part that a reader opens as a file."""

    file: File
    name: str
    """As the parameters say it, decoded, controls and all; ``""`` for none."""
    declared_type: str
    """Lower case: ``application/zip``."""
    head: bytes
    """Its first bytes, decoded."""
    size: int
    """Bytes of the file; of an encoded one, as its length lets expect."""


class MessageView:
    """One mail. Not for several threads at once."""

    def __init__(self, header: bytes, fields: Sequence[Field], body: bytes | Source) -> None:
        self.header = header
        self.fields = fields
        self.is_cut = not isinstance(body, bytes) and body.size > MAX_READ
        """The body is longer than what is looked at."""
        self.body_size = size_of(body)
        self._body = body

    # ---- structure --------------------------------------------------------------------------

    @cached_property
    def data(self) -> bytes:
        """The message, as far as it is looked at; offsets of ``root`` count in it."""
        body = self._body
        return self.header + (body if isinstance(body, bytes) else body.read_at(0, MAX_READ))

    @cached_property
    def root(self) -> Part:
        """The tree of parts."""
        data = self.data
        end = len(self.header)
        blank = 2 if data[end : end + 2] == b"\r\n" else 1 if data[end : end + 1] == b"\n" else 0
        root = make_part(list(self.fields), (0, end, end + blank))
        if root.type.startswith("multipart/") or root.type in ENCLOSING:
            return parse_message(data)
        # One part: what the parser would make of it, without looking for boundaries.
        root.body_end = len(data)
        return root

    @cached_property
    def leaves(self) -> tuple[Leaf, ...]:
        """Parts without parts, in order.

        An enclosed message is one leaf: what it says was said by somebody else.
        """
        late = [Leaf(part, "", (), is_shown(part)) for part in self.late.parts]
        return (*find_leaves(self.root), *late)

    @cached_property
    def late(self) -> LateParts:
        """Parts that begin where the message is no longer read whole."""
        body = self._body
        if not self.is_cut or isinstance(body, bytes):
            return LateParts()
        return find_late_parts(body, MAX_READ, len(self.header), self.root)

    @cached_property
    def texts(self) -> tuple[TextPiece, ...]:
        """What is read at once: text/plain and text/html, chosen as the webmail chooses."""
        pieces = [self._read_text(part) for part in self._shown[:MAX_TEXT_PARTS]]
        return tuple(chain.from_iterable(pieces))

    @property
    def has_more_texts(self) -> bool:
        """There are more parts that are read as text than are looked at."""
        return len(self._shown) > MAX_TEXT_PARTS

    @cached_property
    def _shown(self) -> list[Part]:
        return [leaf.part for leaf in self.leaves if leaf.is_shown]

    @cached_property
    def attachments(self) -> tuple[Attachment, ...]:
        """What is a file: enclosed messages, the files in them, and texts that have a name."""
        return tuple([self._read_attachment(file) for file in self._files.files[:MAX_ATTACHMENTS]])

    @property
    def has_more_files(self) -> bool:
        """There are more files than are looked at."""
        found = self._files
        return len(found.files) > MAX_ATTACHMENTS or not (found.are_all and self.late.are_all)

    @cached_property
    def _files(self) -> Files:
        late = [Leaf(part, "", (), is_shown=False) for part in self.late.enclosed]
        return find_files((*self.leaves, *late), self.read_file)

    def read_file(self, file: File, limit: int) -> bytes:
        """Give what a file holds, decoded, as far as the message is looked at, up to a limit."""
        if file.data is None:
            return self.content(file.part, limit)
        part = file.part
        end = min(part.body_end, part.body_start + limit * 4)
        return decode_transfer(file.data[part.body_start : end], part.encoding)[:limit]

    def content(self, part: Part, limit: int | None = None) -> bytes:
        """Give what a part holds, decoded, as far as the message is looked at.

        Args:
            part: of ``root``, or one of the late ones, of which only the beginning is read.
            limit: bytes of the file that are enough; ``None``: all.
        """
        # Base64 and quoted-printable of mail need up to four bytes for one.
        end = part.body_end if limit is None else min(part.body_end, part.body_start + limit * 4)
        raw = self.data[part.body_start : end]
        if end > len(self.data) and not isinstance(self._body, bytes):
            begin = part.body_start - len(self.header)
            raw = self._body.read_at(begin, min(end - part.body_start, MAX_LATE))
        return decode_transfer(raw, part.encoding)[:limit]

    # ---- words and links --------------------------------------------------------------------

    @cached_property
    def visible_text(self) -> str:
        """All visible words, the subject not included."""
        return "\n".join([piece.text for piece in self.texts])

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """All that can be clicked: links of HTML, and URLs that stand in plain text."""
        found: list[Link] = []
        for piece in self.texts:
            if piece.html is not None:
                found += piece.html.links
            elif "://" in piece.text or "www." in piece.text:
                found += [
                    Link(match[0].rstrip(".,;:!?)'\""), match[0], "text")
                    for match in _URL.finditer(piece.text)
                ]
        return tuple(found[:MAX_LINKS])

    # ---- header section ---------------------------------------------------------------------

    @cached_property
    def subject(self) -> str:
        """Decoded; ``""`` when there is none."""
        return decode_words(find_value(self.fields, b"subject") or b"")[:2000]

    @cached_property
    def from_list(self) -> AddressList:
        """All of the first From, with its defects."""
        return parse_address_list(find_value(self.fields, b"from") or b"")

    @cached_property
    def author(self) -> Person | None:
        """The first of From."""
        value = find_value(self.fields, b"from")
        if value is None:
            return None
        if match := _PLAIN.match(value):
            # Security: the quoted name may hold any bytes; the address is ASCII by the pattern.
            name, local = decode_text(match[1]), match[2].decode("ascii")
            domain = match[3].decode("ascii").lower()
            if "xn--" not in domain and "=?" not in name:
                return Person(name.strip(' "'), f"{local}@{domain}", domain, name)
        people = self.from_list.people
        return make_person(people[0]) if people else None

    @cached_property
    def reply_to(self) -> tuple[Person, ...]:
        """Who gets the answers; empty: the author."""
        return self._people(b"reply-to")

    @cached_property
    def recipients(self) -> tuple[Person, ...]:
        """Who stands in To and Cc; not the envelope."""
        return self._people(b"to", b"cc")

    def _people(self, *names: bytes) -> tuple[Person, ...]:
        found: list[Person] = []
        for name in names:
            for field in find_fields(self.fields, name):
                found += map(make_person, parse_address_list(field.value).people)
        return tuple(found)

    # ---- parts ------------------------------------------------------------------------------

    def _read_text(self, part: Part) -> Iterable[TextPiece]:
        text = part.decode(self.content(part, MAX_TEXT))
        if part.type == "text/html":
            html = read_html(text)
            return (TextPiece(part, html.text, html),)
        plain = TextPiece(part, text, None)
        if is_multipart_without_parts(part) and _TAG.search(text):
            # Security: some programs show the source, some guess, so both are judged.
            html = read_html(text)
            return plain, TextPiece(part, html.text, html)
        return (plain,)

    def _read_attachment(self, file: File) -> Attachment:
        part = file.part
        size = part.body_end - part.body_start
        if part.encoding == "base64":
            size = size * 57 // 78  # 57 bytes stand in a line of 76 characters and CRLF
        return Attachment(
            file, (part.filename or "")[:1000], part.type, self.read_file(file, HEAD), size
        )


def make_person(one: NamedAddress) -> Person:
    """Give name, address and domain of one entry of an address list."""
    domain = one.address.domain if one.address is not None else ""
    return Person(one.display_name[:1000], one.spec[:1000], domain, one.raw_name)


# The author of nearly every mail: the parser agrees, and takes ten times as long.
_PLAIN = re.compile(
    rb'((?:"[^"\\@\r\n<>]*+" ?|[A-Za-z0-9 ._/+-]*+))<([A-Za-z0-9_+-][A-Za-z0-9._+-]{0,62})'
    rb"(?<!\.)@([A-Za-z0-9][A-Za-z0-9-]{0,61}(?:\.[A-Za-z0-9][A-Za-z0-9-]{0,61}){1,8})(?<!-)>\Z"
)
_TAG = re.compile(r"</?[A-Za-z][^<>]*+>")
_URL = re.compile(r"(?<![\w@/.])(?:https?://|www\.)[^\s<>\"'\u0000-\u001f]{3,2000}", re.IGNORECASE)


def printable(text: str, limit: int = 80) -> str:
    """Make text of a stranger fit to stand in a sentence: no controls, nothing that turns it."""
    text = text[: limit + 20]
    if not text.isprintable():
        text = "".join([char if char.isprintable() else " " for char in text])
    text = text.strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"
