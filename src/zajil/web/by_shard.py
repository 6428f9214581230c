"""The pages of several stores: a cookie says which shard a browser is logged in to.

Security: the cookie chooses where the session of the browser is looked for, and proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from zajil.config.options_shards import MAIN_SHARD


def shard_cookie(cookie_name: str) -> str:
    """Return the name of the cookie, from that of sessions (``web.cookie_name``)."""
    return f"{cookie_name}_shard"


def choose_shard(response: Response, cookie_name: str, shard: str, seconds: int) -> None:
    """Let a browser use a shard from its next request on, for a number of seconds."""
    name = shard_cookie(cookie_name)
    response.set_cookie(name, shard, max_age=seconds, httponly=True, samesite="lax")


class ByShard:
    """Serves each request by the pages of its shard.

    Args:
        make_pages: makes the pages of each shard, once; called at the first request for them.
        cookie_name: of sessions.
    """

    def __init__(self, make_pages: dict[str, Callable[[], ASGIApp]], cookie_name: str) -> None:
        self._make_pages = make_pages
        self._made: dict[str, ASGIApp] = {}
        self._cookie = shard_cookie(cookie_name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        shard = self._shard_of(scope) if scope["type"] == "http" else MAIN_SHARD
        if shard not in self._made:
            self._made[shard] = self._make_pages[shard]()
        await self._made[shard](scope, receive, send)

    def _shard_of(self, scope: Scope) -> str:
        """Return the shard of the cookie; the main one for what is no shard, or away now."""
        try:
            cookies = SimpleCookie("; ".join(Headers(scope=scope).getlist("cookie")))
        except CookieError:
            return MAIN_SHARD
        found = cookies.get(self._cookie)
        shard = MAIN_SHARD if found is None else found.value
        return shard if shard in self._make_pages else MAIN_SHARD
