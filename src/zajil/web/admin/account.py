"""``/admin/accounts/LOGIN``: everything about one account, and what can be done with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from zajil.core.actor import Actor
from zajil.core.ids import AppPasswordId
from zajil.core.units import format_size, parse_size
from zajil.login.account import Account
from zajil.operations.account_changes import DEFAULT, change_profile, limit, release
from zajil.operations.accounts import (
    AccountDetail,
    change_password,
    find_account,
    remove_account,
    resume_account,
    show_account,
    suspend_account,
)
from zajil.operations.app_passwords import delete_app_password
from zajil.operations.audit import show_audit
from zajil.operations.context import OperationContext
from zajil.operations.delegations import delegate, revoke_delegation
from zajil.store.engine.reader import Snapshot
from zajil.store.people.accounts import AccountRow
from zajil.tracking.audit import AuditEvent
from zajil.web.access import actor_of
from zajil.web.admin.desk_page import DeskPage, administers
from zajil.web.admin.problems import Problem, attempt
from zajil.web.notices import Notices
from zajil.web.page import Pages, Visitor

_CHANGES = 20
"""Recent changes that are shown."""
_LONGEST = 320
_EXEMPT_MS = 7 * 86_400_000
"""An account that was released is not held again for a week."""

_Act: TypeAlias = Callable[[OperationContext, Actor, str, Mapping[str, str]], Awaitable[object]]


class OneAccount(DeskPage):
    """One account: facts, forms, and the last changes of it.

    Args:
        pages, operations, notices: as of every page.
        place: the main shard, and the name of the shard of these pages; ``None``: there is only
            one store.
    """

    def __init__(
        self,
        pages: Pages,
        operations: OperationContext,
        notices: Notices,
        place: tuple[OperationContext, str] | None,
    ) -> None:
        super().__init__(pages, operations, notices)
        self._place = place

    async def act(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Do one thing; a new password is shown on this page alone."""
        login, values = request.path_params["login"], _values(await request.form())
        action, actor = values.get("action", ""), actor_of(request, account)
        if action == "password":
            made = await attempt(change_password(self._operations, actor, login, None))
            if isinstance(made, Problem):
                return await self._render(request, visitor, 409, problem=made)
            return await self._render(request, visitor, password=made)
        work = _ACTS.get(action)
        # Nobody locks themselves out with one click.
        if work is None or (action in ("suspend", "remove") and await self._is(login, account)):
            raise HTTPException(400)
        if action == "remove" and (problem := await attempt(self._require_at_rest(login))):
            return await self._render(request, visitor, 409, problem=problem)
        done = await attempt(work(self._operations, actor, login, values))
        if isinstance(done, Problem):
            return await self._render(request, visitor, 409, problem=done)
        gone = action == "remove"
        if isinstance(done, AccountRow) and gone and self._place is not None:
            from zajil.operations.shards import follow_names

            await follow_names(*self._place, done, None)
        return self._back("/admin/accounts" if gone else f"/admin/accounts/{login}", action)

    async def _require_at_rest(self, login: str) -> None:
        """See that an account is not being moved to another shard; raises ``OnItsWay``."""
        if self._place is not None:
            from zajil.operations.shards import require_at_rest

            row = await self._operations.read(lambda conn: find_account(conn, login))
            await self._place[0].read(lambda conn: require_at_rest(conn, row))

    async def _is(self, login: str, account: Account) -> bool:
        row = await self._operations.read(lambda conn: find_account(conn, login))
        return row.account_id == account.account_id

    async def _render(
        self, request: Request, visitor: Visitor, status: int = 200, **context: object
    ) -> Response:
        login, now_ms = request.path_params["login"], self._operations.clock.now_ms()
        caps = self._operations.store.caps

        def load(conn: Snapshot) -> tuple[AccountDetail, list[AuditEvent]]:
            detail = show_account(conn, login, now_ms, caps)
            return detail, show_audit(conn, about=detail.use.row.login, limit=_CHANGES)

        detail, changes = await self._operations.read(load)
        if not administers(visitor, detail.use.row.address.domain):
            raise HTTPException(404)
        quota = detail.use.row.quota_size
        shown = {"done": None, "problem": None, "password": None, **context}
        return self._pages.render(
            visitor,
            "admin/account.html",
            status,
            detail=detail,
            row=detail.use.row,
            quota="" if quota is None else format_size(quota) if quota else "0",
            changes=changes,
            **shown,
        )


def _values(form: FormData) -> dict[str, str]:
    return {
        name: value.strip()[:_LONGEST] for name, value in form.items() if isinstance(value, str)
    }


async def _profile(
    context: OperationContext, actor: Actor, login: str, values: Mapping[str, str]
) -> object:
    name = values.get("display_name", "")
    # The form of an administrator of a domain does not ask for the role.
    admin = values.get("admin") == "1" if actor.is_admin else None
    return await change_profile(context, actor, login, display_name=name, admin=admin)


async def _quota(
    context: OperationContext, actor: Actor, login: str, values: Mapping[str, str]
) -> object:
    text = values.get("size", "")
    try:
        size = DEFAULT if not text else 0 if text == "0" else parse_size(text)
    except ValueError:
        return Problem("BadSize", text)
    return await limit(context, actor, login, size=size)


async def _suspend(
    context: OperationContext, actor: Actor, login: str, values: Mapping[str, str]
) -> object:
    return await suspend_account(context, actor, login)


async def _resume(
    context: OperationContext, actor: Actor, login: str, values: Mapping[str, str]
) -> object:
    return await resume_account(context, actor, login)


async def _release(
    context: OperationContext, actor: Actor, login: str, values: Mapping[str, str]
) -> object:
    return await release(context, actor, login, exempt_ms=_EXEMPT_MS, discards=False)


async def _revoke(
    context: OperationContext, actor: Actor, login: str, values: Mapping[str, str]
) -> object:
    number = values.get("id", "")
    if not number.isascii() or not number.isdigit() or len(number) > 18:
        raise HTTPException(400)
    return await delete_app_password(context, actor, login, AppPasswordId(int(number)))


async def _delegate(
    context: OperationContext, actor: Actor, login: str, values: Mapping[str, str]
) -> object:
    return await delegate(context, actor, values.get("address", ""), login)


async def _undelegate(
    context: OperationContext, actor: Actor, login: str, values: Mapping[str, str]
) -> object:
    return await revoke_delegation(
        context, actor, values.get("address", ""), values.get("who") or login
    )


async def _remove(
    context: OperationContext, actor: Actor, login: str, values: Mapping[str, str]
) -> object:
    # Its mail is gone for good: the login name has to be typed.
    row = await context.read(lambda conn: find_account(conn, login))
    if values.get("confirm", "") != row.login:
        return Problem("NotConfirmed", row.login)
    return await remove_account(context, actor, login)


_ACTS: Mapping[str, _Act] = {
    "profile": _profile,
    "quota": _quota,
    "suspend": _suspend,
    "resume": _resume,
    "release": _release,
    "revoke": _revoke,
    "delegate": _delegate,
    "undelegate": _undelegate,
    "remove": _remove,
}
