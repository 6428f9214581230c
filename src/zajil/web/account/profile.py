"""``/account``: who one is here, the display name, how much of the quota is used."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from zajil.login.account import Account
from zajil.operations.account_changes import BadDisplayName, change_profile
from zajil.store.mail.room import load_usage
from zajil.web.access import actor_of
from zajil.web.account.frame import AccountPages
from zajil.web.page import Visitor


class ProfilePages(AccountPages):
    """The first tab of the account."""

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show who one is here."""
        return await self._show(request, visitor, account)

    async def change(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Change the display name."""
        form = await request.form()
        name = str(form.get("display_name", ""))
        try:
            await change_profile(
                self._context, actor_of(request, account), account.login, display_name=name
            )
        except BadDisplayName:
            return await self._show(request, visitor, account, 400, name=name, problem="name")
        return self.after("/account", "profile")

    async def _show(
        self,
        request: Request,
        visitor: Visitor,
        account: Account,
        status: int = 200,
        **context: object,
    ) -> Response:
        caps, account_id = self._parts.store.caps, account.account_id
        usage = await self._context.read(lambda conn: load_usage(conn, caps, account_id))
        shown = {"name": account.display_name, **context}
        return self.render(
            request, visitor, "account.html", status, account=account, usage=usage, **shown
        )
