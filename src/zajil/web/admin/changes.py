"""``/admin/changes``: who changed what, and when."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from zajil.login.account import Account
from zajil.operations.audit import show_audit
from zajil.operations.context import OperationContext
from zajil.web.page import Pages, Visitor

_PAGE = 100
_MOST = 10_000
_LONGEST = 320


class ChangePages:
    """The audit trail, newest first."""

    def __init__(self, pages: Pages, operations: OperationContext) -> None:
        self._pages = pages
        self._operations = operations

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show changes that match the filters."""
        about, actor = (
            request.query_params.get(name, "").strip()[:_LONGEST].replace("\0", "")
            for name in ("about", "actor")
        )
        number = request.query_params.get("from", "")
        start = int(number) if number.isascii() and number.isdigit() and len(number) < 6 else 0
        start = min(start, _MOST)
        events = await self._operations.read(
            lambda conn: show_audit(
                conn, about=about or None, actor=actor or None, limit=start + _PAGE + 1
            )
        )
        return self._pages.render(
            visitor,
            "admin/changes.html",
            events=events[start : start + _PAGE],
            about=about,
            actor=actor,
            start=start,
            page=_PAGE,
            more=len(events) > start + _PAGE,
        )
