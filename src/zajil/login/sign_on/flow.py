"""What a browser keeps while its user is at the provider: one signed text, in a cookie.

Security: state, nonce and verifier belong to this browser alone. An answer of the provider that
another browser brings, or that comes a second time, finds no such text (RFC 9700 section 4.7).
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import asdict, dataclass

from zajil.core.clock import Random

FLOW_MS = 600_000
"""How long a user may take at the provider."""
LONGEST_FLOW = 3000
"""Characters of the signed text."""
_PURPOSE = b"sign-on "


@dataclass(frozen=True, slots=True)
class SignOnFlow:
    """One log-in that has begun."""

    state: str
    nonce: str
    verifier: str
    """RFC 7636 section 4.1."""
    onward: str
    """Path to go to afterwards."""
    until_ms: int

    @property
    def challenge(self) -> str:
        """Return the challenge of the verifier. (RFC 7636 section 4.2, S256)"""
        return _encode(hashlib.sha256(self.verifier.encode("ascii")).digest())


def begin_flow(random: Random, onward: str, now_ms: int) -> SignOnFlow:
    """Return a new flow, with 256 random bits in each of its secrets."""
    state, nonce, verifier = (_encode(random(32)) for _ in range(3))
    return SignOnFlow(state, nonce, verifier, onward, now_ms + FLOW_MS)


def seal_flow(flow: SignOnFlow, key: bytes) -> str:
    """Return a flow as the text that its browser keeps."""
    body = _encode(json.dumps(asdict(flow)).encode("utf-8"))
    return f"{body}.{_mac(body, key)}"


def open_flow(text: str, key: bytes, now_ms: int) -> SignOnFlow | None:
    """Return the flow of a text; ``None``: it is not ours, or too old."""
    body, _, mac = text.partition(".")
    if len(text) > LONGEST_FLOW or not hmac.compare_digest(
        _mac(body, key).encode("ascii"), mac.encode("utf-8", "replace")
    ):
        return None
    flow = SignOnFlow(**json.loads(urlsafe_b64decode(body + "=" * (-len(body) % 4))))
    return flow if now_ms < flow.until_ms else None


def _mac(body: str, key: bytes) -> str:
    return hmac.digest(key, _PURPOSE + body.encode("utf-8", "replace"), "sha256").hex()


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
