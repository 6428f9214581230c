"""``/scheduled`` and ``/compose/undo``: messages that were sent and are not on their way yet."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.core.ids import MAIL_ID_PATTERN, MailId
from zajil.login.account import Account
from zajil.operations.sending import recall
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.room import OverQuota
from zajil.store.queue.recall import TooLate, list_scheduled
from zajil.web.access import actor_of
from zajil.web.notices import Done, Notices
from zajil.web.page import Pages, Visitor
from zajil.web.services import WebServices
from zajil.web.webmail.compose_form import spell_place
from zajil.web.webmail.mailboxes import load_boxes

LATEST_DAYS = 366
"""How far ahead a message may be scheduled."""
_MOST = 100
_MAIL_ID = re.compile(rf"{MAIL_ID_PATTERN}\Z")


def read_time(text: object, zone: tzinfo, now_ms: int) -> int | None:
    """Read the value of an ``input type=datetime-local``, in the zone of the visitor.

    Returns:
        Milliseconds since 1970 UTC; ``None``: it is no time, has passed, or is too far ahead.
    """
    if not isinstance(text, str) or not 16 <= len(text) <= 30:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    if at.tzinfo is not None:
        return None
    try:
        at_ms = int(at.replace(tzinfo=zone).timestamp() * 1000)
    except (OverflowError, ValueError):
        return None
    latest_ms = now_ms + LATEST_DAYS * 86_400_000
    return at_ms if now_ms < at_ms <= latest_ms else None


def write_time(at_ms: int, zone: tzinfo) -> str:
    """Return a time as an ``input type=datetime-local`` has it."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)
    return at.astimezone(zone).strftime("%Y-%m-%dT%H:%M")


class ScheduledPages:
    """The list of messages that wait for their time, and taking one back."""

    def __init__(self, pages: Pages, services: WebServices, notices: Notices) -> None:
        self._pages = pages
        self._services = services
        self._store = services.store
        self._notices = notices

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """List them."""
        now_ms = self._services.clock.now_ms()
        boxes, waiting = await self._store.read(
            lambda conn: (
                load_boxes(conn, account.account_id, self._services.store.tables),
                list_scheduled(conn, account.account_id, now_ms, _MOST),
            ),
            account.account_id,
        )
        done = self._notices.read(request)
        response = self._pages.render(
            visitor, "scheduled.html", boxes=boxes, current=None, waiting=waiting, done=done
        )
        if done is not None:
            self._notices.forget(response)
        return response

    async def undo(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Take a message back, and open it as a draft."""
        mail_id = (await request.form()).get("mail_id")
        if not isinstance(mail_id, str) or not _MAIL_ID.match(mail_id):
            raise HTTPException(400)
        try:
            place = await recall(
                self._services.operations, actor_of(request, account), MailId(mail_id)
            )
        except (TooLate, NoSuchMailbox, OverQuota) as error:
            action = "full" if isinstance(error, OverQuota) else "late"
            response = RedirectResponse("/mail", 303)
            self._notices.leave(response, Done(action, 1))
            return response
        return RedirectResponse(f"/compose?draft={spell_place(place)}", 303)
