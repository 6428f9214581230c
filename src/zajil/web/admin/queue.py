"""``/admin/queue``: what waits, why, and what an operator can do about it."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.core.clock import Clock
from zajil.core.ids import MailId
from zajil.login.account import Account
from zajil.store.engine.open import Store
from zajil.store.queue.queue_admin import (
    QueueOrder,
    QueueQuery,
    expire,
    hold,
    list_rows,
    release,
    retry,
)
from zajil.web.notices import Done, Notices
from zajil.web.page import Pages, Visitor

_LIMIT = 500
_ACTIONS = {"hold": hold, "release": release, "retry": retry, "expire": expire}


class QueuePages:
    """The queue, row by row."""

    def __init__(self, pages: Pages, store: Store, clock: Clock, notices: Notices) -> None:
        self._pages = pages
        self._store = store
        self._clock = clock
        self._notices = notices

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show what waits, the soonest due first."""
        rows = await self._store.read(lambda conn: list_rows(conn, QueueQuery(limit=_LIMIT)))
        done = self._notices.read(request)
        response = self._pages.render(
            visitor, "admin/queue.html", rows=rows, limit=_LIMIT, done=done
        )
        if done is not None:
            self._notices.forget(response)
        return response

    async def act(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Hold, release, retry or give up one mail; its journey says who did."""
        form = await request.form()
        unit = _ACTIONS.get(str(form.get("action")))
        mail_id = form.get("mail_id")
        if unit is None or not isinstance(mail_id, str):
            raise HTTPException(400)
        order = QueueOrder((MailId(mail_id),), account.login, "", self._clock.now_ms())
        await self._store.write(unit, order)
        response = RedirectResponse("/admin/queue", 303)
        self._notices.leave(response, Done(str(form.get("action")), 1))
        return response
