"""Mechanisms by name (RFC 4422 section 3.1)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable

from zajil.sasl.login import Login
from zajil.sasl.oauth import OAuthBearer, XOAuth2
from zajil.sasl.plain import Plain
from zajil.sasl.scram import NONCE_SIZE, Scram
from zajil.sasl.step import Mechanism

PASSWORD_MECHANISMS = (Plain.name, Login.name)
"""Those that carry the password itself, in the order we announce them."""
TOKEN_MECHANISMS = (OAuthBearer.name, XOAuth2.name)
"""Those that carry an access token, for where somebody can judge it."""


def make_mechanism(name: str, random: Callable[[int], bytes]) -> Mechanism | None:
    """Begin an exchange; ``None``: we do not do this mechanism.

    Args:
        name: in capitals.
        random: gives that many bytes nobody can guess.
    """
    match name:
        case Plain.name:
            return Plain()
        case Login.name:
            return Login()
        case Scram.name:
            return Scram(b64encode(random(NONCE_SIZE)).decode())
        case OAuthBearer.name:
            return OAuthBearer()
        case XOAuth2.name:
            return XOAuth2()
    return None
