"""The one reading of a message: parts, texts, links, people, files. Pure, but for reading a source.

Checks, web pages, SEARCH and the summary of a message use it, so that what is judged is what is
shown (docs/decisions/0012-walls.md). Each thing is worked out when it is first asked for, once.

Laws:
- Of a message that is not in memory at most ``MAX_READ`` bytes are parsed; ``is_cut`` says so. The
  parts behind them are found; of their files only the beginning is read.
- Texts of one message are read up to ``MAX_TEXT`` bytes and ``MAX_TEXT_PARTS`` parts, and nobody
  shows more.
- Nothing raises on the content of a message; every text, list and count is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain

from zajil.core.cached_property import cached_property
from zajil.core.value_class import value_class
from zajil.message.fields import Field, read_fields, split_message, unfold
from zajil.message.header_view import HeaderView, one_line
from zajil.message.html import MAX_LINKS, Html, Link, read_html
from zajil.message.html_bounds import MAX_HTML
from zajil.message.large_data import MAX_SECTION, Data
from zajil.message.late_parts import LateParts, find_late_parts
from zajil.message.leaves import (
    File,
    Files,
    Leaf,
    choose,
    find_files,
    find_leaves,
    is_multipart_without_parts,
    is_shown,
)
from zajil.message.parse import parse_message
from zajil.message.part import ENCLOSING, Part, make_part
from zajil.message.source import Source, read_range, size_of
from zajil.message.transfer import decode_transfer
from zajil.message.urls import find_urls

MAX_READ = 524_288
"""Bytes of a body in a file that are parsed; words and links of real mail come first."""
MAX_TEXT = MAX_HTML
"""Bytes of all texts of a message, without their transfer encoding, that are read."""
MAX_TEXT_PARTS = 100
MAX_ATTACHMENTS = 100
MAX_LATE = 32_768
"""Bytes that are read of a file that begins behind ``MAX_READ``."""
HEAD = 8192
"""Bytes of an attachment that show its type."""
PREVIEW_LENGTH = 200
"""Characters of a preview: more than a line of a list of messages holds."""
_PREVIEW_SOURCE = 20_000


@value_class(frozen=True, slots=True)
class TextPiece:
    """One text part that is shown, or one way to read it."""

    leaf: Leaf
    text: str
    """What is shown, decoded."""
    html: Html | None
    """Of an HTML part: its links, and what is hidden."""
    is_cut: bool
    """There is more of it than is read."""
    is_guess: bool = False
    """It was declared as something else; some programs show it as HTML."""

    @property
    def part(self) -> Part:
        """The part it is read from."""
        return self.leaf.part


@value_class(frozen=True, slots=True)
class Attachment:
    """A part that is offered as a file."""

    file: File
    name: str
    """As its parameters say, decoded, controls and all; ``""`` for none."""
    content_type: str
    """As declared, lower case: ``application/zip``."""
    size: int
    """Bytes of the file; of an encoded one estimated from its length."""

    @property
    def number(self) -> str:
        """Of its part: ``Part.find`` takes it; ``""``: it is in an enclosed message."""
        return self.file.number

    @property
    def filename(self) -> str:
        """A name without path, control and direction characters; never empty."""
        # Security: a name never becomes a path, and its end must be where a reader sees it.
        name = _PATH.sub("_", one_line(self.name, 200)).strip(". ")
        if not name:
            subtype = self.content_type.partition("/")[2]
            is_message = self.content_type in ENCLOSING
            name = "message.eml" if is_message else f"part-{self.number}.{subtype or 'bin'}"
            name = _PATH.sub("_", one_line(name, 100))
        return name


class MessageView(HeaderView):
    """One message. Not for several threads at once."""

    def __init__(self, header: bytes, fields: Sequence[Field], body: bytes | Source) -> None:
        """Take a message whose header section was read.

        Args:
            body: with the empty line before it.
        """
        super().__init__(fields)
        self.header = header
        self.is_cut = not isinstance(body, bytes) and body.size > MAX_READ
        """The body is longer than what is parsed."""
        self.body_size = size_of(body)
        self._body = body

    @classmethod
    def from_data(cls, data: Data) -> MessageView:
        """Return the view of a whole message, of which a large one is not read whole."""
        if isinstance(data, bytes):
            return cls.from_bytes(data)
        header = data[: min(split_message(data)[0], MAX_SECTION)]
        return cls(header, read_fields(header), data.behind(len(header)))

    @classmethod
    def from_bytes(cls, data: bytes) -> MessageView:
        """Return the view of a whole message, or of its beginning."""
        end, _ = split_message(data)
        view = cls(data[:end], read_fields(data[:end]), data[end:])
        view.__dict__["data"] = data
        return view

    # ---- structure --------------------------------------------------------------------------

    @cached_property
    def data(self) -> bytes:
        """The message, as far as it is parsed; offsets of ``root`` refer to it."""
        return self.header + read_range(self._body, 0, MAX_READ if self.is_cut else self.body_size)

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
        root.body_end = end + self.body_size
        return root

    @cached_property
    def leaves(self) -> tuple[Leaf, ...]:
        """Parts without parts, in order. An enclosed message is one leaf."""
        leaves = tuple(find_leaves(self.root))
        if not self.is_cut:
            return leaves
        if self.late.parts:
            # What begins shortly before the end of the parsed beginning is among the late ones.
            begin = self.late.parts[0].start
            leaves = tuple([leaf for leaf in leaves if leaf.part.start < begin])
        late = [Leaf(part, "", (), is_shown(part)) for part in self.late.parts]
        if not leaves:
            return tuple(late)
        last = leaves[-1].part
        if last.body_end == len(self.data):
            # It goes on where the parsed beginning ends.
            behind = [border for border in self.late.borders if border >= last.body_start]
            last.body_end = behind[0] if behind else len(self.header) + self.body_size
        return (*leaves, *late)

    @cached_property
    def late(self) -> LateParts:
        """Parts that begin where the message is no longer parsed."""
        body = self._body
        if not self.is_cut or isinstance(body, bytes):
            return LateParts()
        return find_late_parts(body, MAX_READ, len(self.header), self.root)

    def content(self, part: Part, limit: int, *, is_text: bool = False) -> bytes:
        """Return the content of a part without its transfer encoding.

        Args:
            part: of ``root``, or one of the late ones.
            limit: bytes that are enough.
            is_text: read it whole; else a part behind ``MAX_READ`` is read up to ``MAX_LATE``, and
                one across it as far as the message is parsed.
        """
        # Base64 and quoted-printable of mail need up to four bytes for one.
        factor = 4 if part.encoding in ("base64", "quoted-printable") else 1
        end = min(part.body_end, part.body_start + limit * factor)
        data = self.data
        if end <= len(data) or isinstance(self._body, bytes):
            raw = data[part.body_start : end]
        else:
            size = end - part.body_start
            if not is_text:
                size = min(size, max(MAX_LATE, len(data) - part.body_start))
            raw = self._body.read_at(part.body_start - len(self.header), size)
        return decode_transfer(raw, part.encoding)[:limit]

    # ---- texts and links --------------------------------------------------------------------

    @cached_property
    def shown(self) -> tuple[Leaf, ...]:
        """Leaves that are read as text, all alternatives, without those that are too many."""
        return tuple([leaf for leaf in self.leaves if leaf.is_shown][:MAX_TEXT_PARTS])

    @cached_property
    def texts(self) -> tuple[TextPiece, ...]:
        """What is read as text: text/plain and text/html, all alternatives, in order."""
        pieces: list[TextPiece] = []
        room = MAX_TEXT
        for leaf in self.shown:
            if room <= 0:
                break
            content = self.content(leaf.part, room, is_text=True)
            pieces += _read_text(leaf, content, is_cut=len(content) == room)
            room -= len(content)
        return tuple(pieces)

    @property
    def has_more_texts(self) -> bool:
        """There are more parts that are read as text than are looked at."""
        return len(self.shown) == MAX_TEXT_PARTS and sum(
            [leaf.is_shown for leaf in self.leaves]
        ) > len(self.shown)

    def alternatives(self, preferred: str) -> list[TextPiece]:
        """Return what is shown to a reader who prefers text/plain, or text/html."""
        chosen = {id(leaf) for leaf in choose(self.shown, preferred)}
        return [one for one in self.texts if not one.is_guess and id(one.leaf) in chosen]

    @cached_property
    def visible_text(self) -> str:
        """All words that are shown, the subject not included."""
        return "\n".join([piece.text for piece in self.texts])

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """All that can be clicked: links of HTML, and URLs in texts."""
        found: list[Link] = []
        for piece in self.texts:
            if piece.html is not None:
                found += piece.html.links
            # Programs make links of URLs in the text of HTML, too.
            found += [Link(url, url, "text") for url in find_urls(piece.text, MAX_LINKS)]
        return tuple(found[:MAX_LINKS])

    @cached_property
    def preview(self) -> str:
        """The first words of the message in one line, without quoted ones."""
        pieces: list[TextPiece] = []
        for leaf in choose(self.shown, "text/plain"):
            content = self.content(leaf.part, _PREVIEW_SOURCE, is_text=True)
            pieces += _read_text(leaf, content, is_cut=False)[:1]
            if sum([len(one.text) for one in pieces]) > _PREVIEW_SOURCE:
                break
        lines = chain.from_iterable([one.text.splitlines() for one in pieces])
        own = [line for line in lines if not line.startswith(">")]
        text = " ".join(one_line(" ".join(own), _PREVIEW_SOURCE).split())
        if len(text) <= PREVIEW_LENGTH:
            return text
        return text[: PREVIEW_LENGTH - 1].rstrip() + "…"

    # ---- files ------------------------------------------------------------------------------

    @cached_property
    def attachments(self) -> tuple[Attachment, ...]:
        """Files of the message itself, in order; a text that has a name is shown and a file."""
        files = [File(one.part, None, one.number) for one in self.leaves if one.is_file]
        return tuple([_make_attachment(file) for file in files])

    @cached_property
    def all_files(self) -> tuple[Attachment, ...]:
        """The same, with those of enclosed messages and with named alternatives; bounded."""
        return tuple([_make_attachment(file) for file in self._files.files[:MAX_ATTACHMENTS]])

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
        """Return the decoded content of a file, as far as the message is read, up to a limit."""
        if file.data is None:
            return self.content(file.part, limit)
        part = file.part
        end = min(part.body_end, part.body_start + limit * 4)
        return decode_transfer(file.data[part.body_start : end], part.encoding)[:limit]


def content_id(part: Part) -> str:
    """Return the Content-ID of a part without its angle brackets; ``""`` when there is none."""
    value = unfold(part.value(b"content-id") or b"")
    return value.decode("utf-8", "replace").strip("<>")


_PATH = re.compile(r'[/\\:*?"<>|]+')
_TAG = re.compile(r"</?[A-Za-z][^<>]*+>")


def _read_text(leaf: Leaf, content: bytes, *, is_cut: bool) -> list[TextPiece]:
    part = leaf.part
    text = part.as_text(content[:MAX_TEXT])
    if part.type == "text/html":
        html = read_html(text)
        return [TextPiece(leaf, html.text, html, is_cut or html.is_cut)]
    pieces = [TextPiece(leaf, text, None, is_cut)]
    if is_multipart_without_parts(part) and _TAG.search(text):
        # Security: some programs show the source, some guess, so both are judged.
        html = read_html(text)
        pieces.append(TextPiece(leaf, html.text, html, is_cut or html.is_cut, is_guess=True))
    return pieces


def _make_attachment(file: File) -> Attachment:
    part = file.part
    size = part.body_end - part.body_start
    if part.encoding == "base64":
        size = size * 57 // 78  # 57 bytes stand in a line of 76 characters and CRLF
    return Attachment(file, (part.filename or "")[:1000], part.type, size)
