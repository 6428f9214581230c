"""``/account/totp`` and ``/account/passkeys``: set up second factors, and remove them."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from zajil.core.errors import AlreadyExists
from zajil.login.account import Account
from zajil.login.one_time_codes import is_secret, new_secret, provisioning_uri
from zajil.login.second_step import SecondStep
from zajil.operations.second_factors import (
    BadPasskeyName,
    WrongCode,
    add_totp,
    forget_passkey,
    name_passkey,
    register_passkey,
    remove_totp,
    renew_recovery_codes,
)
from zajil.store.people.second_factors import TooManyPasskeys
from zajil.web.access import ForMembers, actor_of
from zajil.web.account.frame import AccountPages
from zajil.web.account.passkey_checks import (
    check_registration,
    registration_options,
    relying_party,
)
from zajil.web.account.qr import qr_code
from zajil.web.page import Visitor
from zajil.web.parts import WebParts

SECURITY = "/account/security"
_LONGEST_ID = 2000


class FactorPages(AccountPages):
    """Forms that add and remove second factors."""

    def __init__(self, parts: WebParts, second: SecondStep, refuse: ForMembers) -> None:
        """Make them.

        Args:
            parts: of the site.
            second: the second step of log-ins.
            refuse: answers who does not know the password.
        """
        super().__init__(parts)
        self._second = second
        self._refuse = refuse

    async def show_totp(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show a new secret as a QR code, and ask for the code that the app makes of it."""
        return self._show_totp(request, visitor, account, new_secret(self._context.random))

    async def change_totp(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Add the app, once the code is right, or remove it."""
        form = await request.form()
        actor = actor_of(request, account)
        if form.get("action") == "remove":
            if not await self.knows_password(request, account, form.get("password")):
                return await self._refuse(request, visitor, account)
            await remove_totp(self._context, actor, account.login)
            return self.after(SECURITY, "totpgone")
        secret, code = str(form.get("secret", "")), str(form.get("code", ""))
        if not is_secret(secret):
            raise HTTPException(400)
        try:
            codes = await add_totp(self._context, actor, account.login, secret, code)
        except WrongCode:
            return self._show_totp(request, visitor, account, secret, 400)
        if not codes:
            return self.after(SECURITY, "totp")
        return self._show_codes(request, visitor, codes)

    async def renew_codes(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Make new recovery codes and show them."""
        form = await request.form()
        if not await self.knows_password(request, account, form.get("password")):
            return await self._refuse(request, visitor, account)
        codes = await renew_recovery_codes(self._context, actor_of(request, account), account.login)
        return self._show_codes(request, visitor, codes)

    async def show_passkey(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Ask for a name, and let the browser make a passkey."""
        return await self._show_passkey(request, visitor, account)

    async def change_passkeys(
        self, request: Request, visitor: Visitor, account: Account
    ) -> Response:
        """Add, rename or remove a passkey."""
        form = await request.form()
        action, actor = form.get("action"), actor_of(request, account)
        credential_id, name = str(form.get("id", "")), str(form.get("name", ""))
        if action == "add":
            credential, challenge = str(form.get("credential", "")), str(form.get("challenge", ""))
            return await self._add_passkey(request, visitor, account, name, (credential, challenge))
        if action not in ("rename", "remove") or len(credential_id) > _LONGEST_ID:
            raise HTTPException(400)
        if action == "remove":
            if not await self.knows_password(request, account, form.get("password")):
                return await self._refuse(request, visitor, account)
            await forget_passkey(self._context, actor, account.login, credential_id)
            return self.after(SECURITY, "passkeygone")
        await name_passkey(self._context, actor, account.login, credential_id, name)
        return self.after(SECURITY, "saved")

    async def _add_passkey(
        self,
        request: Request,
        visitor: Visitor,
        account: Account,
        name: str,
        answer: tuple[str, str],
    ) -> Response:
        credential, challenge = answer
        party = relying_party(self._parts.services.public_url, request)
        new = None
        if await self._second.is_challenge(challenge, visitor.csrf):
            new = check_registration(credential, challenge, party, name)
        if new is None:
            return await self._show_passkey(request, visitor, account, 400, "failed", name)
        try:
            codes = await register_passkey(
                self._context, actor_of(request, account), account.login, new
            )
        except BadPasskeyName:
            return await self._show_passkey(request, visitor, account, 400, "name", name)
        except (AlreadyExists, TooManyPasskeys):
            return await self._show_passkey(request, visitor, account, 400, "many", name)
        if not codes:
            return self.after(SECURITY, "passkey")
        return self._show_codes(request, visitor, codes)

    async def _show_passkey(
        self,
        request: Request,
        visitor: Visitor,
        account: Account,
        status: int = 200,
        problem: str = "",
        name: str = "",
    ) -> Response:
        challenge = await self._second.new_challenge(visitor.csrf)
        factors = await self._second.factors(account.account_id)
        party = relying_party(self._parts.services.public_url, request)
        options = registration_options(party, account, factors.passkeys, challenge)
        return self.render(
            request,
            visitor,
            "account_passkey.html",
            status,
            options=options,
            challenge=challenge,
            problem=problem,
            name=name,
        )

    def _show_totp(
        self, request: Request, visitor: Visitor, account: Account, secret: str, status: int = 200
    ) -> Response:
        uri = provisioning_uri(secret, account.address.unicode, self._parts.services.hostname)
        return self.render(
            request,
            visitor,
            "account_totp.html",
            status,
            secret=secret,
            qr=qr_code(uri),
            problem="code" if status != 200 else None,
        )

    def _show_codes(self, request: Request, visitor: Visitor, codes: tuple[str, ...]) -> Response:
        return self.render(request, visitor, "account_codes.html", codes=codes)
