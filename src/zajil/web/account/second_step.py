"""``/login/code`` and ``/login/passkey``: the second step of a log-in, or a passkey alone."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.core.ids import AccountId
from zajil.login.account import Account
from zajil.login.second_step import STEP_MS, SecondStep
from zajil.store.people.second_factors import Factors
from zajil.web.account.passkey_checks import (
    check_assertion,
    credential_id_of,
    relying_party,
    request_options,
)
from zajil.web.page import Visitor
from zajil.web.parts import WebParts
from zajil.web.security import local_path, peer_of
from zajil.web.webmail.kept_letter import KeptLetters


class SecondStepPages:
    """What is asked after the password; no session exists before it is answered."""

    def __init__(self, parts: WebParts, second: SecondStep) -> None:
        self._parts = parts
        self._second = second
        self._letters = KeptLetters(parts)
        self._cookie = f"{parts.services.options.cookie_name}_step"

    async def options_of_anyone(self, request: Request, visitor: Visitor) -> tuple[str, str]:
        """Return what a browser needs to log in with a passkey alone, and the challenge in it."""
        challenge = await self._second.new_challenge(visitor.csrf)
        return request_options(
            relying_party(self._parts.services.public_url, request), (), challenge
        ), challenge

    async def begin(
        self,
        request: Request,
        visitor: Visitor,
        account: Account,
        onward: str,
        kept: object,
        *,
        shows_form: bool = False,
    ) -> Response | None:
        """Return the way to the second step; ``None``: the account has no second factor.

        Args:
            request: with the right password.
            visitor: who sent it.
            account: whose password it is.
            onward: path to go to afterwards.
            kept: a letter that the form of the log-in kept (``kept_letter``), if any.
            shows_form: answer with the form instead of a redirect to it.
        """
        if not (await self._second.factors(account.account_id)).any:
            return None
        response: Response
        letter = kept if isinstance(kept, str) else ""
        if letter or shows_form:
            # A redirect would lose the letter: the next form keeps it.
            response = await self._show(request, visitor, account.account_id, onward, kept=letter)
        else:
            response = RedirectResponse(f"/login/code?{urlencode({'next': onward})}", 303)
        step = await self._second.begin(account.account_id, visitor.csrf)
        response.set_cookie(
            self._cookie,
            step,
            max_age=STEP_MS // 1000,
            httponly=True,
            samesite="strict",
        )
        return response

    async def show(self, request: Request, visitor: Visitor) -> Response:
        """Ask for the code."""
        onward = local_path(request.query_params.get("next"), "/mail")
        account_id = await self._account_of(request, visitor)
        if visitor.account is not None or account_id is None:
            return RedirectResponse(f"/login?{urlencode({'next': onward})}", 303)
        return await self._show(request, visitor, account_id, onward)

    async def check(self, request: Request, visitor: Visitor) -> Response:
        """Check a code, or the answer of a passkey, and log in."""
        form = await request.form()
        onward = local_path(form.get("next"), "/mail")
        account_id = await self._account_of(request, visitor)
        if account_id is None:
            return RedirectResponse(f"/login?{urlencode({'next': onward})}", 303)
        credential = str(form.get("credential", ""))
        if credential:
            challenge = str(form.get("challenge", ""))
            owner = await self._check_passkey(request, visitor, credential, challenge, account_id)
            problem = "" if owner == account_id else "passkey"
        else:
            code = str(form.get("code", ""))
            right = await self._second.check_code(account_id, code, peer_of(request))
            problem = "" if right else "many" if right is None else "code"
        if problem:
            kept = str(form.get("kept", ""))
            return await self._show(
                request, visitor, account_id, onward, status=403, problem=problem, kept=kept
            )
        return await self.finish(request, visitor, account_id, onward, form.get("kept"))

    async def passkey_alone(self, request: Request, visitor: Visitor) -> Response:
        """Log in with a passkey, without a password."""
        form = await request.form()
        onward = local_path(form.get("next"), "/mail")
        credential, challenge = str(form.get("credential", "")), str(form.get("challenge", ""))
        owner = await self._check_passkey(request, visitor, credential, challenge, None)
        if owner is None or await self._parts.services.login.find(owner) is None:
            return RedirectResponse(f"/login?{urlencode({'next': onward, 'failed': '1'})}", 303)
        return await self.finish(request, visitor, owner, onward, form.get("kept"))

    async def finish(
        self,
        request: Request,
        visitor: Visitor,
        account_id: AccountId,
        onward: str,
        kept: object = None,
        *,
        mechanism: str = "password",
    ) -> Response:
        """Begin the session, once everything was asked, and save the letter that was kept."""
        sessions, login = self._parts.sessions, self._parts.services.login
        account = await login.find(account_id)
        if account is None:
            return RedirectResponse("/login", 303)
        onward = await self._letters.save(request, visitor, account, kept) or onward
        response = RedirectResponse(onward, 303)
        if visitor.session is not None:
            await sessions.end(visitor.session, response)
        await sessions.begin(request, account_id, response)
        response.delete_cookie(self._cookie)
        sessions.record(account.login, peer_of(request), mechanism)
        return response

    async def _account_of(self, request: Request, visitor: Visitor) -> AccountId | None:
        step = request.cookies.get(self._cookie, "")
        if not step or len(step) > 200:
            return None
        return await self._second.account_of(step, visitor.csrf)

    async def _check_passkey(
        self,
        request: Request,
        visitor: Visitor,
        credential: str,
        challenge: str,
        account_id: AccountId | None,
    ) -> AccountId | None:
        """Return whose passkey signed the challenge; ``None``: nobody's."""
        if not await self._second.is_challenge(challenge, visitor.csrf):
            return None
        passkey = await self._second.find_passkey(credential_id_of(credential))
        if passkey is None or account_id not in (None, passkey.account_id):
            return None
        party = relying_party(self._parts.services.public_url, request)
        count = check_assertion(credential, challenge, party, passkey, alone=account_id is None)
        if count is None or not await self._second.use_passkey(passkey, count, challenge):
            return None
        return passkey.account_id

    async def _show(
        self,
        request: Request,
        visitor: Visitor,
        account_id: AccountId,
        onward: str,
        *,
        status: int = 200,
        problem: str = "",
        kept: str = "",
    ) -> Response:
        factors: Factors = await self._second.factors(account_id)
        challenge = await self._second.new_challenge(visitor.csrf)
        party = relying_party(self._parts.services.public_url, request)
        passkeys = request_options(party, factors.passkeys, challenge) if factors.passkeys else ""
        return self._parts.pages.render(
            visitor,
            "login_code.html",
            status,
            onward=onward,
            problem=problem,
            kept=kept,
            has_app=factors.totp is not None,
            passkeys=passkeys,
            challenge=challenge,
        )
