"""``/admin/accounts``: list, search and add accounts."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from zajil.core.address import parse_address
from zajil.login.account import Account
from zajil.operations.accounts import AccountUse, AddedAccount, add_account, show_accounts
from zajil.web.access import actor_of
from zajil.web.admin.desk_page import DeskPage, administers
from zajil.web.admin.problems import Problem, attempt
from zajil.web.page import Visitor

_PAGE = 100
_LONGEST = 320


class AccountList(DeskPage):
    """All accounts, a field that searches them, and the form for a new one."""

    async def act(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Create an account; its password is shown on this page alone."""
        form = await request.form()
        typed = {name: _text(form.get(name)) for name in ("address", "display_name")}
        is_admin = form.get("admin") == "1"
        if form.get("action") != "add":
            raise HTTPException(400)

        async def add() -> AddedAccount:
            return await add_account(
                self._operations,
                actor_of(request, account),
                parse_address(typed["address"]),
                display_name=typed["display_name"],
                admin=is_admin,
            )

        made = await attempt(add())
        if isinstance(made, Problem):
            return await self._render(request, visitor, 400, problem=made, typed=typed)
        return await self._render(request, visitor, made=made)

    async def _render(
        self, request: Request, visitor: Visitor, status: int = 200, **context: object
    ) -> Response:
        wanted = _text(request.query_params.get("q")).casefold()
        start = _number(request.query_params.get("from"))
        caps = self._operations.store.caps
        uses = await self._operations.read(lambda conn: show_accounts(conn, caps))
        own = [one for one in uses if administers(visitor, one.row.address.domain)]
        found = [one for one in own if wanted in _searched(one)]
        shown = {"made": None, "problem": None, "done": None, "typed": {}, **context}
        return self._pages.render(
            visitor,
            "admin/accounts.html",
            status,
            uses=found[start : start + _PAGE],
            total=len(found),
            start=start,
            page=_PAGE,
            q=_text(request.query_params.get("q")),
            **shown,
        )


def _text(value: object) -> str:
    return value.strip()[:_LONGEST] if isinstance(value, str) else ""


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 9 else 0


def _searched(use: AccountUse) -> str:
    row = use.row
    return f"{row.login}\n{row.address.unicode}\n{row.address}\n{row.display_name}".casefold()
