"""``/account/app-passwords``: what the owner's programs log in with; each is shown once."""

from __future__ import annotations

import asyncio
import functools

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.core.app_password import Scope
from zajil.core.clock import Clock, Random
from zajil.core.errors import AlreadyExists
from zajil.core.ids import AppPasswordId
from zajil.login.account import Account
from zajil.operations.app_passwords import BadAppPasswordName, login_names, prepare_app_password
from zajil.store.engine.open import Store
from zajil.store.people.app_passwords import (
    AppPasswordOf,
    NoSuchAppPassword,
    TooManyAppPasswords,
    add_app_password,
    list_app_passwords,
    remove_app_password,
    scram_salt,
)
from zajil.web.notices import Done, Notices
from zajil.web.page import Pages, Visitor

_PATH = "/account/app-passwords"
_PROBLEMS = {BadAppPasswordName: "name", AlreadyExists: "taken", TooManyAppPasswords: "many"}
"""By what went wrong: the template has the words."""


class AppPasswordPages:
    """The list, the form beneath it, and the one time that a password is shown."""

    def __init__(
        self, pages: Pages, store: Store, clock: Clock, random: Random, notices: Notices
    ) -> None:
        self._pages = pages
        self._store = store
        self._clock = clock
        self._random = random
        self._notices = notices
        self._one_at_a_time = asyncio.Semaphore(1)  # each takes 64 MiB while it is hashed

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show what there is."""
        done = self._notices.read(request)
        response = await self._render(visitor, account, removed=done is not None)
        if done is not None:
            self._notices.forget(response)
        return response

    async def act(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Add one, and show it; or remove one, and with it what is open by it."""
        form = await request.form()
        action = form.get("action")
        if action == "add":
            return await self._add(visitor, account, form.get("name"), form.get("scope"))
        if action == "remove":
            return await self._remove(account, form.get("id"))
        raise HTTPException(400)

    async def _add(
        self, visitor: Visitor, account: Account, name: object, scope: object
    ) -> Response:
        if not isinstance(name, str) or scope not in {*Scope}:
            raise HTTPException(400)
        names = login_names(account)
        salts = await self._store.read(
            lambda conn: {login: scram_salt(conn, login) for login in names}
        )
        prepare = functools.partial(
            prepare_app_password, now_ms=self._clock.now_ms(), random=self._random
        )
        try:
            async with self._one_at_a_time:
                made = await asyncio.to_thread(prepare, account, name, Scope(str(scope)), salts)
            await self._store.write(add_app_password, made.kept)
        except tuple(_PROBLEMS) as error:
            problem = _PROBLEMS[type(error)]
            return await self._render(visitor, account, 400, name=name, problem=problem)
        return await self._render(visitor, account, made=made)

    async def _remove(self, account: Account, number: object) -> Response:
        if not isinstance(number, str) or not number.isascii() or not number.isdigit():
            raise HTTPException(400)
        which = AppPasswordOf(account.account_id, AppPasswordId(min(int(number[:18]), 2**62)))
        try:
            await self._store.write(remove_app_password, which)
        except NoSuchAppPassword:
            raise HTTPException(404) from None
        response = RedirectResponse(_PATH, 303)
        self._notices.leave(response, Done("removed", 1))
        return response

    async def _render(
        self, visitor: Visitor, account: Account, status: int = 200, **context: object
    ) -> Response:
        rows = await self._store.read(lambda conn: list_app_passwords(conn, account.account_id))
        shown = {"removed": False, "made": None, "problem": None, "name": "", **context}
        return self._pages.render(visitor, "app_passwords.html", status, rows=rows, **shown)
