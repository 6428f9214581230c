"""The requests to an OpenID provider: its configuration, its keys, the exchange of a code.

Security: the provider is the operator's choice, but what it names is not: each address in its
configuration must be encrypted, and one on this machine is taken only from a provider that is here
itself. Redirects are not followed, proxies of the environment not used, answers bounded.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx

from zajil.config.kinds import is_safe_url
from zajil.config.options_sign_on import SignOnOptions
from zajil.core.clock import Clock
from zajil.core.errors import Unavailable
from zajil.login.sign_on.flow import SignOnFlow
from zajil.login.sign_on.id_token import (
    BadIdToken,
    SignedOn,
    UnknownKey,
    check_id_token,
    verified_address,
)

_MOST_ANSWER = 1 << 20
_PATIENCE = 3
"""A whole answer may take so many times ``sign_on.timeout``."""
_FRESH_MS = 3_600_000
"""How long configuration and keys are believed."""
_KEYS_AGAIN_MS = 60_000
"""An unknown key makes us ask for the keys again, this often at most: a forged token is cheap."""
_HERE = ("127.0.0.1", "::1", "localhost")
SCOPE = "openid email profile"


class ProviderUnavailable(Unavailable):
    """The provider cannot be reached, or answers with what is no answer."""


class OpenIdProvider:
    """One provider, and what is known of it.

    Args:
        options: ``[sign_on]``, with an issuer.
        tls: whom to trust.
        clock: the time.
        redirect_uri: where it sends browsers back to.
    """

    def __init__(
        self, options: SignOnOptions, tls: ssl.SSLContext, clock: Clock, redirect_uri: str
    ) -> None:
        self._options = options
        self._issuer = options.issuer or ""
        self._client_id = options.client_id or ""
        self._clock = clock
        self.redirect_uri = redirect_uri
        self._client = httpx.AsyncClient(
            verify=tls,
            timeout=options.timeout_ms / 1000,
            follow_redirects=False,
            trust_env=False,
            headers={"Accept": "application/json"},
        )
        self._metadata: tuple[int, dict[str, Any]] | None = None
        self._keys: tuple[int, dict[str, Any]] | None = None

    async def authorization_url(self, flow: SignOnFlow) -> str:
        """Return where the browser goes to log in. (RFC 6749 section 4.1.1, RFC 7636 section 4.3)

        Raises:
            ProviderUnavailable: it is not known where.
        """
        url = await self._endpoint("authorization_endpoint")
        asked = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": self.redirect_uri,
            "scope": SCOPE,
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": flow.challenge,
            "code_challenge_method": "S256",
        }
        return f"{url}{'&' if '?' in url else '?'}{urlencode(asked)}"

    async def redeem(self, code: str, issuer: str | None, flow: SignOnFlow) -> SignedOn:
        """Return whom a code is for. (RFC 6749 section 4.1.3)

        Args:
            code: that the browser brought.
            issuer: parameter ``iss`` of the answer (RFC 9207); ``None``: there was none.
            flow: of this browser.

        Raises:
            BadIdToken: it is for nobody.
            ProviderUnavailable: nobody can say now.
        """
        metadata = await self._configuration()
        expects = metadata.get("authorization_response_iss_parameter_supported") is True
        if issuer != self._issuer and (issuer is not None or expects):
            raise BadIdToken("the answer comes from another provider")
        answer = await self._exchange(code, flow, metadata)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise BadIdToken("the provider sent no ID token")
        claims = await self._check(token, flow)
        if "email" not in claims and isinstance(answer.get("access_token"), str):
            claims = await self._with_user_info(claims, answer["access_token"])
        name = claims.get("name")
        return SignedOn(
            self._issuer,
            claims["sub"],
            verified_address(claims),
            name if isinstance(name, str) else "",
        )

    async def logout_url(self, back: str) -> str | None:
        """Return where a browser logs out (RP-Initiated Logout 1.0); ``None``: nowhere."""
        if not self._options.logout:
            return None
        try:
            metadata = await self._configuration()
            if "end_session_endpoint" not in metadata:
                return None
            url = await self._endpoint("end_session_endpoint")
        except ProviderUnavailable:
            return None
        asked = {"client_id": self._client_id, "post_logout_redirect_uri": back}
        return f"{url}{'&' if '?' in url else '?'}{urlencode(asked)}"

    async def close(self) -> None:
        """Close the connections that are kept open."""
        await self._client.aclose()

    async def _exchange(
        self, code: str, flow: SignOnFlow, metadata: Mapping[str, Any]
    ) -> dict[str, Any]:
        url = await self._endpoint("token_endpoint")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": flow.verifier,
        }
        secret, auth = self._options.client_secret or "", None
        methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        name, quoted = _form_quoted(self._client_id), _form_quoted(secret)
        # Some servers do not decode what the header quotes, such as Glewlwyd 2.7.
        is_plain = (name, quoted) == (self._client_id, secret)
        knows = methods if isinstance(methods, list) else ["client_secret_basic"]
        if "client_secret_basic" not in knows or ("client_secret_post" in knows and not is_plain):
            form |= {"client_id": self._client_id, "client_secret": secret}
        else:
            auth = httpx.BasicAuth(name, quoted)
        status, answer = await self._ask("POST", url, data=form, auth=auth)
        if status in (400, 401):
            # RFC 6749 section 5.2: the code was used before, is too old, or not ours.
            raise BadIdToken(f"the provider refused the code: {str(answer.get('error'))[:100]}")
        if status != httpx.codes.OK:
            raise ProviderUnavailable(f"the provider answered {status} to the code")
        return answer

    async def _check(self, token: str, flow: SignOnFlow) -> dict[str, Any]:
        for is_again in (False, True):
            keys = await self._load_keys(again=is_again)
            try:
                return check_id_token(
                    token,
                    keys,
                    issuer=self._issuer,
                    client_id=self._client_id,
                    nonce=flow.nonce,
                    now_ms=self._clock.now_ms(),
                )
            except UnknownKey:
                if is_again:
                    raise
        raise AssertionError("the loop returns or raises")

    async def _with_user_info(self, claims: dict[str, Any], token: str) -> dict[str, Any]:
        """Add what the provider says of the person elsewhere. (Core 1.0 section 5.3)"""
        if "userinfo_endpoint" not in await self._configuration():
            return claims
        url = await self._endpoint("userinfo_endpoint")
        headers = {"Authorization": f"Bearer {token}"}
        status, answer = await self._ask("GET", url, headers=headers)
        # Security: it must be about the same person (section 5.3.2).
        if status != httpx.codes.OK or answer.get("sub") != claims["sub"]:
            return claims
        # Security: whether an address is verified counts for the address beside it alone.
        kept = {name: value for name, value in claims.items() if name != "email_verified"}
        return {**answer, **kept}

    async def _load_keys(self, *, again: bool) -> dict[str, Any]:
        now_ms = self._clock.now_ms()
        if self._keys is not None:
            age_ms = now_ms - self._keys[0]
            if age_ms < (_KEYS_AGAIN_MS if again else _FRESH_MS):
                return self._keys[1]
        status, answer = await self._ask("GET", await self._endpoint("jwks_uri"))
        if status != httpx.codes.OK:
            raise ProviderUnavailable(f"the provider answered {status} to the request for keys")
        self._keys = now_ms, answer
        return answer

    async def _configuration(self) -> dict[str, Any]:
        """Return the configuration of the provider. (OpenID Connect Discovery 1.0 section 4)"""
        now_ms = self._clock.now_ms()
        if self._metadata is not None and now_ms - self._metadata[0] < _FRESH_MS:
            return self._metadata[1]
        url = f"{self._issuer.rstrip('/')}/.well-known/openid-configuration"
        status, answer = await self._ask("GET", url)
        if status != httpx.codes.OK:
            raise ProviderUnavailable(f"the provider answered {status} to {url}")
        # Security: a configuration of somebody else would send codes to them (section 4.3).
        if answer.get("issuer") != self._issuer:
            raise ProviderUnavailable(f"{url} is the configuration of another issuer")
        self._metadata = now_ms, answer
        return answer

    async def _endpoint(self, name: str) -> str:
        url = (await self._configuration()).get(name)
        is_here = urlsplit(self._issuer).hostname in _HERE
        try:
            right = isinstance(url, str) and is_safe_url(url)
            right = right and (is_here or urlsplit(str(url)).hostname not in _HERE)
        except ValueError:
            right = False
        if not right or not isinstance(url, str):
            raise ProviderUnavailable(f"the provider has no {name} that may be used")
        return url

    async def _ask(self, method: str, url: str, **how: Any) -> tuple[int, dict[str, Any]]:
        body = bytearray()
        how = {name: value for name, value in how.items() if value is not None}
        seconds = self._options.timeout_ms / 1000 * _PATIENCE
        try:
            # The client has a limit for each part only, and an answer may come byte by byte.
            async with (
                asyncio.timeout(seconds),
                self._client.stream(method, url, **how) as response,
            ):
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > _MOST_ANSWER:
                        raise ProviderUnavailable("an answer of the provider is too large")
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise ProviderUnavailable(f"cannot ask the provider: {error!r}") from None
        try:
            answer = json.loads(body) if body else {}
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise ProviderUnavailable(f"{url} answered {response.status_code} without JSON")
        return response.status_code, answer


def _form_quoted(text: str) -> str:
    """Return a text as RFC 6749 section 2.3.1 wants it in HTTP Basic authentication.

    A space as ``%20``, which those understand too that do not know ``+``.
    """
    return quote(text, safe="")
