"""``/mail``: the list of one mailbox, a page at a time."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.core.ids import AccountId, MailboxId, Uid
from zajil.core.labels import Label
from zajil.login.account import Account
from zajil.message.header_view import Person
from zajil.message.summary import Summary
from zajil.read.indexer import ListPage, keep_new, keep_now, read_page
from zajil.store.engine.open import Store
from zajil.store.mail.flags import TooManyKeywords
from zajil.store.mail.messages import Message, list_uids
from zajil.web.notices import Notices
from zajil.web.page import Pages, Visitor
from zajil.web.webmail.conversation_rows import (
    Author,
    ConversationPage,
    name_authors,
    read_conversations,
)
from zajil.web.webmail.mailboxes import Box, Boxes, load_boxes, number_in_path, read_number

_PAGE = 50
_MOST_PEOPLE = 3
"""Names in one line of the list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedMessage:
    """One line of the list."""

    uid: Uid
    received_at_ms: int
    seen: bool
    flagged: bool
    answered: bool
    forwarded: bool
    has_attachments: bool
    people: tuple[Person, ...]
    """Who wrote it; in Sent and Drafts, to whom."""
    subject: str
    preview: str
    count: int = 1
    """Messages of the conversation that the line stands for."""
    authors: tuple[Author, ...] = ()
    """Of a conversation, instead of ``people``."""
    labels: tuple[Label, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPlace:
    """Which part of a mailbox a page shows; newest first, counted from 1."""

    first: int
    last: int
    total: int | None
    """``None``: too many conversations to be counted."""
    newer: Uid | None
    """There are newer ones than this message; ``None``: there are not."""
    older: Uid | None
    """There are older ones than this message."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """The part that an address asks for: before or after a message, or the newest."""

    before: Uid | None
    after: Uid | None
    first: int
    """Of a list of conversations: the place of the first one. Only shown, so it is not checked."""


_Loaded: TypeAlias = tuple[Boxes, Box, ListPage, list[ListedMessage], ListPlace]


class MessageList:
    """Pages of one mailbox."""

    def __init__(self, pages: Pages, store: Store, notices: Notices) -> None:
        self._pages = pages
        self._store = store
        self._notices = notices

    async def home(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Go to the INBOX."""
        boxes = await self._store.read(
            lambda conn: load_boxes(conn, account.account_id, self._store.tables),
            account.account_id,
        )
        inbox = boxes.with_role("inbox") or boxes.all[0]
        return RedirectResponse(f"/mail/{inbox.mailbox_id}", 303)

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show one page of a mailbox, the newest first."""
        mailbox_id = MailboxId(number_in_path(request, "mailbox_id"))
        first = read_number(request.query_params.get("at")) or 1
        asked = _Asked(_uid(request, "before"), _uid(request, "after"), first)

        def load(conn: Any) -> _Loaded:
            return self._load(conn, visitor, account, mailbox_id, asked)

        boxes, current, page, lines, place = await self._store.read(load, account.account_id)
        if not _is_by_conversation(visitor, current):
            keep_new(self._store, page)
        elif await keep_now(self._store, page):
            # A message that has just come joins its conversation now.
            boxes, current, page, lines, place = await self._store.read(load, account.account_id)
        done = self._notices.read(request)
        response = self._pages.render(
            visitor,
            "letters.html",
            boxes=boxes,
            current=current,
            letters=lines,
            place=place,
            by_conversation=_is_by_conversation(visitor, current),
            done=done,
        )
        if done is not None:
            self._notices.forget(response)
        return response

    def _load(
        self,
        conn: Any,
        visitor: Visitor,
        account: Account,
        mailbox_id: MailboxId,
        asked: _Asked,
    ) -> _Loaded:
        boxes = load_boxes(conn, account.account_id, self._store.tables)
        current = boxes.get(mailbox_id)
        if current is None:
            raise HTTPException(404)
        is_outgoing = current.role in ("sent", "drafts")
        if _is_by_conversation(visitor, current):
            found = self._conversations(conn, account, current, asked)
            page, place = found.page, _place_of_conversations(found, asked.first)
            lines = [
                _conversation_line(row, one, found, visitor, account, is_outgoing=is_outgoing)
                for row, one in page.lines
            ]
            return boxes, current, page, lines, place
        uids = self._uids(conn, account.account_id, mailbox_id)
        read = {"before": asked.before, "after": asked.after}
        page = read_page(conn, self._store.blobs, mailbox_id, _PAGE, **read)
        if not page.lines and (asked.before is not None or asked.after is not None):
            page = read_page(conn, self._store.blobs, mailbox_id, _PAGE)
        lines = [
            replace(
                list_message(row, one, is_outgoing=is_outgoing), labels=visitor.labels_of(row.flags)
            )
            for row, one in page.lines
        ]
        return boxes, current, page, lines, _place(uids, [row.uid for row, _ in page.lines])

    def _conversations(
        self, conn: Any, account: Account, box: Box, asked: _Asked
    ) -> ConversationPage:
        read = (conn, self._store, account, box, _PAGE)
        found = read_conversations(*read, asked.before, asked.after)
        if not found.page.lines and (asked.before is not None or asked.after is not None):
            found = read_conversations(*read, None, None)
        return found

    def _uids(self, conn: Any, account_id: AccountId, mailbox_id: MailboxId) -> Any:
        """Return the UIDs of a mailbox, ascending: from memory, where they can be kept."""
        try:
            return self._store.tables.current(conn, account_id, mailbox_id).uids
        except TooManyKeywords:
            return list_uids(conn, mailbox_id)


def _uid(request: Request, name: str) -> Uid | None:
    number = read_number(request.query_params.get(name))
    return None if number is None else Uid(number)


def _place(uids: Any, shown: list[Uid]) -> ListPlace:
    """Return where messages are among all; both may be of slightly different moments."""
    total = len(uids)
    if not shown:
        return ListPlace(first=0, last=0, total=total, newer=None, older=None)
    newer = total - bisect_right(uids, shown[0])
    last = min(newer + len(shown), total)
    return ListPlace(
        first=newer + 1,
        last=last,
        total=total,
        newer=shown[0] if newer else None,
        older=shown[-1] if last < total else None,
    )


def _is_by_conversation(visitor: Visitor, box: Box) -> bool:
    # A draft is opened to be written on, whatever it answers.
    return visitor.choices.conversations and box.role != "drafts"


def _place_of_conversations(found: ConversationPage, first: int) -> ListPlace:
    shown = [row.uid for row, _ in found.page.lines]
    first = first if found.has_newer else 1
    last = first + len(shown) - 1 if shown else 0
    return ListPlace(
        first=first if shown else 0,
        last=last,
        # What came or went since the page before was shown moves what is counted there.
        total=None if found.total is None else max(found.total, last),
        newer=shown[0] if found.has_newer else None,
        older=shown[-1] if found.has_older else None,
    )


def _conversation_line(
    newest: Message,
    summary: Summary,
    found: ConversationPage,
    visitor: Visitor,
    account: Account,
    *,
    is_outgoing: bool,
) -> ListedMessage:
    line = list_message(newest, summary, is_outgoing=is_outgoing)
    facts = found.facts.get(newest.thread_id) if newest.thread_id is not None else None
    if facts is None or facts.count < 2:
        return replace(line, labels=visitor.labels_of(newest.flags))
    return replace(
        line,
        seen=not facts.unseen,
        flagged=facts.is_flagged,
        count=facts.count,
        labels=visitor.labels_of(facts.keywords),
        authors=() if is_outgoing else name_authors(facts.people, account),
    )


def list_message(found: Message, summary: Summary, *, is_outgoing: bool) -> ListedMessage:
    """Return the line of one message, without its labels.

    Args:
        found: its row.
        summary: of it.
        is_outgoing: the line says to whom it went, not who wrote it.
    """
    people = summary.to if is_outgoing else summary.senders
    return ListedMessage(
        uid=found.uid,
        received_at_ms=found.received_at_ms,
        seen="\\Seen" in found.flags,
        flagged="\\Flagged" in found.flags,
        answered="\\Answered" in found.flags,
        forwarded="$Forwarded" in found.flags,
        has_attachments=summary.has_attachments,
        people=people[:_MOST_PEOPLE],
        subject=summary.subject,
        preview=summary.preview,
    )
