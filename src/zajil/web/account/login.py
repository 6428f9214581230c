"""Log in and out."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.core.service import Service
from zajil.login.account import Account
from zajil.login.service import LoginService
from zajil.web.access import peer_of
from zajil.web.page import Pages, Visitor
from zajil.web.security import Sessions, local_path


class LoginPages:
    """``/login`` and ``/logout``."""

    def __init__(self, pages: Pages, sessions: Sessions, login: LoginService) -> None:
        self._pages = pages
        self._sessions = sessions
        self._login = login

    async def show(self, request: Request, visitor: Visitor) -> Response:
        """Show the form, or go on when there is nothing to ask."""
        onward = local_path(request.query_params.get("next"), "/mail")
        if visitor.account is not None:
            return RedirectResponse(onward, 303)
        return self._pages.render(visitor, "login.html", onward=onward, login="", failed=False)

    async def log_in(self, request: Request, visitor: Visitor) -> Response:
        """Check what was typed; a wrong answer is slow and says nothing of which part was wrong."""
        form = await request.form()
        onward = local_path(form.get("next"), "/mail")
        login, password = str(form.get("login", "")).strip(), str(form.get("password", ""))
        account = await self._login.log_in(
            login, password, peer=peer_of(request), service=Service.WEB
        )
        if account is None:
            return self._pages.render(
                visitor, "login.html", 403, onward=onward, login=login, failed=True
            )
        response = RedirectResponse(onward, 303)
        if visitor.session is not None:
            await self._sessions.end(visitor.session, response)
        await self._sessions.begin(account.account_id, response)
        self._sessions.record(account.login, peer_of(request))
        return response

    async def log_out(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """End the session, here and in the store."""
        response = RedirectResponse("/login", 303)
        if visitor.session is not None:
            await self._sessions.end(visitor.session, response)
        return response
