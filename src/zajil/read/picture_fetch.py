"""Pictures of messages that lie on other servers, fetched in the reader's place.

The sender learns that somebody asked for the picture, and nothing else: neither who nor where from.

Security: the address of a proxied picture carries a MAC by a key of the session, so only URLs that
a message of its reader names are fetched, and only for him. What comes must be a picture by its
first bytes; SVG is none, because it is a document.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from urllib.parse import urlencode

from zajil.core.value_class import value_class
from zajil.read.guarded_fetch import FetchFailed, GuardedFetcher

MAX_PICTURE = 5 << 20
"""Bytes of one picture."""
_SECONDS = 10.0
_AT_A_TIME = 8
"""Pictures that one worker fetches; the others wait."""
_MAC_DIGITS = 32
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


@value_class(frozen=True, slots=True)
class Picture:
    """A picture, with the media type that its bytes have."""

    type: str
    data: bytes


class PictureLinks:
    """Addresses of ours for pictures elsewhere, which hold for one log-in."""

    def __init__(self, secret: str) -> None:
        """Make them.

        Args:
            secret: of the session.
        """
        self._key = hashlib.sha256(b"picture\0" + secret.encode()).digest()

    def address(self, url: str) -> str:
        """Return the address at which ``/picture`` shows the picture of a URL."""
        return f"/picture?{urlencode({'url': url, 'mac': self._mac(url)})}"

    def is_ours(self, url: str, mac: str) -> bool:
        """Check whether ``address`` made this for the same session."""
        return hmac.compare_digest(self._mac(url).encode(), mac.encode("utf-8", "replace"))

    def _mac(self, url: str) -> str:
        data = url.encode("utf-8", "replace")
        return hmac.new(self._key, data, hashlib.sha256).hexdigest()[:_MAC_DIGITS]


class PictureFetcher:
    """Fetches pictures, a few at a time."""

    def __init__(self, fetcher: GuardedFetcher) -> None:
        self._fetcher = fetcher
        self._slots = asyncio.Semaphore(_AT_A_TIME)

    async def fetch(self, url: str) -> Picture:
        """Fetch one.

        Raises:
            FetchFailed: there is none, or it may not be fetched.
        """
        async with self._slots:
            answer = await self._fetcher.get(
                url,
                most_bytes=MAX_PICTURE,
                seconds=_SECONDS,
                accept="image/webp,image/png,image/jpeg,image/gif",
            )
        if answer.status != 200:
            raise FetchFailed(f"the server answered {answer.status}")
        found = picture_type(answer.data)
        if found is None:
            raise FetchFailed("not a picture")
        return Picture(found, answer.data)


def picture_type(data: bytes) -> str | None:
    """Return the media type of a picture that browsers show; ``None``: it is none."""
    for begin, found in _SIGNATURES:
        if data.startswith(begin):
            return found
    return "image/webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None
