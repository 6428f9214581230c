"""``/admin/queue``: the queue, and what an administrator can do with the mail in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.core.errors import Invalid
from zajil.core.service import RecipientState
from zajil.login.account import Account
from zajil.operations.context import OperationContext
from zajil.operations.queue import QueueAction, act_on_queue, find_mails, list_queue, make_query
from zajil.store.engine.reader import Snapshot
from zajil.store.queue.queue_admin import QueueQuery, QueueRow
from zajil.store.queue.queue_counts import QueueCounts, count_queue
from zajil.web.access import actor_of
from zajil.web.notices import Done, Notices
from zajil.web.page import Pages, Visitor

_LIMIT = 200
_LONGEST = 320
_MOST_COUNTED = 8
_FILTERS = ("domain", "from", "to", "reason", "state", "age")
_STATES = {one.value: one for one in (RecipientState.WAITING, RecipientState.HELD)}
_AGES = {"1": 3_600_000, "4": 4 * 3_600_000, "24": 86_400_000, "72": 3 * 86_400_000}
"""Milliseconds, by hours."""
_ACTIONS = {one.value: one for one in QueueAction}


@dataclass(frozen=True, slots=True)
class _Asked:
    """What stands in the filters, and the query for it."""

    values: Mapping[str, str]
    query: QueueQuery | None
    """``None``: an address or a domain cannot be understood."""

    @property
    def is_filtered(self) -> bool:
        return any(self.values.values())


class QueuePages:
    """The queue, row by row, with filters, figures and acts on many mails at once."""

    def __init__(self, pages: Pages, operations: OperationContext, notices: Notices) -> None:
        self._pages = pages
        self._operations = operations
        self._notices = notices

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show the queue, the next due first."""
        asked = self._read(request.query_params, account)

        def load(conn: Snapshot) -> tuple[list[QueueRow], bool, QueueCounts | None]:
            rows, more = ([], False) if asked.query is None else list_queue(conn, asked.query)
            # The figures are those of the whole server.
            return rows, more, count_queue(conn, _MOST_COUNTED) if account.admin else None

        rows, more, counts = await self._operations.read(load)
        response = self._pages.render(
            visitor,
            "admin/queue.html",
            rows=rows,
            more=more,
            counts=counts,
            asked=asked.values,
            is_wrong=asked.query is None,
            is_filtered=asked.is_filtered,
            states=list(_STATES),
            ages=list(_AGES),
            limit=_LIMIT,
            done=self._notices.read(request),
        )
        self._notices.forget(response)
        return response

    async def act(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Hold, release, retry, return or delete the selected mails, or all that match."""
        form = await request.form()
        action = _ACTIONS.get(str(form.get("action")))
        texts = {name: str(form.get(name, "")) for name in _FILTERS}
        asked = self._read(texts, account)
        query = asked.query
        if action is None or query is None:
            raise HTTPException(400)
        if form.get("all") == "1":
            mail_ids: list[str] = [
                *await self._operations.read(lambda conn: find_mails(conn, action, query))
            ]
        else:
            mail_ids = [one for one in form.getlist("mail_id") if isinstance(one, str)]
        done = await act_on_queue(
            self._operations,
            actor_of(request, account),
            action,
            mail_ids,
            reason=str(form.get("note", "")).strip()[:_LONGEST],
            only=query if asked.is_filtered else None,
        )
        back = urlencode({name: value for name, value in asked.values.items() if value})
        response = RedirectResponse("/admin/queue" + (f"?{back}" if back else ""), 303)
        self._notices.leave(response, Done(action.value, len(done)))
        return response

    def _read(self, given: Mapping[str, str], account: Account) -> _Asked:
        asked = {name: _clean(given.get(name, "")) for name in _FILTERS}
        age_ms = _AGES.get(asked["age"])
        try:
            query = make_query(
                sender=asked["from"] or None,
                recipient=asked["to"] or None,
                next_hop=asked["domain"] or None,
                state=_STATES.get(asked["state"]),
                reason=asked["reason"] or None,
                before_ms=None if age_ms is None else self._operations.clock.now_ms() - age_ms,
                limit=_LIMIT,
            )
        except Invalid:
            return _Asked(asked, None)
        if not account.admin:
            query = replace(query, domains=account.domains)
        return _Asked(asked, query)


def _clean(text: str) -> str:
    return text.strip()[:_LONGEST].replace("\0", "")
