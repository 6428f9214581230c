"""``POST /search/saved``: name a search, rename or delete it; they are listed with mailboxes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

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
from zajil.web.removed import SETTING as REMOVED
from zajil.web.removed import Removed, find_removed, with_removed, without_removed
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
        kept = {one.name: one for one in visitor.choices.searches}
        removed: dict[str, str | None] = {}
        if action == "delete":
            gone = kept.pop(clean_name(form.get("saved", "")), None)
            done, back = Done("unsaved", 1), query
            if gone is not None:
                one = Removed("search", gone.name, gone.query)
                removed = {REMOVED: with_removed(visitor.settings, one)}
                done, back = Done("unsaved", 1, undo=one.key), gone.query
        elif action == "undo":
            found = find_removed(visitor.settings, "search", str(form.get("undo")))
            if found is None or found.name in kept or len(kept) >= MOST:
                done, back = Done("late", 0), "" if found is None else found.value
            else:
                kept[found.name] = SavedSearch(found.name, found.value)
                removed = {REMOVED: without_removed(visitor.settings, found)}
                done, back = Done("undone", 1), found.value
        elif action == "save" and query:
            done, back = (
                _save(kept, clean_name(form.get("saved", "")), form.get("name"), query),
                query,
            )
        else:
            raise HTTPException(400)
        if done.count:
            try:
                await self._keep(actor_of(request, account), account, kept.values(), removed)
            except BadSetting:
                done = Done("unnamed", 0)
        response = RedirectResponse(SavedSearch("", back).path, 303)
        self._notices.leave(response, done)
        return response

    async def _keep(
        self,
        actor: Actor,
        account: Account,
        searches: Iterable[SavedSearch],
        others: Mapping[str, str | None],
    ) -> None:
        pairs = [[one.name, one.query] for one in searches]
        value = json.dumps(pairs, ensure_ascii=False) if pairs else None
        values = {SETTING: value, **others}
        await change_settings(self._operations, actor, account.login, values)


def _save(kept: dict[str, SavedSearch], before: str, name: object, query: str) -> Done:
    """Put a search among those that are kept: a new one, or one with another name."""
    new = clean_name(name or "")
    if not new:
        return Done("unnamed", 0)
    kept.pop(before, None)
    kept.pop(new, None)
    if len(kept) >= MOST:
        return Done("toomany", 0)
    kept[new] = SavedSearch(new, query)
    return Done("saved", 1)
