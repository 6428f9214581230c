"""``/admin/queue``: the queue, and what an administrator can do with the mail in it."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.login.account import Account
from zajil.operations.context import OperationContext
from zajil.operations.queue import QueueAction, act_on_queue, list_queue, make_query
from zajil.web.access import actor_of
from zajil.web.notices import Done, Notices
from zajil.web.page import Pages, Visitor

_LIMIT = 500
_ACTIONS = {one.value: one for one in QueueAction if one is not QueueAction.DELETE}


class QueuePages:
    """The queue, row by row."""

    def __init__(self, pages: Pages, operations: OperationContext, notices: Notices) -> None:
        self._pages = pages
        self._operations = operations
        self._notices = notices

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show the queue, the next due first."""
        query = make_query(limit=_LIMIT)
        rows, _ = await self._operations.read(lambda conn: list_queue(conn, query))
        done = self._notices.read(request)
        response = self._pages.render(
            visitor, "admin/queue.html", rows=rows, limit=_LIMIT, done=done
        )
        if done is not None:
            self._notices.forget(response)
        return response

    async def act(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Hold, release, retry or expire one mail."""
        form = await request.form()
        action, mail_id = _ACTIONS.get(str(form.get("action"))), form.get("mail_id")
        if action is None or not isinstance(mail_id, str):
            raise HTTPException(400)
        await act_on_queue(self._operations, actor_of(request, account), action, [mail_id])
        response = RedirectResponse("/admin/queue", 303)
        self._notices.leave(response, Done(action.value, 1))
        return response
