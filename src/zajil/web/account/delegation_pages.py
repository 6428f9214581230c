"""``/account/sharing``: who may send as an address of the account, and as whom it may send."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from zajil.core.address import Address, BadAddress
from zajil.core.errors import AlreadyExists
from zajil.login.account import Account
from zajil.operations.delegations import delegate, revoke_delegation
from zajil.store.people.accounts import NoSuchAccount
from zajil.store.people.delegations import NoSuchAddress, NoSuchDelegation, delegates_of
from zajil.web.access import actor_of
from zajil.web.account.frame import AccountPages
from zajil.web.page import Visitor

PATH = "/account/sharing"


class DelegationPages(AccountPages):
    """The tab "Sharing"."""

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show the rights that were given and got, and the form that gives one."""
        return await self._show(request, visitor, account)

    async def act(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Give a right, or take it back; a right that was got is given up in the same way."""
        form = await request.form()
        action, who = form.get("action"), str(form.get("who", "")).strip()
        address, actor = str(form.get("address", "")), actor_of(request, account)
        if action == "remove":
            try:
                await revoke_delegation(self._context, actor, address, who)
            except (BadAddress, NoSuchAccount, NoSuchDelegation):
                raise HTTPException(404) from None
            return self.after(PATH, "revoked")
        if action != "add":
            raise HTTPException(400)
        try:
            await delegate(self._context, actor, address, who)
        except NoSuchAccount:
            return await self._show(request, visitor, account, 400, who=who, problem="nobody")
        except AlreadyExists:
            return await self._show(request, visitor, account, 400, who=who, problem="given")
        except (BadAddress, NoSuchAddress):
            raise HTTPException(404) from None
        return self.after(PATH, "given")

    async def _show(
        self,
        request: Request,
        visitor: Visitor,
        account: Account,
        status: int = 200,
        **context: object,
    ) -> Response:
        own: tuple[Address, ...] = account.own_addresses
        given = await self._context.read(lambda conn: delegates_of(conn, own))
        got = sorted(account.delegated, key=lambda one: one.key)
        return self.render(
            request,
            visitor,
            "account_sharing.html",
            status,
            **{"account": account, "given": given, "got": got, "who": "", **context},
        )
