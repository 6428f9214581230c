"""Verification of access tokens by their issuer (RFC 7662).

Tokens are never parsed locally: the issuer returns the current claims, so no key, algorithm or
issuer inside a forged token is used (CVE-2021-29157).
"""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass
from typing import Any

import httpx

from zajil.core.clock import Clock
from zajil.login.tokens import JudgeUnavailable

_TIMEOUT_SECONDS = 5.0
"""A person waits for the log-in."""
_MAX_ANSWER = 65_536
"""Bytes; an answer is a few hundred."""


@dataclass(frozen=True, slots=True)
class IntrospectionRules:
    """Whom to ask, and what the answer must say."""

    url: str
    client_id: str | None = None
    client_secret: str = ""
    claim: str = "username"
    """Member of the answer that names the account."""
    audience: str | None = None
    """Must be in ``aud``: a token that was made for another service opens nothing here."""


class Introspection:
    """Asks an OAuth 2 server over HTTP. (RFC 7662 section 2)

    Security: the address is the operator's alone; redirects are not followed, proxies of the
    environment not used, and nothing of the token gets into the address.
    """

    def __init__(self, rules: IntrospectionRules, tls: ssl.SSLContext | bool, clock: Clock) -> None:
        self._rules = rules
        self._clock = clock
        auth = (rules.client_id, rules.client_secret) if rules.client_id else None
        self._client = httpx.AsyncClient(
            auth=auth,
            verify=tls,
            timeout=_TIMEOUT_SECONDS,
            follow_redirects=False,
            trust_env=False,
            headers={"Accept": "application/json"},
        )

    async def judge(self, token: str) -> str | None:
        """See ``TokenJudge.judge``."""
        answer = _read_answer(await self._ask(token))
        if answer.get("active") is not True or not self._is_for_us(answer):
            return None
        owner = answer.get(self._rules.claim)
        return owner if isinstance(owner, str) and owner else None

    async def close(self) -> None:
        """Close the connections that are kept open; nothing is asked afterwards."""
        await self._client.aclose()

    async def _ask(self, token: str) -> bytes:
        form = {"token": token, "token_type_hint": "access_token"}
        body = bytearray()
        try:
            async with self._client.stream("POST", self._rules.url, data=form) as response:
                if response.status_code != httpx.codes.OK:
                    raise JudgeUnavailable(f"the token server answered {response.status_code}")
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > _MAX_ANSWER:
                        raise JudgeUnavailable("the response of the token server is too large")
        except httpx.HTTPError as error:
            # Its text may hold the address, never the token: that is in the body.
            raise JudgeUnavailable(f"cannot query the token server: {error!r}") from error
        return bytes(body)

    def _is_for_us(self, answer: dict[str, Any]) -> bool:
        now = self._clock.now_ms() / 1000
        expires, begins = answer.get("exp"), answer.get("nbf")
        if expires is not None and not (_is_number(expires) and expires > now):
            return False
        if begins is not None and not (_is_number(begins) and begins <= now):
            return False
        if self._rules.audience is None:
            return True
        audience = answer.get("aud")
        return self._rules.audience in (audience if isinstance(audience, list) else [audience])


def _read_answer(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise JudgeUnavailable("the response of the token server is not JSON") from None
    if not isinstance(answer, dict):
        raise JudgeUnavailable("the response of the token server is not a JSON object")
    return answer


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
