"""Styles, scripts, fonts and pictures: few and small, so they are kept in memory."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

_FOLDER = Path(__file__).parent / "static"
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}

_URL = re.compile(rb'url\("([a-z0-9.-]+)"\)')


class StaticFiles:
    """The folder ``static``, as it was when the server started."""

    def __init__(self) -> None:
        self._files = {
            path.name: (path.read_bytes(), _MEDIA_TYPES[path.suffix])
            for path in _FOLDER.iterdir()
            if path.suffix in _MEDIA_TYPES
        }
        for name, (content, media_type) in list(self._files.items()):
            if name.endswith(".css"):
                self._files[name] = (_URL.sub(self._addressed, content), media_type)

    def path(self, name: str) -> str:
        """Return the address of a file: with its hash, so that a new file is a new address."""
        content, _ = self._files[name]
        return f"/static/{name}?{hashlib.sha256(content).hexdigest()[:12]}"

    def content(self, name: str) -> tuple[bytes, str]:
        """Return the content of a file, and its media type."""
        return self._files[name]

    def _addressed(self, url: re.Match[bytes]) -> bytes:
        """Return a URL of a style sheet with the hash of its file."""
        return b'url("%s")' % self.path(url[1].decode()).encode()

    async def show(self, request: Request) -> Response:
        """Serve one file; browsers may keep it for ever."""
        found = self._files.get(request.path_params["name"])
        if found is None:
            raise HTTPException(404)
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(found[0], media_type=found[1], headers=headers)
