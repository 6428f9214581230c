"""Ask Rspamd what it thinks of a mail: ``POST /checkv2`` over HTTP.

Laws:
- One deadline for all of it; what is late, away or confused is not a sign against a mail.
- Its score counts by a factor and up to a cap: it is one voice among others.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx

from zajil.check.facts import MessageFacts
from zajil.check.scanners.clamd import PIECE
from zajil.core.value_class import value_class
from zajil.message.source import Source, size_of

MAX_REPLY = 262_144


@value_class(frozen=True, slots=True)
class Opinion:
    """What Rspamd said."""

    score: float = 0.0
    action: str = ""
    """``no action``, ``add header``, ``reject`` ..."""
    symbols: tuple[str, ...] = ()
    """Its reasons, heaviest first."""
    failure: str | None = None
    """Why it was not asked; ``None``: it was."""


class Rspamd:
    """One Rspamd; close it at the end.

    Args:
        url: ``http://127.0.0.1:11333``.
        client: ``None``: one of its own.
    """

    def __init__(self, url: str, client: httpx.AsyncClient | None = None) -> None:
        self._url = url.rstrip("/") + "/checkv2"
        self._client = client or httpx.AsyncClient(trust_env=False, follow_redirects=False)

    async def close(self) -> None:
        """Close the connections that are kept open."""
        await self._client.aclose()

    async def ask(self, facts: MessageFacts, *, deadline: float, max_size: int) -> Opinion:
        """Ask for an opinion; never raises.

        Args:
            facts: the mail.
            deadline: in seconds.
            max_size: bytes; a larger mail is not sent.
        """
        size = len(facts.header) + size_of(facts.body)
        if size > max_size:
            return Opinion(failure="the message is too large")
        headers = {**_headers(facts), "Content-Length": str(size)}
        content = _pieces(facts.header, facts.body)
        try:
            reply = await self._client.post(
                self._url, content=content, headers=headers, timeout=deadline
            )
        except httpx.TimeoutException:
            return Opinion(failure="the scanner timed out")
        except httpx.HTTPError as error:
            return Opinion(failure=f"the scanner is not available ({type(error).__name__})")
        if reply.status_code != 200:
            return Opinion(failure=f"the scanner returned {reply.status_code}")
        return read_opinion(reply.content)


def _headers(facts: MessageFacts) -> dict[str, str]:
    # Values of a peer are quoted, so that no line end of theirs ends a field.
    headers = {
        "Helo": quote(facts.claimed_name, safe=".:[]-_")[:255],
        "From": quote(str(facts.reverse_path or ""), safe="@.+-_=")[:500],
        "Rcpt": ",".join([quote(str(one), safe="@.+-_=") for one in facts.recipients[:50]]),
        "Pass": "all",
    }
    if facts.peer is not None:
        headers["IP"] = str(facts.peer.address)
    if facts.login is not None:
        headers["User"] = quote(facts.login, safe="@.+-_=")[:255]
    return headers


async def _pieces(header: bytes, body: bytes | Source) -> AsyncIterator[bytes]:
    yield header
    if isinstance(body, bytes):
        yield body
        return
    at = 0
    while piece := body.read_at(at, PIECE):
        at += len(piece)
        yield piece


def read_opinion(reply: bytes) -> Opinion:
    """Read the answer; never raises."""
    try:
        found = json.loads(reply[:MAX_REPLY])
        score = float(found["score"])
        symbols = found.get("symbols") or {}
        weights = {str(name): float(one.get("score", 0)) for name, one in symbols.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Opinion(failure="the scanner returned an invalid response")
    if not -1000 < score < 1000:  # not a number fails this, too
        return Opinion(failure="the scanner returned an invalid response")
    heaviest = sorted(weights, key=lambda name: -abs(weights[name]))[:10]
    return Opinion(score, str(found.get("action", ""))[:40], tuple(heaviest))
