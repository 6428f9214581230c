"""Pages in fewer bytes: gzip for browsers that take it (RFC 9110 section 8.4.1.3).

Security: what is compressed together with a guess tells by its length whether the guess was right
(BREACH). So: the token of forms is another one in each page (``security.mask_token``); an answer
that another site asked for is not compressed; and a name of random length in the header of the
gzip data hides the last bytes of the length, so that one answer never tells anything.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zajil.core.clock import Random

_LEAST = 800
"""Bytes; a smaller page fits into one packet anyway."""
_TYPES = ("text/html", "text/css", "text/javascript", "image/svg+xml", "application/json")
_LONGEST_NAME = 100
"""Bytes of the random name: those of "Heal the Breach", as Django has them."""
_LEVEL = 5
"""Most of the gain at a third of the time."""


class Compressed:
    """Compress whole answers of text; what is streamed or a file goes on as it is."""

    def __init__(self, app: ASGIApp, random: Random) -> None:
        self._app = app
        self._random = random

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not _may_compress(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        held: Message | None = None

        async def send_compressed(message: Message) -> None:
            nonlocal held
            if message["type"] == "http.response.start":
                held = message
                return
            start, held = held, None
            if start is not None:
                if _is_text(start) and not message.get("more_body"):
                    self._compress(start, message)
                await send(start)
            await send(message)

        await self._app(scope, receive, send_compressed)

    def _compress(self, start: Message, message: Message) -> None:
        body = message.get("body", b"")
        headers = MutableHeaders(raw=start["headers"])
        headers.add_vary_header("Accept-Encoding")
        if len(body) < _LEAST:
            return
        length, *_ = self._random(1)
        message["body"] = _gzip(body, b"a" * (length % _LONGEST_NAME))
        headers["Content-Encoding"] = "gzip"
        headers["Content-Length"] = str(len(message["body"]))


def _may_compress(headers: Headers) -> bool:
    site = headers.get("sec-fetch-site", "none")
    if site not in ("same-origin", "none"):
        return False
    codings = headers.get("accept-encoding", "").lower().replace(" ", "").split(",")
    return any(re.fullmatch(r"gzip(?:;q=(?:1|0\.\d*[1-9]\d*)(?:\.0*)?)?", one) for one in codings)


def _is_text(start: Message) -> bool:
    headers: Mapping[str, str] = MutableHeaders(raw=start["headers"])
    kind = headers.get("content-type", "").partition(";")[0]
    return kind in _TYPES and "content-encoding" not in headers


def _gzip(data: bytes, name: bytes) -> bytes:
    """Return a gzip member with a file name (RFC 1952 section 2.3)."""
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(data) + packer.flush()
    head = b"\x1f\x8b\x08\x08" + bytes(4) + b"\x00\xff" + name + b"\x00"
    return head + packed + struct.pack("<II", zlib.crc32(data), len(data) & 0xFFFFFFFF)
