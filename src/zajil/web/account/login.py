"""Log in and out."""

from __future__ import annotations

from contextlib import suppress

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.core.domain import to_unicode
from zajil.core.service import Service
from zajil.login.account import Account
from zajil.login.second_step import SecondStep
from zajil.store.engine.errors import StoreError
from zajil.store.engine.reader import Snapshot
from zajil.store.people.domains import is_domain
from zajil.web.account.preferences import keep_written
from zajil.web.account.second_step import SecondStepPages
from zajil.web.page import Visitor
from zajil.web.parts import WebParts
from zajil.web.security import local_path, peer_of
from zajil.web.webmail.compose_form import pack_letter, read_letter


class LoginPages:
    """``/login`` and ``/logout``."""

    def __init__(self, parts: WebParts, second: SecondStepPages) -> None:
        self._parts = parts
        self._second = second
        self._sessions = parts.sessions
        self._login = parts.services.login
        self._sign_on = parts.services.configuration.sign_on

    async def show(self, request: Request, visitor: Visitor) -> Response:
        """Show the form, or go on when there is nothing to ask."""
        onward = local_path(request.query_params.get("next"), "/mail")
        if visitor.account is not None:
            return RedirectResponse(onward, 303)
        failed = "passkey" if request.query_params.get("failed") else ""
        return await self._show(request, visitor, onward, problem=failed)

    async def show_problem(
        self, request: Request, visitor: Visitor, onward: str, problem: str
    ) -> Response:
        """Show the form with what went wrong at the provider of the single sign-on."""
        return await self._show(request, visitor, onward, status=403, problem=problem)

    async def log_in(self, request: Request, visitor: Visitor) -> Response:
        """Check what was typed; a wrong answer is slow and says nothing of which part was wrong."""
        form = await request.form()
        onward = local_path(form.get("next"), "/mail")
        login, password = str(form.get("login", "")).strip(), str(form.get("password", ""))
        elsewhere = self._other_shard(login)
        if elsewhere is not None:
            return self._send_on(elsewhere)
        account = await self._login.log_in(
            login, password, peer=peer_of(request), service=Service.WEB
        )
        kept = form.get("kept")
        if account is None:
            kept = kept if isinstance(kept, str) else ""
            return await self._show(
                request, visitor, onward, login, status=403, problem="password", kept=kept
            )
        if not self._sign_on.password_login and not account.admin:
            return await self._show(request, visitor, onward, login, status=403, problem="sso_only")
        step = await self._second.begin(request, visitor, account, onward, kept)
        if step is not None:
            return step
        return await self._second.finish(request, visitor, account.account_id, onward, kept)

    def _other_shard(self, login: str) -> str | None:
        """Return the shard of a name that was typed, unless it is that of these pages."""
        services = self._parts.services
        home = services.shard if services.shard_of_login is None else services.shard_of_login(login)
        return None if home == services.shard else home

    def _send_on(self, shard: str) -> Response:
        """Have the browser send the form again, to the pages of a shard."""
        from zajil.web.by_shard import choose_shard  # servers with one store do without it

        options = self._parts.services.options
        response = RedirectResponse("/login", 307)
        seconds = options.session_lifetime_ms // 1000
        choose_shard(response, options.cookie_name, shard, seconds)
        return response

    async def ask_with_letter(self, request: Request, visitor: Visitor) -> Response:
        """Show the form to whoever sent a letter without a session: the form keeps it."""
        kept = pack_letter(read_letter(await request.form(), visitor.language.gettext("picture")))
        return await self._show(request, visitor, "/mail", status=403, kept=kept)

    async def log_out(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """End the session, here and in the store."""
        has_provider = self._parts.services.provider is not None
        response = RedirectResponse("/login?out=1" if has_provider else "/login", 303)
        if visitor.session is not None:
            await self._sessions.end(visitor.session, response)
            keep_written(response, self._parts.services.options.cookie_name, visitor.choices)
        return response

    async def _show(
        self,
        request: Request,
        visitor: Visitor,
        onward: str,
        login: str = "",
        status: int = 200,
        *,
        problem: str = "",
        kept: str = "",
    ) -> Response:
        hostname, passkeys, challenge = self._parts.services.hostname, "", ""
        with suppress(StoreError):  # the form is shown all the same; it says so when it is sent
            hostname = await self._parts.store.read(lambda conn: _name_of_site(conn, hostname))
            passkeys, challenge = await self._second.options_of_anyone(request, visitor)
        return self._parts.pages.render(
            visitor,
            "login.html",
            status,
            host=to_unicode(hostname),
            onward=onward,
            login=login,
            problem=problem,
            kept=kept,
            passkeys=passkeys,
            challenge=challenge,
            sign_on=self._sign_on if self._parts.services.provider is not None else None,
            asks_password=self._sign_on.password_login
            or "password" in request.query_params
            or problem == "password",
            is_out="out" in request.query_params,
        )


def make_login_pages(parts: WebParts) -> LoginPages:
    """Return pages of log-in for whoever shows them elsewhere."""
    services = parts.services
    second = SecondStep(parts.store, services.clock, services.random, services.login)
    return LoginPages(parts, SecondStepPages(parts, second))


def _name_of_site(conn: Snapshot, hostname: str) -> str:
    """Return what people call this server: the domain of their addresses that it stands in."""
    labels = hostname.split(".")
    names = [".".join(labels[start:]) for start in range(len(labels) - 1)]
    return next((name for name in names if is_domain(conn, name)), hostname)
