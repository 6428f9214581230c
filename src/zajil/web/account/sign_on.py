"""``/login/sso``: log-in by an OpenID provider, there and back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.core.errors import Refused, Unavailable
from zajil.core.service import Service
from zajil.login.account import Origin
from zajil.login.sign_on.flow import FLOW_MS, SignOnFlow, begin_flow, open_flow, seal_flow
from zajil.login.sign_on.id_token import SignedOn
from zajil.login.sign_on.provider import OpenIdProvider
from zajil.operations.sign_on import NoAccountForPerson, account_of_person
from zajil.store.people.second_factors import read_web_secret
from zajil.web.account.second_step import SecondStepPages
from zajil.web.page import Visitor
from zajil.web.parts import WebParts
from zajil.web.security import local_path, peer_of

MECHANISM = "openid"
_LONGEST = 4000
"""Characters of a code."""
ShowLogin = Callable[[Request, Visitor, str, str], Awaitable[Response]]
"""Shows the page of the log-in with a problem: request, visitor, path to go to, problem."""


class SignOnPages:
    """Sends browsers to the provider, and takes what they bring back.

    Args:
        parts: of all pages.
        steps: the second step and the end of a log-in.
        provider: that vouches.
        show_login: shows what went wrong.
    """

    def __init__(
        self,
        parts: WebParts,
        steps: SecondStepPages,
        provider: OpenIdProvider,
        show_login: ShowLogin,
    ) -> None:
        self._parts = parts
        self._steps = steps
        self._provider = provider
        self._show_login = show_login
        self._cookie = f"{parts.services.options.cookie_name}_sso"
        self._key: bytes | None = None

    async def begin(self, request: Request, visitor: Visitor) -> Response:
        """Send the browser to the provider; a cookie keeps what belongs to this log-in."""
        onward = local_path(request.query_params.get("next"), "/mail")
        services = self._parts.services
        flow = begin_flow(services.random, onward, services.clock.now_ms())
        try:
            url = await self._provider.authorization_url(flow)
        except Unavailable as error:
            return await self._failed(request, visitor, onward, "sso_away", str(error))
        response = RedirectResponse(url, 303)
        response.set_cookie(
            self._cookie,
            seal_flow(flow, await self._secret()),
            max_age=FLOW_MS // 1000,
            path="/login/sso",
            httponly=True,
            # Lax: the provider sends the browser back by a link from its own site.
            samesite="lax",
        )
        return response

    async def back(self, request: Request, visitor: Visitor) -> Response:
        """Take the answer of the provider, and log in whom it vouches for."""
        query = request.query_params
        text = request.cookies.get(self._cookie, "")
        flow = open_flow(text, await self._secret(), self._parts.services.clock.now_ms())
        # Security: an answer that another browser began, or nobody, is not even looked at.
        if flow is None or query.get("state") != flow.state:
            return await self._failed(
                request, visitor, "/mail", "sso", "the answer is not for this browser"
            )
        response = await self._finish(request, visitor, flow)
        response.delete_cookie(self._cookie, path="/login/sso")
        return response

    async def log_out(self, request: Request, visitor: Visitor) -> Response:
        """Send the browser to the page of the provider that logs it out there."""
        url = self._parts.services.public_url or str(request.base_url)
        there = await self._provider.logout_url(f"{url.rstrip('/')}/login")
        if there is None:
            raise HTTPException(404)
        return RedirectResponse(there, 303)

    async def _finish(self, request: Request, visitor: Visitor, flow: SignOnFlow) -> Response:
        query, onward = request.query_params, flow.onward
        code = query.get("code", "")
        if not code or len(code) > _LONGEST:
            reason = f"the provider answered: {query.get('error', 'no code')[:100]}"
            return await self._failed(request, visitor, onward, "sso", reason)
        try:
            who = await self._provider.redeem(code, query.get("iss"), flow)
        except Unavailable as error:
            return await self._failed(request, visitor, onward, "sso_away", str(error))
        except Refused as error:
            return await self._failed(request, visitor, onward, "sso", str(error))
        return await self._log_in(request, visitor, who, onward)

    async def _log_in(
        self, request: Request, visitor: Visitor, who: SignedOn, onward: str
    ) -> Response:
        services = self._parts.services
        options = services.configuration.sign_on
        try:
            row = await account_of_person(self._parts.operations, options, who, peer_of(request))
        except NoAccountForPerson as error:
            name = who.address or who.subject
            return await self._failed(request, visitor, onward, "sso_nobody", str(error), name)
        account = await services.login.find(row.account_id)
        if account is None:
            return await self._failed(request, visitor, onward, "sso_nobody", "suspended")
        # The strict cookies of the next step would not come with a redirect from another site.
        step = await self._steps.begin(request, visitor, account, onward, None, shows_form=True)
        if step is not None:
            return step
        return await self._steps.finish(
            request, visitor, account.account_id, onward, mechanism=MECHANISM
        )

    async def _failed(
        self,
        request: Request,
        visitor: Visitor,
        onward: str,
        problem: str,
        reason: str,
        name: str = "",
    ) -> Response:
        origin = Origin(peer_of(request), Service.WEB)
        self._parts.services.login.note_failure(origin, name, MECHANISM, reason)
        return await self._show_login(request, visitor, onward, problem)

    async def _secret(self) -> bytes:
        if self._key is None:
            self._key = await self._parts.store.read(read_web_secret)
        return self._key
