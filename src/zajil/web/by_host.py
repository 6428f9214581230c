"""What is served by the name of the request: the MTA-STS policy, settings of programs, or pages."""

from __future__ import annotations

from collections.abc import Callable

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from zajil.core.errors import Unavailable
from zajil.web.own_names import NameRole, OwnNames, host_of

POLICY_PATH = "/.well-known/mta-sts.txt"
"""RFC 8461 section 3.3."""


class ByHost:
    """Lets each name of this server serve its own things only.

    Args:
        app: the pages; they serve the settings of mail programs, too.
        names: of this server.
        make_policy: returns the MTA-STS policy.
        is_settings_path: whether a path is one of the settings of mail programs.
    """

    def __init__(
        self,
        app: ASGIApp,
        names: OwnNames,
        make_policy: Callable[[], bytes],
        is_settings_path: Callable[[str], bool],
    ) -> None:
        self._app = app
        self._names = names
        self._make_policy = make_policy
        self._is_settings_path = is_settings_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        path = scope["path"]
        try:
            role = await self._names.role(host_of(scope))
        except Unavailable:
            response = PlainTextResponse("Try again later\n", 503, {"Retry-After": "60"})
            await response(scope, receive, send)
            return
        if role is NameRole.POLICY:
            await self._policy(scope)(scope, receive, send)
        elif role is NameRole.SETTINGS and not self._is_settings_path(path):
            await _not_found()(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _policy(self, scope: Scope) -> PlainTextResponse:
        if scope["path"] != POLICY_PATH:
            return _not_found()
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("Method not allowed\n", 405, {"Allow": "GET, HEAD"})
        return PlainTextResponse(self._make_policy())


def _not_found() -> PlainTextResponse:
    return PlainTextResponse("Not found\n", 404)
