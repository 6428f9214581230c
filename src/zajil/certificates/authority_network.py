"""HTTP with an authority: what the ``acme`` library sends, within bounds for whatever comes back.

Several tries follow badNonce, a new order may say which certificate it replaces (RFC 9773 section
5), and ``Retry-After`` is read here.

Laws:
- No answer takes more than ``_MOST_BYTES`` of memory, nor keeps us waiting longer than a day.
"""

from __future__ import annotations

import io
import time
from typing import Any

import requests
from acme import client, messages
from josepy.interfaces import JSONDeSerializable
from josepy.jwa import ES256
from josepy.jwk import JWK
from requests.adapters import HTTPAdapter

from zajil.certificates.plan import MAX_RETRY_AFTER_MS
from zajil.message.date import parse_date

_TIMEOUT_SECONDS = 20
_NONCE_TRIES = 20
_MOST_REDIRECTS = 3
_MOST_BYTES = 1 << 20
"""Of an answer; a chain has about 6 KiB."""


class _BoundedAdapter(HTTPAdapter):
    """Reads each answer whole, within bounds of size and time, and unpacks nothing."""

    def send(self, *arguments: Any, **options: Any) -> requests.Response:
        """Send a request, and give the answer."""
        until = time.monotonic() + _TIMEOUT_SECONDS
        response = super().send(*arguments, **{**options, "stream": True})
        raw, data = response.raw, bytearray()
        try:
            while part := raw.read1(65_536, decode_content=False):
                data += part
                if len(data) > _MOST_BYTES:
                    raise requests.ConnectionError("the answer is too large")
                if time.monotonic() > until:
                    raise requests.Timeout
        finally:
            raw.close()
        response.raw = io.BytesIO(data)
        return response


class AuthorityNetwork(client.ClientNetwork):
    """Adds to the library's what it lacks."""

    def __init__(self, key: JWK, user_agent: str) -> None:
        super().__init__(key, alg=ES256, user_agent=user_agent, timeout=_TIMEOUT_SECONDS)
        self.session.max_redirects = _MOST_REDIRECTS
        self.session.headers["Accept-Encoding"] = "identity"
        for scheme in ("https://", "http://"):
            self.session.mount(scheme, _BoundedAdapter())
        self.retry_after_ms = 0
        """What the last refusal asked for."""
        self.replaces: str | None = None
        """Goes into the next order (RFC 9773 section 5)."""

    def post(self, *arguments: Any, **options: Any) -> requests.Response:
        """As the library's; after badNonce with a fresh nonce, again and again."""
        for left in reversed(range(_NONCE_TRIES)):
            try:
                return self._post_once(*arguments, **options)
            except messages.Error as error:
                if error.code != "badNonce" or not left:
                    raise
                self._nonces.clear()
        raise AssertionError

    def _wrap_in_jws(self, obj: Any, nonce: str, url: str) -> str:
        if self.replaces is not None and isinstance(obj, messages.NewOrder):
            obj = _ReplacingOrder(obj, self.replaces)
        return super()._wrap_in_jws(obj, nonce, url)

    def _send_request(
        self, method: str, url: str, *arguments: Any, **options: Any
    ) -> requests.Response:
        response = super()._send_request(method, url, *arguments, **options)
        _limit_retry_after(response)
        self.retry_after_ms = 0 if response.ok else retry_after_ms(response)
        return response


class _ReplacingOrder(JSONDeSerializable):
    """A new order that says which certificate it replaces."""

    def __init__(self, order: messages.NewOrder, replaces: str) -> None:
        self._order, self._replaces = order, replaces

    def to_partial_json(self) -> dict[str, Any]:
        return {**self._order.to_partial_json(), "replaces": self._replaces}

    @classmethod
    def from_json(cls, jobj: Any) -> _ReplacingOrder:
        raise NotImplementedError


def _limit_retry_after(response: requests.Response) -> None:
    """Write the field anew as a number of seconds, at least one and at most a day.

    The library waits as long as it says, asks without a pause for a number below one, and fails
    with one that is too large.
    """
    text = response.headers.pop("Retry-After", "").strip()
    if text.isascii() and text.isdecimal():
        seconds = float(text[:9])
    elif (at_ms := parse_date(text)) is not None:
        seconds = at_ms / 1000 - time.time()
    else:
        return
    response.headers["Retry-After"] = str(int(min(max(seconds, 1), MAX_RETRY_AFTER_MS // 1000)))


def retry_after_ms(response: requests.Response) -> int:
    """Return how long an answer wants us to wait; 0: it does not say."""
    return int(response.headers.get("Retry-After", 0)) * 1000
