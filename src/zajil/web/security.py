"""What keeps the pages safe: log-ins, CSRF tokens, header fields of every response.

Laws:
- Every POST carries the token of its session; a browser without a session has one in a cookie.
- No page runs a script that is not a file of ours, or loads anything from elsewhere.
- A redirect goes to a path of ours, never to an address somebody gave.
- Over HTTPS, no cookie is sent without TLS.
"""

from __future__ import annotations

import hmac
import operator
import re
import secrets
from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zajil.config.options_users import WebOptions
from zajil.core.clock import Clock, Random
from zajil.core.ids import AccountId
from zajil.login.web_sessions import WebSessions
from zajil.store.engine.open import Store
from zajil.store.people.sessions import WebSession

_LONGEST_COOKIE = 200

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
    "font-src 'self'; connect-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""Content-Security-Policy of our own pages."""

LETTER_POLICY = (
    "sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
    "style-src 'unsafe-inline'; img-src 'self' data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)
"""Content-Security-Policy of a letter's HTML: a document without scripts and without anything from
elsewhere; only our own page may frame it. Our page reads its height, so it has our origin."""

FILE_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; media-src 'self'"
)
"""Content-Security-Policy of a file of a message that a browser shows by itself."""

PDF_POLICY = (
    "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""The same of a PDF file, which the viewer of the browser shows: an embedded object to some, which
show none in a sandbox. A document of our origin with this policy could still run no script."""

_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    # The letter's policy has frame-ancestors of its own; browsers prefer it to this older field.
    "X-Frame-Options": "SAMEORIGIN",
    # Not no-referrer: browsers would then send "Origin: null" with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


class SecurityHeaders:
    """Puts the header fields on every response that does not bring its own.

    Over HTTPS, all cookies are Secure, and browsers come back with HTTPS only (RFC 6797).

    Args:
        app: what is served.
        hsts_seconds: how long browsers use HTTPS only; 0: they are not told to.
    """

    def __init__(self, app: ASGIApp, hsts_seconds: int) -> None:
        self._app = app
        self._transport_policy = f"max-age={hsts_seconds}" if hsts_seconds else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its response with the header fields back."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if scope["scheme"] == "https":
                    self._keep_to_tls(headers)
            await send(message)

        await self._app(scope, receive, send_safely)

    def _keep_to_tls(self, headers: MutableHeaders) -> None:
        if self._transport_policy:
            headers.setdefault("Strict-Transport-Security", self._transport_policy)
        cookies = headers.getlist("set-cookie")
        if cookies:
            del headers["set-cookie"]
        for cookie in cookies:
            headers.append("set-cookie", f"{cookie}; Secure")


class Sessions:
    """Log-ins of browsers: the cookies of ``login.web_sessions``."""

    def __init__(self, store: Store, clock: Clock, random: Random, options: WebOptions) -> None:
        self._log_ins = WebSessions(store, clock, random, options.session_lifetime_ms)
        self._options = options
        self._anonymous = f"{options.cookie_name}_visitor"

    async def find(self, request: Request) -> WebSession | None:
        """Return the log-in that a request belongs to."""
        token = request.cookies.get(self._options.cookie_name, "")
        if not token or len(token) > _LONGEST_COOKIE:
            return None
        return await self._log_ins.find(token, peer_of(request))

    async def begin(self, request: Request, account_id: AccountId, response: Response) -> None:
        """Log a browser in."""
        agent = request.headers.get("user-agent", "")
        token = await self._log_ins.begin(account_id, peer_of(request), agent)
        lifetime = self._options.session_lifetime_ms // 1000
        self._set(response, self._options.cookie_name, token, "lax", lifetime)
        response.delete_cookie(self._anonymous)

    def record(self, login: str, peer: str, mechanism: str) -> None:
        """Record a log-in; ``peer`` is the IP address of the browser."""
        self._log_ins.record(login, peer, mechanism)

    async def end(self, session: WebSession, response: Response) -> None:
        """Log a browser out."""
        await self._log_ins.end(session)
        response.delete_cookie(self._options.cookie_name)

    def anonymous_token(self, request: Request) -> str:
        """Return the token of a browser that is not logged in; a new one if it has none."""
        token = request.cookies.get(self._anonymous, "")
        if re.fullmatch(r"[0-9a-f]{64}", token):
            return token
        return self._log_ins.new_token()

    def keep_anonymous(self, response: Response, token: str) -> None:
        """Let the browser remember the token that its form carries."""
        self._set(response, self._anonymous, token, "strict", None)

    def _set(
        self, response: Response, name: str, value: str, same_site: str, max_age: int | None
    ) -> None:
        response.set_cookie(
            name,
            value,
            max_age=max_age,
            httponly=True,
            samesite="strict" if same_site == "strict" else "lax",
        )


def peer_of(request: Request) -> str:
    """Return the browser's IP address, as the listener or a trusted proxy saw it."""
    return request.client.host if request.client else "local"


def is_same_site(request: Request) -> bool:
    """Check that no page of another site sends a request.

    Every current browser says where a request comes from; programs may leave it out.
    """
    return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


def is_own_request(request: Request, token: str, sent: object) -> bool:
    """Whether a POST comes from a form of ours.

    Args:
        request: for what the browser says of its origin.
        token: of the session, or of the cookie of a browser without one.
        sent: the field ``csrf`` of the form, masked (``mask_token``).
    """
    if not is_same_site(request):
        return False
    return isinstance(sent, str) and hmac.compare_digest(
        _unmask(sent).encode("utf-8", "replace"), token.encode()
    )


def mask_token(token: str) -> str:
    """Return a token of hexadecimal digits in a form that no two pages share.

    Security: pages are compressed, and what compresses well next to a guess tells that the guess
    was right (BREACH). A secret that is another one in each page cannot be guessed in steps.
    """
    value = bytes.fromhex(token)
    mask = secrets.token_bytes(len(value))
    return (mask + bytes(map(operator.xor, value, mask))).hex()


def _unmask(sent: str) -> str:
    """Return the token of a masked one; ``""`` for what is none."""
    if not re.fullmatch(r"(?:[0-9a-f]{4}){1,64}", sent):
        return ""
    both = bytes.fromhex(sent)
    half = len(both) // 2
    return bytes(map(operator.xor, both[:half], both[half:])).hex()


_LOCAL_PATH = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f-\U0010ffff]*\Z")


def local_path(text: object, otherwise: str) -> str:
    """Return a path that a redirect may go to.

    Security: ``//evil.example``, ``/\\evil.example`` and addresses with a scheme lead elsewhere.
    """
    if isinstance(text, str) and len(text) <= 1000 and _LOCAL_PATH.match(text):
        return text
    return otherwise
