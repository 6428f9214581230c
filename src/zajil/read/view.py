"""A message as the web shows it: header summary, body, attachments, and what is odd about it.

Never raises on any bytes. What is shown here comes from the same parse that the checks use, so
nobody sees a letter that was not the one that was judged (attacks I).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape

from zajil.message.address_list import Group, NamedAddress, parse_address_list
from zajil.message.date import parse_date
from zajil.message.encoded_word import decode_words
from zajil.message.fields import find_fields, unfold
from zajil.message.leaves import Leaf, choose, find_leaves
from zajil.message.parse import parse_message
from zajil.message.part import ENCLOSING, Part
from zajil.read.paragraphs import Direction, Paragraph, find_direction, split_paragraphs
from zajil.read.safe_html import MAX_HTML, html_to_marked_text, html_to_text, make_safe

PREVIEW_LENGTH = 200
"""Characters of a preview: more than a line of the list holds."""
_PREVIEW_SOURCE = 20_000
_MOST_PEOPLE = 500


# An at sign, in whichever width, or a name with a dot in it as domains have: "north.test support".
_LIKE_ADDRESS = re.compile(r"@|[^\W_]{2,}[.。．｡]\w{2,}")
_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u206f\ufe00-\ufe0f]+"
)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who stands in From, To, Cc."""

    name: str
    """``""`` when only an address was given."""
    address: str
    """As people read it, in U-labels; what stands there if it is no address."""

    @property
    def label(self) -> str:
        """The name, or the address where there is none."""
        return self.name or self.address

    @property
    def poses_as_address(self) -> bool:
        """Whether the name could be taken for an address, and is not this one.

        Security: whoever sees only the name would take it for the sender.
        """
        name = _UNSEEN.sub("", unicodedata.normalize("NFKC", self.name))
        return _LIKE_ADDRESS.search(name) is not None and name.casefold() != self.address.casefold()


@dataclass(frozen=True, slots=True)
class AttachmentView:
    """A file that came with the message."""

    number: str
    """Of its part: ``Part.find`` gives it back."""
    filename: str
    """Without path, control and direction characters; never empty."""
    content_type: str
    size: int
    """Bytes of the file; of an encoded one, as its length lets expect."""


@dataclass(frozen=True, slots=True)
class MessageView:
    """Everything that one page shows."""

    subject: str
    subject_direction: Direction
    senders: tuple[Person, ...]
    to: tuple[Person, ...]
    cc: tuple[Person, ...]
    reply_to: tuple[Person, ...]
    date_ms: int | None
    """As the author's program says; ``None`` when it does not."""
    message_id: str
    references: str
    """References and Message-ID as an answer to this message carries them."""
    paragraphs: tuple[Paragraph, ...]
    """The text; of a message that has only HTML, its words."""
    html: str | None
    """Safe HTML for a sandboxed frame; ``None``: it is plain text only."""
    blocked: int
    """Remote images that were not loaded."""
    attachments: tuple[AttachmentView, ...]
    preview: str
    warnings: tuple[str, ...]
    """``several-from``, ``no-from``, ``bad-from``, ``from-group``, ``name-is-address``: what
    makes the author doubtful."""


@dataclass(slots=True)
class _Body:
    """The parts that are read, and those that are files."""

    shown: list[Leaf] = field(default_factory=list)
    """Text parts in order, all alternatives."""
    files: list[tuple[str, Part]] = field(default_factory=list)
    inline: dict[str, str] = field(default_factory=dict)
    """Content-ID to part number."""


def view_message(
    data: bytes,
    *,
    load_remote: bool = False,
    part_url: Callable[[str], str | None] | None = None,
) -> MessageView:
    """Read a message for a page.

    Args:
        data: the whole message.
        load_remote: images of other servers may load.
        part_url: gives our own address of a part by its number, for images inside the HTML;
            ``None``: they are left out.
    """
    root = parse_message(data)
    body = _find_body(root)
    paragraphs = _paragraphs(data, body)
    html, blocked = _html(data, body, load_remote, part_url)
    subject = one_line(decode_words(root.value(b"subject") or b""))
    message_id = one_line(decode_words(root.value(b"message-id") or b""))
    references = one_line(decode_words(root.value(b"references") or b""))
    return MessageView(
        subject,
        find_direction(subject),
        people(root, b"from"),
        people(root, b"to"),
        people(root, b"cc"),
        people(root, b"reply-to"),
        parse_date(root.value(b"date") or b""),
        message_id,
        f"{references} {message_id}".strip(),
        paragraphs,
        html,
        blocked,
        tuple([_attachment(number, part) for number, part in body.files]),
        _shorten(paragraphs),
        _warnings(root),
    )


@dataclass(frozen=True, slots=True)
class MessageSummary:
    """What one line of a list of messages shows."""

    subject: str
    senders: tuple[Person, ...]
    to: tuple[Person, ...]
    date_ms: int | None
    preview: str
    has_attachments: bool


def summarise(data: bytes) -> MessageSummary:
    """Read a message for a list; the start of it is enough for all but the attachments."""
    root = parse_message(data)
    body = _find_body(root)
    return MessageSummary(
        one_line(decode_words(root.value(b"subject") or b"")),
        people(root, b"from"),
        people(root, b"to"),
        parse_date(root.value(b"date") or b""),
        _shorten(_paragraphs(data, body, _PREVIEW_SOURCE)),
        bool(body.files),
    )


# ---- header section -------------------------------------------------------------------------

# Controls, and what turns the direction of all that follows; joiners and marks stay, because
# Arabic and Persian words need them.
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")


def one_line(text: str, limit: int = 1000) -> str:
    """Make text of a stranger fit to stand in a line of a page."""
    return _UNSHOWN.sub(" ", text[:limit]).strip()


def people(root: Part, name: bytes) -> tuple[Person, ...]:
    """Give everybody in all fields of this name (lower case)."""
    found: list[Person] = []
    for item in find_fields(root.fields, name):
        listed = parse_address_list(item.value).people
        found += [_person(one) for one in listed[:_MOST_PEOPLE]]
    return tuple(found[:_MOST_PEOPLE])


def _person(one: NamedAddress) -> Person:
    return Person(one_line(one.display_name, 200), one_line(one.spec, 400))


def _warnings(root: Part) -> tuple[str, ...]:
    fields = find_fields(root.fields, b"from")
    if not fields:
        return ("no-from",)
    found = ["several-from"] if len(fields) > 1 else []
    for item in fields:
        listed = parse_address_list(item.value)
        if listed.defects or not listed.people:
            found.append("bad-from")
        if any(isinstance(one, Group) for one in listed.items):
            found.append("from-group")
        if any("@" in one.name and one.poses_as_address for one in map(_person, listed.people)):
            found.append("name-is-address")
    return tuple(dict.fromkeys(found))


# ---- body -----------------------------------------------------------------------------------


def _find_body(root: Part) -> _Body:
    """Sort the parts into what is read and what is a file; enclosed messages are files."""
    body = _Body()
    for leaf in find_leaves(root):
        content_id = unfold(leaf.part.value(b"content-id") or b"").decode("utf-8", "replace")
        if content_id:
            body.inline.setdefault(content_id.strip("<>"), leaf.number)
        if leaf.is_shown:
            body.shown.append(leaf)
        if leaf.is_file:
            body.files.append((leaf.number, leaf.part))
    return body


def _paragraphs(data: bytes, body: _Body, limit: int = MAX_HTML) -> tuple[Paragraph, ...]:
    paragraphs: list[Paragraph] = []
    for leaf in choose(body.shown, "text/plain"):
        part = leaf.part
        if part.type == "text/html":
            html = part.text(data)[: limit * 2]
            is_preview = limit <= _PREVIEW_SOURCE
            words = (
                html_to_text(html, PREVIEW_LENGTH * 5)
                if is_preview
                else (html_to_marked_text(html))
            )
            paragraphs += split_paragraphs(words, marked=not is_preview)
        else:
            parameters = part.content_type.parameters
            paragraphs += split_paragraphs(
                part.text(data)[:limit],
                flowed=parameters.get("format", "").lower() == "flowed",
                delete_space=parameters.get("delsp", "").lower() == "yes",
            )
    return tuple(paragraphs)


def _html(
    data: bytes, body: _Body, load_remote: bool, part_url: Callable[[str], str | None] | None
) -> tuple[str | None, int]:
    """Put the HTML parts together, and plain ones that stand beside them."""
    if not any(leaf.part.type == "text/html" for leaf in body.shown):
        return None, 0

    def inline_url(content_id: str) -> str | None:
        number = body.inline.get(content_id)
        return part_url(number) if part_url is not None and number is not None else None

    pieces: list[str] = []
    blocked = 0
    for leaf in choose(body.shown, "text/html"):
        part = leaf.part
        if part.type == "text/html":
            safe = make_safe(part.text(data), load_remote=load_remote, inline_url=inline_url)
            pieces.append(f'<div dir="auto">{safe.html}</div>')
            blocked += safe.blocked
        else:
            text = escape(part.text(data)[:MAX_HTML])
            pieces.append(f'<div dir="auto" style="white-space:pre-wrap">{text}</div>')
    return "\n".join(pieces), blocked


def _shorten(paragraphs: tuple[Paragraph, ...]) -> str:
    words: list[str] = []
    length = 0
    for paragraph in paragraphs:
        if paragraph.quote_depth or length >= PREVIEW_LENGTH:
            continue
        words.append(paragraph.text[: PREVIEW_LENGTH * 2])
        length += len(words[-1])
    text = re.sub(r"\s+", " ", one_line(" ".join(words)))
    return text if len(text) <= PREVIEW_LENGTH else text[: PREVIEW_LENGTH - 1].rstrip() + "…"


_PATH = re.compile(r'[/\\:*?"<>|]+')


def _attachment(number: str, part: Part) -> AttachmentView:
    size = part.body_end - part.body_start
    if part.encoding == "base64":
        size = size * 57 // 78  # 57 bytes stand in a line of 76 characters and CRLF
    # Security: a name never becomes a path, and its end must be where a reader sees it.
    name = _PATH.sub("_", one_line(part.filename or "", 200)).strip(". ")
    if not name:
        subtype = part.type.partition("/")[2]
        name = "message.eml" if part.type in ENCLOSING else f"part-{number}.{subtype or 'bin'}"
        name = _PATH.sub("_", name)[:100]
    return AttachmentView(number, name, one_line(part.type, 100), size)
