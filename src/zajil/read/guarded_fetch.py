"""HTTP requests to addresses that a stranger named: pictures, unsubscribing, push services.

Security: only ``http`` and ``https`` on their usual ports, only hosts on the Internet
(``resolver.outside``), connected to by the address that was judged; each redirect is judged anew.
Nothing about the reader is sent: no cookies, no Referer, no Accept-Language, no proxy of the
environment. Size and time are bounded, and nothing is unpacked.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Container, Mapping
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

from zajil.core.errors import InternalError
from zajil.core.value_class import value_class
from zajil.dns.flow import Resolve
from zajil.read.links import read_target
from zajil.resolver.outside import NotOutside, find_outside

MAX_REDIRECTS = 3
_PORTS = {"http": 80, "https": 443}
_OTHER_PORTS = frozenset({8080, 8443})
"""Where web servers are found, too; a mail or database server never is."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_AGENT = "Mozilla/5.0 (compatible; Zajil)"


class FetchFailed(InternalError):
    """Nothing was fetched; the text says why, for the log."""


@value_class(frozen=True, slots=True)
class Fetched:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class GuardedFetcher:
    """Asks servers that nobody here chose."""

    def __init__(self, resolve: Resolve, tls: ssl.SSLContext, allowed: Container[str] = ()) -> None:
        """Make one; it holds no connections.

        Args:
            resolve: answers questions of DNS.
            tls: demands a valid certificate.
            allowed: private addresses that may be asked, on any port.
        """
        self._resolve = resolve
        self._tls = tls
        self._allowed = allowed

    async def get(
        self,
        url: str,
        *,
        most_bytes: int,
        seconds: float,
        accept: str,
        https_only: bool = False,
        redirects: int = MAX_REDIRECTS,
    ) -> Fetched:
        """Fetch a URL.

        Args:
            url: ``http`` or ``https``; anything may be in it.
            most_bytes: of the body.
            seconds: for all of it.
            accept: field ``Accept``.
            https_only: a URL without TLS is not asked for, nor one that a redirect leads to.
            redirects: how many are followed.

        Raises:
            FetchFailed: it may not be asked, or does not answer as it should.
        """
        try:
            async with asyncio.timeout(seconds):
                for _ in range(redirects + 1):
                    if https_only and not url.lower().startswith("https:"):
                        raise FetchFailed("not an https address")
                    answer = await self._ask("GET", url, {"Accept": accept}, b"", most_bytes)
                    if answer.status not in _REDIRECTS:
                        return answer
                    url = urljoin(url, answer.headers.get("location", ""))
        except TimeoutError:
            raise FetchFailed("it takes too long") from None
        raise FetchFailed("too many redirects")

    async def post(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        *,
        most_bytes: int = 65_536,
        seconds: float = 20,
    ) -> Fetched:
        """Send something to a URL; redirects are not followed.

        Raises:
            FetchFailed: it may not be asked, or does not answer as it should.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self._ask("POST", url, headers, body, most_bytes)
        except TimeoutError:
            raise FetchFailed("it takes too long") from None

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, most_bytes: int
    ) -> Fetched:
        place, port = _split(url)
        host = place.hostname or ""
        try:
            addresses = await find_outside(host, self._resolve, self._allowed)
        except NotOutside as error:
            raise FetchFailed(str(error)) from None
        is_usual = port == _PORTS[place.scheme] or port in _OTHER_PORTS
        if not is_usual and not all([one in self._allowed for one in addresses]):
            raise FetchFailed(f"port {port} is not one of web servers")
        sent = {
            **headers,
            "Host": place.netloc,
            "User-Agent": _AGENT,
            "Accept-Encoding": "identity",
        }
        reason = ""
        for address in addresses:
            try:
                return await self._exchange(method, place, (address, port), sent, body, most_bytes)
            except ConnectionError as error:
                reason = str(error)
        raise FetchFailed(reason)

    async def _exchange(
        self,
        method: str,
        place: SplitResult,
        at: tuple[str, int],
        headers: Mapping[str, str],
        body: bytes,
        most_bytes: int,
    ) -> Fetched:
        """Ask one address.

        Raises:
            ConnectionError: it cannot be reached; another address may be.
            FetchFailed: it answers, but not as it should.
        """
        # Imported here, because httpx takes 60 ms and 6 MiB, and few mails name anything.
        import httpx

        target = f"{place.path or '/'}{f'?{place.query}' if place.query else ''}"
        where = httpx.URL(
            scheme=place.scheme, host=at[0], port=at[1], raw_path=target.encode("ascii", "replace")
        )
        data = bytearray()
        extensions: dict[str, Any] = {"sni_hostname": place.hostname}
        try:
            async with (
                httpx.AsyncClient(verify=self._tls, trust_env=False, http2=False) as client,
                client.stream(
                    method, where, headers=dict(headers), content=body, extensions=extensions
                ) as answer,
            ):
                if answer.headers.get("content-encoding", "identity").lower() != "identity":
                    raise FetchFailed("the answer is packed, though that was not asked for")
                async for chunk in answer.aiter_raw(65_536):
                    data += chunk
                    if len(data) > most_bytes:
                        raise FetchFailed("the answer is too large")
                return Fetched(answer.status_code, dict(answer.headers), bytes(data))
        except httpx.ConnectError as error:
            raise ConnectionError(f"cannot connect: {error}") from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise FetchFailed(f"bad answer: {error!r}") from None


def _split(url: str) -> tuple[SplitResult, int]:
    """Take a URL apart as a browser would.

    Raises:
        FetchFailed: it may not be asked, whatever its host is.
    """
    target = read_target(url)
    if target is None or target.url.startswith("mailto:"):
        raise FetchFailed("not an address of a web server")
    try:
        place = urlsplit(target.url)
        port = place.port if place.port is not None else _PORTS[place.scheme]
    except ValueError:
        raise FetchFailed("not an address of a web server") from None
    # Security: a password in a URL is for deceiving somebody, and would be sent on.
    if "@" in place.netloc or not place.hostname or not place.netloc.isascii():
        raise FetchFailed("not an address of a web server")
    return place, port
