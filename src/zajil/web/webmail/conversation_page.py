"""A conversation on the page of one of its messages: what is shown whole, and what is folded.

Whole are the message that was opened and those that nobody has read; each is marked as read, since
its reader sees it. The others are rows, which a script unfolds in place and which lead to the pages
of their messages without one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from starlette.exceptions import HTTPException

from zajil.core.ids import BlobId, MailboxId, Uid
from zajil.login.account import Account
from zajil.store.mail.conversations import ThreadMessage, find_conversation
from zajil.store.mail.messages import Message
from zajil.web.webmail.mailboxes import Boxes
from zajil.web.webmail.shown_letter import LetterReader, LoadedLetter, Place, ShownLetter

MOST_WHOLE = 20
"""Messages of one page that are shown whole."""
_MOST_BYTES = 8 << 20
"""Of the messages that are read to be shown beside the one that was opened."""
_MOST_TEXT = 10_000
"""Characters of plain text that stand in a page beside the one that was opened."""
_MOST_ROWS = 3
"""Folded rows in a line; more are behind one title."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A message that is folded."""

    one: ThreadMessage
    unfolds: bool
    """It may be shown in place; a draft is opened to be written on."""

    @property
    def address(self) -> str:
        """The address of its page."""
        return f"/mail/{self.one.mailbox_id}/{self.one.message.uid}"

    @property
    def name(self) -> str:
        """``MAILBOX.UID``."""
        return f"{self.one.mailbox_id}.{self.one.message.uid}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A message that is shown whole, or rows that stand in a line."""

    letter: ShownLetter | None = None
    shows_subject: bool = False
    """Its subject is another one than that of the first message."""
    rows: tuple[Row, ...] = ()
    is_earlier: bool = False
    """The rows stand above the message that was opened."""

    @property
    def is_folded(self) -> bool:
        """There are so many rows that a title stands for them."""
        return len(self.rows) > _MOST_ROWS


def find_thread(
    conn: Any, account: Account, mailbox_id: MailboxId, found: Message
) -> list[ThreadMessage]:
    """Return the conversation of a message, the oldest first; only itself: it is alone. A query."""
    here, others = ThreadMessage(mailbox_id, found, None), []
    if found.thread_id is not None:
        for one in find_conversation(conn, account.account_id, found.thread_id, mailbox_id):
            if one.message.blob_id != found.blob_id:
                others.append(one)
            else:
                # Of two copies in one mailbox, the one that was asked for.
                here = replace(here, summary=one.summary)
    every = [here, *others]
    return sorted(every, key=lambda one: (one.message.received_at_ms, one.message.uid))


def load_unread(
    conn: Any,
    reader: LetterReader,
    account: Account,
    boxes: Boxes,
    thread: Sequence[ThreadMessage],
    opened: BlobId,
) -> list[LoadedLetter]:
    """Return the messages of a conversation that are shown whole beside the one that was opened.

    A query: ``store.read`` runs it.
    """
    loaded: list[LoadedLetter] = []
    size = text = 0
    for one in thread:
        if len(loaded) + 1 >= MOST_WHOLE:
            break
        is_read = "\\Seen" in one.message.flags or one.message.blob_id == opened
        if is_read or is_draft(boxes, one) or size + one.message.size > _MOST_BYTES:
            continue
        size += one.message.size
        try:
            letter = reader.load(conn, account, boxes, place_of(one))
        except HTTPException:
            continue  # its bytes are gone
        text += sum([len(paragraph.text) for paragraph in letter.letter.view.paragraphs])
        if text <= _MOST_TEXT:
            loaded.append(letter)
    return loaded


def is_draft(boxes: Boxes, one: ThreadMessage) -> bool:
    """Whether a message is written on, not read."""
    box = boxes.get(one.mailbox_id)
    return box is None or box.role == "drafts" or "\\Draft" in one.message.flags


def lay_out(
    boxes: Boxes,
    thread: Sequence[ThreadMessage],
    whole: Mapping[Place, ShownLetter],
    opened: Place,
) -> list[Piece]:
    """Return a conversation as a page shows it, the oldest first.

    Args:
        boxes: of the reader.
        thread: all its messages.
        whole: those that are shown whole, by place.
        opened: the message whose page it is.
    """
    subject = _subject(thread[0]) if thread else None
    pieces: list[Piece] = []
    rows: list[Row] = []
    is_earlier = True

    def end_rows() -> None:
        if rows:
            pieces.append(Piece(rows=tuple(rows), is_earlier=is_earlier))
            rows.clear()

    for one in thread:
        letter = whole.get(place_of(one))
        if letter is None:
            rows.append(Row(one=one, unfolds=not is_draft(boxes, one)))
            continue
        end_rows()
        pieces.append(Piece(letter=letter, shows_subject=_subject(one) != subject))
        is_earlier = is_earlier and place_of(one) != opened
    end_rows()
    return pieces


def place_of(one: ThreadMessage) -> Place:
    """Return where a message is."""
    return (one.mailbox_id, one.message.uid)


def by_mailbox(places: Iterable[Place]) -> dict[MailboxId, list[Uid]]:
    """Return places of messages as the operations take them."""
    found: dict[MailboxId, list[Uid]] = {}
    for mailbox_id, uid in places:
        found.setdefault(mailbox_id, []).append(uid)
    return found


def _subject(one: ThreadMessage) -> str | None:
    return one.summary.base_subject.casefold() if one.summary is not None else None
