"""``/contacts/complete``: people and groups of contacts that a beginning names."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from zajil.core.ids import AccountId
from zajil.login.account import Account
from zajil.operations.contacts import forget_recipient
from zajil.store.engine.reader import Snapshot
from zajil.store.people.contacts import find_contacts_with, list_groups
from zajil.store.people.written_to import find_written_to, get_written_to
from zajil.web.access import actor_of
from zajil.web.page import Visitor
from zajil.web.security import local_path
from zajil.web.services import WebServices
from zajil.web.webmail.completion import Suggestion, is_whole_name, suggest, suggest_groups
from zajil.web.webmail.contact_groups import ContactGroup, load_group

_CANDIDATES = 200
"""Contacts that fit what was typed, and are compared."""
_MOST_TYPED = 100


class RecipientPages:
    """Completes recipients, and forgets them."""

    def __init__(self, services: WebServices) -> None:
        self._operations = services.operations
        self._most = services.acceptance.policy.max_recipients

    async def complete(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Send whom somebody means by the first letters that were typed."""
        text = request.query_params.get("q", "")[:_MOST_TYPED].strip()
        now_ms = self._operations.clock.now_ms()
        people, groups = await self._operations.store.read(
            lambda conn: _load(conn, account.account_id, text, now_ms), account.account_id
        )
        listed = [{"name": one.name, "address": one.address, "text": one.text} for one in people]
        for one in reversed(groups):
            row = {
                "name": one.name,
                "people": one.summary(self._most, visitor.language),
                "text": one.recipients(self._most),
            }
            # Enter takes the first row: a group is first only for whoever typed all of its name.
            listed.insert(0 if is_whole_name(one.name, text) else len(people), row)
        return JSONResponse(listed, headers={"Cache-Control": "no-store"})

    async def forget(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Suggest an address no more."""
        form = await request.form()
        actor = actor_of(request, account)
        await forget_recipient(self._operations, actor, str(form.get("address", "")))
        return RedirectResponse(local_path(form.get("next"), "/contacts"), 303)


def _load(
    conn: Snapshot, account_id: AccountId, text: str, now_ms: int
) -> tuple[list[Suggestion], list[ContactGroup]]:
    """Return people and groups, the most likely first; groups that have an address."""
    if not text:
        return [], []
    contacts = find_contacts_with(conn, account_id, text, _CANDIDATES)
    history = find_written_to(conn, account_id, text, _CANDIDATES)
    addresses = [address for one in contacts for address in one.emails]
    history += get_written_to(conn, account_id, addresses)
    names = suggest_groups(list_groups(conn, account_id), text)
    groups = [load_group(conn, account_id, name) for name in names]
    return suggest(contacts, history, text, now_ms), [one for one in groups if one.members]
