"""``/account/security``: the password, and where one is logged in."""

from __future__ import annotations

import asyncio

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from zajil.core.password import IN_DIRECTORY, NO_PASSWORD
from zajil.login.account import Account
from zajil.login.second_step import SecondStep
from zajil.operations.accounts import change_password
from zajil.operations.credentials import BadPassword, WeakPassword, check_strength
from zajil.operations.web_sessions import end_sessions
from zajil.store.people.accounts import get_account
from zajil.store.people.sessions import list_web_sessions
from zajil.web.access import actor_of
from zajil.web.account.agents import browser_of, system_of
from zajil.web.account.frame import AccountPages
from zajil.web.page import Visitor
from zajil.web.parts import WebParts

PATH = "/account/security"
_KEPT = {IN_DIRECTORY: "directory", NO_PASSWORD: "provider"}
"""Where a password is that is not kept here, by what stands in place of its hash."""


class SecurityPages(AccountPages):
    """The tab "Security"."""

    def __init__(self, parts: WebParts, second: SecondStep) -> None:
        super().__init__(parts)
        self._second = second
        self._one_at_a_time = asyncio.Semaphore(1)  # hashing takes 64 MiB

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show the forms, and the log-ins of browsers, the newest first."""
        return await self._show(request, visitor, account)

    async def refuse(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show the page to who did not know the password that was asked for."""
        return await self._show(request, visitor, account, 403, problem="old")

    async def change_password(
        self, request: Request, visitor: Visitor, account: Account
    ) -> Response:
        """Change the password if the old one is right; all other browsers are logged out."""
        form = await request.form()
        old, new, again = (str(form.get(name, "")) for name in ("old", "new", "again"))
        problem = await self._try_password(request, account, old, new, again)
        if problem:
            return await self._show(request, visitor, account, 400, problem=problem)
        response = self.after(PATH, "password")
        # The session of this browser ended with the others: it gets a new one.
        await self._parts.sessions.begin(request, account.account_id, response)
        return response

    async def end_sessions(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """End one log-in, or all but the one that asks."""
        form = await request.form()
        chosen, mine = form.get("session"), visitor.session
        if mine is None or not isinstance(chosen, str) or chosen == mine.token_hash:
            raise HTTPException(400)
        only = None if chosen == "others" else chosen
        actor = actor_of(request, account)
        ended = await end_sessions(
            self._context, actor, account.login, only=only, keep=mine.token_hash
        )
        return self.after(PATH, "ended", ended)

    async def _try_password(
        self, request: Request, account: Account, old: str, new: str, again: str
    ) -> str:
        """Return what is wrong, as the template names it; ``""``: the password was changed."""
        if new != again:
            return "again"
        names = (account.login, account.address.unicode, account.display_name)
        try:
            check_strength(new, names)
        except WeakPassword:
            return "weak"
        if not await self.knows_password(request, account, old):
            return "old"
        try:
            async with self._one_at_a_time:
                await change_password(self._context, actor_of(request, account), account.login, new)
        except BadPassword:
            return "bad"
        return ""

    async def _show(
        self,
        request: Request,
        visitor: Visitor,
        account: Account,
        status: int = 200,
        **context: object,
    ) -> Response:
        now_ms = self._parts.services.clock.now_ms()
        sessions, row = await self._context.read(
            lambda conn: (
                list_web_sessions(conn, account.account_id, now_ms),
                get_account(conn, account.account_id),
            )
        )
        kept = "" if row is None else _KEPT.get(row.password_hash, "")
        rows = [(one, browser_of(one.agent), system_of(one.agent)) for one in sessions]
        return self.render(
            request,
            visitor,
            "account_security.html",
            status,
            account=account,
            sessions=rows,
            kept=kept,
            provider=self._parts.services.configuration.sign_on.name,
            factors=await self._second.factors(account.account_id),
            **context,
        )
