"""``/mail/MAILBOX/UID``: reading one letter.

Security: the HTML of a message is a document of its own, cleaned by ``read.safe_html``, without
scripts, by its own Content-Security-Policy and by the sandbox of the frame around it; each alone
would do. Nothing is loaded from elsewhere. Files are only ever downloaded.
"""

from __future__ import annotations

import functools
from base64 import b64encode
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from zajil.core.ids import AccountId, MailboxId, Uid
from zajil.login.account import Account
from zajil.message.parse import parse_message
from zajil.operations.context import OperationContext
from zajil.operations.messages import set_flag
from zajil.read.shown import show_message
from zajil.store.mail.blobs import NoSuchBlob
from zajil.store.mail.mailboxes import get_mailbox
from zajil.store.mail.messages import Message, get_messages, read_message
from zajil.tracking.sentences import Sentence
from zajil.tracking.story import why_junk
from zajil.web.access import actor_of
from zajil.web.journey import load_visible
from zajil.web.notices import Notices
from zajil.web.page import Pages, Visitor
from zajil.web.security import LETTER_POLICY, LETTER_POLICY_WITH_PICTURES
from zajil.web.webmail.mailboxes import Box, load_boxes, number_in_path

_PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
_MOST_PICTURE_BYTES = 8 << 20
"""Of all inline pictures of one message together: they are sent within its HTML."""

T = TypeVar("T")

_MOST_SUSPICIONS = 5
"""Reasons that are shown above a letter; its journey has all."""


class MessagePages:
    """One letter: as a page, its HTML, its files, its bytes."""

    def __init__(self, pages: Pages, operations: OperationContext, notices: Notices) -> None:
        self._pages = pages
        self._operations = operations
        self._store = operations.store
        self._notices = notices

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show a letter, and note that it was read."""
        mailbox_id, uid = _place(request)
        with_pictures = _wants_pictures(request)
        read = functools.partial(show_message, load_remote=with_pictures)
        boxes, found, view = await self._store.read(
            lambda conn: (
                load_boxes(conn, account.account_id),
                *self._open(conn, account.account_id, mailbox_id, uid, read),
            ),
            account.account_id,
        )
        # A browser that only looks ahead has not read it.
        if "\\Seen" not in found.flags and "sec-purpose" not in request.headers:
            actor = actor_of(request, account)
            await set_flag(self._operations, actor, mailbox_id, (uid,), "\\Seen", is_set=True)
        as_html = view.html is not None and (
            not view.paragraphs or request.query_params.get("view") != "text"
        )
        current = boxes.get(mailbox_id)
        done = self._notices.read(request)
        response = self._pages.render(
            visitor,
            "letter.html",
            boxes=boxes,
            current=current,
            found=found,
            view=view,
            as_html=as_html,
            with_pictures=with_pictures,
            is_draft=(current is not None and current.role == "drafts") or "\\Draft" in found.flags,
            done=done,
            suspicions=await self._suspicions(current, found, account),
        )
        if done is not None:
            self._notices.forget(response)
        return response

    async def _suspicions(
        self, box: Box | None, found: Message, account: Account
    ) -> tuple[Sentence, ...]:
        """Return why a letter lies in Junk; nothing where nothing was held against it."""
        if box is None or box.role != "junk" or found.mail_id is None:
            return ()
        journey = await load_visible(self._store, found.mail_id, account)
        return () if journey is None else why_junk(journey)[:_MOST_SUSPICIONS]

    async def show_html(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Return the cleaned HTML of a letter, for the frame in its page."""
        with_pictures = _wants_pictures(request)
        _, html = await self._load(
            request, account, lambda message: _html_with_pictures(message, with_pictures)
        )
        if html is None:
            raise HTTPException(404)
        page = self._pages.render_text(visitor, "letter_frame.html", html=Markup(html))  # noqa: S704
        policy = LETTER_POLICY_WITH_PICTURES if with_pictures else LETTER_POLICY
        return HTMLResponse(page, headers={"Content-Security-Policy": policy})

    async def download(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Return one file of a letter, to be kept and not to be opened here."""
        number = request.path_params["number"]
        _, found = await self._load(request, account, lambda message: _file(message, number))
        if found is None:
            raise HTTPException(404)
        return _as_file(*found)

    async def download_source(
        self, request: Request, visitor: Visitor, account: Account
    ) -> Response:
        """Return the whole message as it lies in the mailbox."""
        found, message = await self._load(request, account, bytes)
        return _as_file(f"{found.uid}.eml", message)

    async def _load(
        self, request: Request, account: Account, read: Callable[[bytes], T]
    ) -> tuple[Message, T]:
        mailbox_id, uid = _place(request)
        return await self._store.read(
            lambda conn: self._open(conn, account.account_id, mailbox_id, uid, read),
            account.account_id,
        )

    def _open(
        self,
        conn: Any,
        account_id: AccountId,
        mailbox_id: MailboxId,
        uid: Uid,
        read: Callable[[bytes], T],
    ) -> tuple[Message, T]:
        # Security: the mailbox is looked up under the account; an id alone is never enough.
        if get_mailbox(conn, account_id, mailbox_id) is None:
            raise HTTPException(404)
        found = get_messages(conn, mailbox_id, [uid])
        if not found:
            raise HTTPException(404)
        try:
            return found[0], read(read_message(conn, self._store.blobs, found[0]))
        except NoSuchBlob:
            raise HTTPException(404) from None


def _wants_pictures(request: Request) -> bool:
    """Whether the reader asked for remote pictures.

    Security: a link in a message may lead to this address too, but browsers say where it stood.
    """
    site = request.headers.get("sec-fetch-site", "none")
    return request.query_params.get("pictures") == "1" and site in ("same-origin", "none")


def _html_with_pictures(message: bytes, load_remote: bool) -> str | None:
    """Return the safe HTML with the pictures that the message brings, as ``data:`` URLs.

    The frame has no origin, so a picture at an address of ours would be asked for without a log-in.
    """
    root = parse_message(message)
    left = _MOST_PICTURE_BYTES

    def data_url(number: str) -> str | None:
        nonlocal left
        part = root.find(number)
        # Security: no SVG, which is a document; what else claims to be a picture is decoded as one.
        if part is None or part.type not in _PICTURES:
            return None
        data = part.content(message)
        left -= len(data)
        return f"data:{part.type};base64,{b64encode(data).decode()}" if left >= 0 else None

    return show_message(message, load_remote=load_remote, part_url=data_url).html


def _place(request: Request) -> tuple[MailboxId, Uid]:
    return MailboxId(number_in_path(request, "mailbox_id")), Uid(number_in_path(request, "uid"))


def _file(message: bytes, number: str) -> tuple[str, bytes] | None:
    """Return name and bytes of a file that the page lists; other parts are not files."""
    files = {file.number: file.filename for file in show_message(message).attachments}
    part = parse_message(message).find(number) if number in files else None
    return (files[number], part.content(message)) if part is not None else None


def _as_file(filename: str, data: bytes) -> Response:
    # RFC 6266 section 4.3: the name in UTF-8, percent-encoded, so that nothing in it can end the
    # field; octet-stream, so that nothing is ever shown as a page of ours.
    disposition = f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
    headers = {"Content-Disposition": disposition, "Content-Security-Policy": "sandbox"}
    return Response(data, media_type="application/octet-stream", headers=headers)
