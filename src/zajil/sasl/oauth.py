"""OAUTHBEARER (RFC 7628) and the older XOAUTH2, server side: a token instead of a password.

XOAUTH2 was never standardized. Google and Microsoft documented it, and many mail programs support
nothing else. Both consist of one message and, after a failure, one challenge with the reason and
one response without meaning.
"""

from __future__ import annotations

import re
from typing import ClassVar

from zajil.sasl.scram import read_saslname
from zajil.sasl.step import (
    MAX_LOGIN_SIZE,
    BadResponse,
    Challenge,
    Step,
    Token,
    read_text,
)

MAX_TOKEN_SIZE = 8192
"""Octets of a token: JSON Web Tokens with many claims have a few thousand."""

# RFC 7628 section 3.1. The authorization identity is optional in both places. Values never hold
# Ctrl-A, so a key cannot be smuggled in.
_MESSAGE = re.compile(
    rb"n,(?:a=(?P<authzid>[^\x00\x01,]+))?,\x01(?P<pairs>(?:[A-Za-z]+=[^\x00\x01]*\x01)*)\x01"
)
_XOAUTH2 = re.compile(rb"user=(?P<user>[^\x00\x01]+)\x01auth=(?P<auth>[^\x00\x01]+)\x01\x01")
# RFC 6750 section 2.1: b64token.
_BEARER = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +(?P<token>[A-Za-z0-9._~+/-]+=*)")

_INVALID_TOKEN = b'{"status":"invalid_token"}'  # RFC 7628 section 3.2.2
_XOAUTH2_INVALID = b'{"status":"401","schemes":"bearer"}'


class OAuthBearer:
    """``n,a=user@example.com,^Ahost=...^Aport=...^Aauth=Bearer TOKEN^A^A`` in one message."""

    name: ClassVar[str] = "OAUTHBEARER"

    def start(self, initial: bytes | None) -> Step:
        """Read the initial response, or ask for it with an empty challenge."""
        return Challenge(b"") if initial is None else self.respond(initial)

    def respond(self, data: bytes) -> Step:
        """Read the one message of the exchange."""
        message = _MESSAGE.fullmatch(data)
        if message is None:
            return BadResponse("not a message of OAUTHBEARER")
        values = [
            value
            for key, _, value in (pair.partition(b"=") for pair in message["pairs"].split(b"\x01"))
            if key.lower() == b"auth"
        ]
        # host and port are where the client thinks it is; we have one answer for all of them.
        token = _read_bearer(values[0]) if len(values) == 1 else None
        authorization_id = read_saslname(message["authzid"]) if message["authzid"] else ""
        if token is None or authorization_id is None:
            return BadResponse("OAUTHBEARER without one bearer token")
        return Token(token, authorization_id, _INVALID_TOKEN)


class XOAuth2:
    """``user=someone^Aauth=Bearer TOKEN^A^A`` in one message."""

    name: ClassVar[str] = "XOAUTH2"

    def start(self, initial: bytes | None) -> Step:
        """Read the initial response, or ask for it with an empty challenge."""
        return Challenge(b"") if initial is None else self.respond(initial)

    def respond(self, data: bytes) -> Step:
        """Read the one message of the exchange."""
        message = _XOAUTH2.fullmatch(data)
        token = _read_bearer(message["auth"]) if message else None
        user = read_text(message["user"], MAX_LOGIN_SIZE) if message else None
        if token is None or user is None:
            return BadResponse("not a message of XOAUTH2")
        return Token(token, user, _XOAUTH2_INVALID)


def _read_bearer(value: bytes) -> str | None:
    if len(value) > MAX_TOKEN_SIZE:
        return None
    bearer = _BEARER.fullmatch(value)
    return bearer["token"].decode("ascii") if bearer else None
