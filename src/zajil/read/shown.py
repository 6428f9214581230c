"""A message as a page shows it: header summary, paragraphs, safe HTML, and what is odd about it.

Never raises on any bytes. All of it comes from ``message.view``, as what the checks judge does; of
HTML only what ``message.html`` says is shown gets here (docs/decisions/0012-walls.md).
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from zajil.core.value_class import value_class
from zajil.message.header_view import Person, one_line
from zajil.message.view import Attachment, MessageView, TextPiece, content_id
from zajil.read.html_text import html_to_marked_text
from zajil.read.paragraphs import Direction, Paragraph, find_direction, split_paragraphs
from zajil.read.safe_html import make_safe

_CUT = "…"
"""Stands where there is more than is read of a message."""


@value_class(frozen=True, slots=True, kw_only=True)
class ShownMessage:
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
    attachments: tuple[Attachment, ...]
    warnings: tuple[str, ...]
    """``several-from``, ``no-from``, ``bad-from``, ``from-group``, ``name-is-address``: what
    makes the author doubtful."""


def show_message(
    data: bytes,
    *,
    remote_url: Callable[[str], str] | None = None,
    part_url: Callable[[str], str | None] | None = None,
) -> ShownMessage:
    """Return what a page shows of a message.

    Args:
        data: the whole message.
        remote_url: returns our own address of an image of another server; ``None``: such images
            are not loaded.
        part_url: returns our own address of a part by its number, for images inside the HTML;
            ``None``: they are left out.
    """
    view = MessageView.from_bytes(data)
    subject = one_line(view.subject)
    html, blocked = _html(view, remote_url, part_url)
    return ShownMessage(
        subject=subject,
        subject_direction=find_direction(subject),
        senders=view.senders,
        to=view.to,
        cc=view.cc,
        reply_to=view.reply_to,
        date_ms=view.date_ms,
        message_id=view.message_id,
        references=f"{view.references} {view.message_id}".strip(),
        paragraphs=_paragraphs(view),
        html=html,
        blocked=blocked,
        attachments=view.attachments,
        warnings=view.author_warnings,
    )


def _paragraphs(view: MessageView) -> tuple[Paragraph, ...]:
    paragraphs: list[Paragraph] = []
    for piece in view.alternatives("text/plain"):
        if piece.html is not None:
            words = html_to_marked_text(piece.html.shown_source)
            paragraphs += split_paragraphs(words + _end_of(piece), marked=True)
            continue
        parameters = piece.part.content_type.parameters
        paragraphs += split_paragraphs(
            piece.text + _end_of(piece),
            flowed=parameters.get("format", "").lower() == "flowed",
            delete_space=parameters.get("delsp", "").lower() == "yes",
        )
    return tuple(paragraphs)


def _html(
    view: MessageView,
    remote_url: Callable[[str], str] | None,
    part_url: Callable[[str], str | None] | None,
) -> tuple[str | None, int]:
    """Put the HTML parts together, and plain ones that stand beside them."""
    chosen = view.alternatives("text/html")
    if not any(piece.html is not None for piece in chosen):
        return None, 0
    numbers: dict[str, str] = {}
    for leaf in view.leaves:
        if name := content_id(leaf.part):
            numbers.setdefault(name, leaf.number)

    def inline_url(name: str) -> str | None:
        number = numbers.get(name)
        return part_url(number) if part_url is not None and number is not None else None

    pieces: list[str] = []
    blocked = 0
    for piece in chosen:
        if piece.html is not None:
            source = piece.html.shown_source
            # Those of one part would apply to the others, too.
            sheets = "" if len(chosen) > 1 else piece.html.sheets
            safe = make_safe(source, sheets=sheets, remote_url=remote_url, inline_url=inline_url)
            pieces.append(f'<div dir="auto">{safe.html}{_end_of(piece)}</div>')
            blocked += safe.blocked
        else:
            text = escape(piece.text) + _end_of(piece)
            pieces.append(f'<div dir="auto" style="white-space:pre-wrap">{text}</div>')
    return "\n".join(pieces), blocked


def _end_of(piece: TextPiece) -> str:
    return f" {_CUT}" if piece.is_cut else ""
