"""``POST /search/saved``: name a search, rename it, delete it; they are listed with mailboxes."""

from __future__ import annotations

import json
from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.core.actor import Actor
from zajil.login.account import Account
from zajil.operations.context import OperationContext
from zajil.operations.settings import change_settings
from zajil.read.search_query import MAX_QUERY
from zajil.store.people.settings import BadSetting
from zajil.web.access import actor_of
from zajil.web.notices import Done, Notices
from zajil.web.page import Visitor
from zajil.web.saved_searches import MOST, SETTING, SavedSearch, clean_name


class SavedSearches:
    """The forms that save a search, rename it, and delete it."""

    def __init__(self, operations: OperationContext, notices: Notices) -> None:
        self._operations = operations
        self._notices = notices

    async def act(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Do what a form asks, and go back to the results."""
        form = await request.form()
        action, query = str(form.get("action")), str(form.get("q", ""))[:MAX_QUERY].strip()
        name, new = clean_name(form.get("saved", "")), clean_name(form.get("name", ""))
        others = [one for one in visitor.choices.searches if one.name != name]
        gone = next((one for one in visitor.choices.searches if one.name == name), None)
        if action == "delete":
            done, back = Done("unsaved", 1), gone.query if gone else query
        elif action == "save" and query:
            if not new:
                done, back = Done("unnamed", 0), query
            else:
                others = [one for one in others if one.name != new]
                done, back = Done("saved", 1), query
                if len(others) >= MOST:
                    done = Done("toomany", 0)
                others.append(SavedSearch(new, query))
        else:
            raise HTTPException(400)
        if done.count:
            try:
                await self._keep(actor_of(request, account), account, others)
            except BadSetting:
                done = Done("unnamed", 0)
        response = RedirectResponse(SavedSearch("", back).path, 303)
        self._notices.leave(response, done)
        return response

    async def _keep(self, actor: Actor, account: Account, searches: Sequence[SavedSearch]) -> None:
        pairs = [[one.name, one.query] for one in searches]
        value = json.dumps(pairs, ensure_ascii=False) if pairs else None
        await change_settings(self._operations, actor, account.login, {SETTING: value})
