"""``/admin/aliases``: list, create, change and remove aliases, catch-alls among them."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from zajil.core.actor import Actor
from zajil.login.account import Account
from zajil.operations.aliases import add_alias, remove_alias, set_alias
from zajil.store.people.aliases import AliasRow, list_aliases
from zajil.web.access import actor_of
from zajil.web.admin.desk_page import DeskPage, administers
from zajil.web.admin.problems import Problem, attempt
from zajil.web.page import Visitor

_MOST_SHOWN = 500
_LONGEST = 320
_MOST_TEXT = 20_000
"""Characters of a list of targets."""


class AliasPages(DeskPage):
    """All aliases, a field that searches them, and the form for a new one."""

    async def act(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Create, change or remove one."""
        form = await request.form()
        address, targets = form.get("address"), form.get("targets", "")
        if not isinstance(address, str) or not isinstance(targets, str):
            raise HTTPException(400)
        # The Arabic comma divides addresses, too; a form sends lines with CRLF.
        words = targets[:_MOST_TEXT].replace(",", " ").replace("،", " ").split()
        action, actor = str(form.get("action")), actor_of(request, account)
        name = address.strip()[:_LONGEST]
        done = await attempt(self._change(action, actor, name, words))
        if isinstance(done, Problem):
            typed = {"address": address, "targets": targets}
            return await self._render(request, visitor, 409, problem=done, typed=typed)
        return self._back("/admin/aliases", f"alias{action}")

    async def _change(self, action: str, actor: Actor, address: str, targets: list[str]) -> None:
        if action == "add":
            await add_alias(self._operations, actor, address, targets)
        elif action == "set":
            await set_alias(self._operations, actor, address, targets)
        elif action == "remove":
            await remove_alias(self._operations, actor, address)
        else:
            raise HTTPException(400)

    async def _render(
        self, request: Request, visitor: Visitor, status: int = 200, **context: object
    ) -> Response:
        q = request.query_params.get("q", "").strip()[:_LONGEST]
        rows = await self._operations.read(list_aliases)
        own = [row for row in rows if administers(visitor, row.address.domain)]
        found = [row for row in own if q.casefold() in _searched(row)]
        shown = {"done": None, "problem": None, "typed": {}, **context}
        return self._pages.render(
            visitor,
            "admin/aliases.html",
            status,
            rows=found[:_MOST_SHOWN],
            more=len(found) > _MOST_SHOWN,
            q=q,
            **shown,
        )


def _searched(row: AliasRow) -> str:
    return "\n".join(one.unicode for one in (row.address, *row.targets)).casefold()
