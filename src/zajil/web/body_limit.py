"""How much a browser may send, and how slowly: a form is held in memory whole.

A page that takes files allows more, once it knows who sends them (``allow_body``).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SMALL_FORM = 64 << 10
"""Bytes of a form that anybody may send before a log-in: a name, a password, some fields of ours.
An ordinary form may be 1 MiB, and taking one apart takes a second."""
_SMALL = frozenset({"/login", "/preferences", "/logout"})
_MOST_DISCARDED = 32 << 20
"""Bytes of a body too large that are read and dropped, so that the browser comes to read our page;
whoever sends more sees the connection end."""


_SLOWEST = 32 << 10
"""Bytes of files that a browser must send in a second."""
_LIMIT = "zajil.body_limit"
"""Key of the scope."""


@dataclass(slots=True)
class _Limit:
    """How much may come, and until when."""

    most: int
    deadline: float


def allow_body(request: Request, most: int) -> None:
    """Let a request bring more bytes than a form; they go to the disk, not to memory."""
    limit = request.scope.get(_LIMIT)
    if isinstance(limit, _Limit):
        limit.deadline += max(0, most - limit.most) / _SLOWEST
        limit.most = max(limit.most, most)


class BodyLimit:
    """Refuse a larger body with 413, a slower one with 408, which the application shows as a page.

    Nothing of a body that says how long it is, and is too long, is kept.

    Args:
        app: what is served.
        most: bytes of a body.
        seconds: in which a body must be here.
    """

    def __init__(self, app: ASGIApp, most: int, seconds: float) -> None:
        self._app = app
        self._most = most
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        # A letter that came without a session is kept in the log-in form, which is taken apart
        # quickly in this form.
        is_small = scope["path"] in _SMALL and not headers.get("content-type", "").startswith(
            "multipart/form-data"
        )
        declared = headers.get("content-length", "")
        # uvicorn has refused what is no number; more digits than this are too large by far.
        announced = int(declared[:20]) if declared.isdecimal() else 0
        loop = asyncio.get_running_loop()
        limit = _Limit(
            min(SMALL_FORM, self._most) if is_small else self._most, loop.time() + self._seconds
        )
        scope[_LIMIT] = limit
        size = 0
        is_whole = False

        async def receive_some() -> Message:
            nonlocal size, is_whole
            if is_whole:  # what comes now is the end of the connection, whenever that is
                return await receive()
            try:
                async with asyncio.timeout_at(limit.deadline):
                    message = await receive()
                    size += len(message.get("body", b""))
                    if announced > limit.most or size > limit.most:
                        await _discard(receive, message)
                        raise HTTPException(413)
            except TimeoutError:
                raise HTTPException(408, headers={"Connection": "close"}) from None
            is_whole = not message.get("more_body", False)
            return message

        with suppress(ClientDisconnect):  # nobody is there any more to be answered
            await self._app(scope, receive_some, send)


async def _discard(receive: Receive, message: Message) -> None:
    left = _MOST_DISCARDED
    while message.get("more_body") and left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
