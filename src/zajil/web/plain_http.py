"""Port 80: answers to certificate authorities, and the way to HTTPS.

Laws:
- No page is served here, and no cookie is set.
- A redirect leads to the name that was asked for, if it is a name of this server; else there is
  none (CWE-601).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from zajil.core.errors import Unavailable
from zajil.web.own_names import OwnNames, host_of

FindChallenge = Callable[[str], Awaitable[str | None]]
"""Returns the answer to a challenge of a certificate authority (key authorization) by its token;
``None``: there is no such challenge."""

CHALLENGES = "/.well-known/acme-challenge/"
"""RFC 8555 section 8.3, RFC 8615."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")
_AUTODISCOVER = re.compile(rb"/autodiscover/autodiscover\.xml\Z", re.IGNORECASE)
_LONGEST_TARGET = 8000
_MAX_AGE_SECONDS = 3600


class PlainHttp:
    """The application of ``listen.http``.

    Args:
        find_challenge: see there.
        names: of this server.
        https_port: of the redirect; ``None``: HTTPS is not served, so there is no redirect.
    """

    def __init__(
        self, find_challenge: FindChallenge, names: OwnNames, https_port: int | None
    ) -> None:
        self._find_challenge = find_challenge
        self._names = names
        self._https_port = https_port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            response = await self._answer(Request(scope))
        except Unavailable:
            response = PlainTextResponse("Try again later\n", 503, {"Retry-After": "60"})
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        # Security: the target as it was sent; decoded, ``%2f`` and ``%0d`` would be what they name.
        path: bytes = request.scope["raw_path"]
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("Use HTTPS.\n", 405, {"Allow": "GET, HEAD"})
        if path.startswith(CHALLENGES.encode()):
            return await self._answer_challenge(path[len(CHALLENGES) :].decode("latin-1"))
        host = host_of(request.scope)
        if self._https_port is None or await self._names.role(host) is None:
            return PlainTextResponse("Not found\n", 404)
        query: bytes = request.scope["query_string"]
        target = path + (b"?" + query if query else b"")
        # Attack: "GET @evil.test" would make https://ours@evil.test; "//" begins no path either.
        if not path.startswith(b"/") or len(target) > _LONGEST_TARGET:
            return PlainTextResponse("Bad request\n", 400)
        port = "" if self._https_port == 443 else f":{self._https_port}"
        # Outlook looks for a redirect with 302 ([MS-OXDISCO], HTTP 302 redirection).
        status = 302 if _AUTODISCOVER.match(path) else 301
        headers = {"Cache-Control": f"max-age={_MAX_AGE_SECONDS}"}
        return RedirectResponse(f"https://{host}{port}{target.decode('latin-1')}", status, headers)

    async def _answer_challenge(self, token: str) -> Response:
        found = await self._find_challenge(token) if _TOKEN.match(token) else None
        if found is None:
            return PlainTextResponse("Not found\n", 404)
        return Response(found, media_type="application/octet-stream")
