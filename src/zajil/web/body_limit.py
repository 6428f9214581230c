"""How much a browser may send: a form, and so a letter, is held in memory whole."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_MOST_DISCARDED = 32 << 20
"""Bytes of a body too large that are read and dropped, so that the browser comes to read our page;
whoever sends more sees the connection end."""


class BodyLimit:
    """Refuse a larger body with 413, which the application shows as a page.

    Nothing of a body that says how long it is, and is too long, is kept.
    """

    def __init__(self, app: ASGIApp, most: int) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        # uvicorn has refused what is no number; more digits than this are too large by far.
        is_too_large = declared.isdecimal() and int(declared[:20]) > self._most
        size = 0

        async def receive_some() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if is_too_large or size > self._most:
                await _discard(receive, message)
                raise HTTPException(413)
            return message

        await self._app(scope, receive_some, send)


async def _discard(receive: Receive, message: Message) -> None:
    left = _MOST_DISCARDED
    while message.get("more_body") and left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
