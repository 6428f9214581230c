"""``/account/app-passwords``: list, create and remove app passwords; each is shown once."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.core.app_password import Scope
from zajil.core.errors import AlreadyExists
from zajil.core.ids import AppPasswordId
from zajil.login.account import Account
from zajil.operations.app_passwords import (
    BadAppPasswordName,
    create_app_password,
    delete_app_password,
)
from zajil.store.people.app_passwords import (
    NoSuchAppPassword,
    TooManyAppPasswords,
    list_app_passwords,
)
from zajil.web.access import actor_of
from zajil.web.notices import Done
from zajil.web.page import Visitor
from zajil.web.parts import WebParts

_PATH = "/account/app-passwords"
_PROBLEMS = {BadAppPasswordName: "name", AlreadyExists: "taken", TooManyAppPasswords: "many"}
"""Names of errors in the template, which has their texts."""


class AppPasswordPages:
    """The list, the form beneath it, and the one time that a password is shown."""

    def __init__(self, parts: WebParts) -> None:
        self._pages = parts.pages
        self._context = parts.operations
        self._notices = parts.notices
        self._servers = parts.services.servers
        self._one_at_a_time = asyncio.Semaphore(1)  # hashing takes 64 MiB

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show the app passwords of the account."""
        done = self._notices.read(request)
        response = await self._render(visitor, account, removed=done is not None)
        if done is not None:
            self._notices.forget(response)
        return response

    async def act(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Create an app password and show it, or remove one; sessions that use it end."""
        form = await request.form()
        action = form.get("action")
        if action == "add":
            return await self._add(request, visitor, account, form.get("name"), form.get("scope"))
        if action == "remove":
            return await self._remove(request, account, form.get("id"))
        raise HTTPException(400)

    async def _add(
        self, request: Request, visitor: Visitor, account: Account, name: object, scope: object
    ) -> Response:
        if not isinstance(name, str) or scope not in {*Scope}:
            raise HTTPException(400)
        actor, chosen = actor_of(request, account), Scope(str(scope))
        try:
            async with self._one_at_a_time:
                made = await create_app_password(self._context, actor, account.login, name, chosen)
        except tuple(_PROBLEMS) as error:
            problem = _PROBLEMS[type(error)]
            return await self._render(visitor, account, 400, name=name, problem=problem)
        return await self._render(visitor, account, made=made)

    async def _remove(self, request: Request, account: Account, number: object) -> Response:
        if not isinstance(number, str) or not number.isascii() or not number.isdigit():
            raise HTTPException(400)
        which = AppPasswordId(min(int(number[:18]), 2**62))
        actor = actor_of(request, account)
        try:
            await delete_app_password(self._context, actor, account.login, which)
        except NoSuchAppPassword:
            raise HTTPException(404) from None
        response = RedirectResponse(_PATH, 303)
        self._notices.leave(response, Done("removed", 1))
        return response

    async def _render(
        self, visitor: Visitor, account: Account, status: int = 200, **context: object
    ) -> Response:
        rows = await self._context.read(lambda conn: list_app_passwords(conn, account.account_id))
        shown = {"removed": False, "made": None, "problem": None, "name": "", **context}
        return self._pages.render(
            visitor,
            "app_passwords.html",
            status,
            rows=rows,
            account=account,
            servers=self._servers,
            **shown,
        )
