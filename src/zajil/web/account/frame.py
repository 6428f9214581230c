"""What every page of the account has: its tabs, and a notice about what was just done."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.core.service import Service
from zajil.login.account import Account
from zajil.web.notices import Done
from zajil.web.page import Visitor
from zajil.web.parts import WebParts
from zajil.web.security import peer_of


class AccountPages:
    """Renders pages of the account; the base of all that show one."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts
        self._context = parts.operations

    def render(
        self,
        request: Request,
        visitor: Visitor,
        template: str,
        status: int = 200,
        **context: object,
    ) -> Response:
        """Return a page; a notice that an earlier answer left is shown once."""
        done = self._parts.notices.read(request)
        values = {"problem": None, **context, "done": done}
        response = self._parts.pages.render(visitor, template, status, **values)
        if done is not None:
            self._parts.notices.forget(response)
        return response

    async def knows_password(self, request: Request, account: Account, password: object) -> bool:
        """Check whether the owner types the current password.

        Security: a browser that was left open must not be enough to change how one logs in. As
        with a log-in, whoever guesses is slowed down, and the guess is recorded.
        """
        known = await self._parts.services.login.log_in(
            account.login, str(password or ""), peer=peer_of(request), service=Service.WEB
        )
        return known is not None and known.account_id == account.account_id

    def after(self, path: str, action: str, count: int = 1, undo: str = "") -> Response:
        """Return a redirect to ``path``, whose page then says what was done."""
        response = RedirectResponse(path, 303)
        self._parts.notices.leave(response, Done(action, count, undo=undo))
        return response
