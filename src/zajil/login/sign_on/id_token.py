"""The ID token of a provider, checked. (OpenID Connect Core 1.0 section 3.1.3.7)

Laws:
- The algorithm is one of a fixed list of signatures with public keys, whatever the token says:
  ``none`` and HMAC, whose key would be our secret, are refused (RFC 8725 section 3.1).
- A key is taken from the provider's own set alone; addresses of keys in the token are not followed.
- Issuer, audience, nonce and times are those that we asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zajil.core.errors import Refused

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
_LEEWAY_SECONDS = 60
"""Between the clocks of provider and server."""
_LONGEST_SUBJECT = 255
"""Characters (OpenID Connect Core 1.0 section 2: ``sub``)."""


class BadIdToken(Refused):
    """The token of the provider proves nothing; the text says why."""


class UnknownKey(BadIdToken):
    """The token is signed with a key that is not in the set that we have."""


@dataclass(frozen=True, slots=True)
class SignedOn:
    """Whom a provider vouches for."""

    issuer: str
    subject: str
    address: str | None
    """As claimed; ``None``: it is not said, or not verified."""
    display_name: str


def check_id_token(
    token: str, keys: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str, now_ms: int
) -> dict[str, Any]:
    """Return the claims of an ID token.

    Args:
        token: in the compact form.
        keys: the provider's set of keys (RFC 7517 section 5).
        issuer: that it must name.
        client_id: that it must be for.
        nonce: of the flow.
        now_ms: the time.

    Raises:
        UnknownKey: see there.
        BadIdToken: it is not for this log-in.
    """
    claims = _read_signed(token, keys)
    # Imported here, because it takes 100 ms, and few servers have a provider.
    from authlib.oidc.core import CodeIDToken
    from joserfc.errors import JoseError

    wanted = {
        "iss": {"essential": True, "value": issuer},
        "sub": {"essential": True},
        "aud": {"essential": True, "value": client_id},
        "exp": {"essential": True},
        "iat": {"essential": True},
        "nonce": {"essential": True, "value": nonce},
    }
    checked = CodeIDToken(claims, {}, wanted, {"nonce": nonce, "client_id": client_id})
    try:
        checked.validate(now=now_ms // 1000, leeway=_LEEWAY_SECONDS)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadIdToken(f"the ID token is not for this log-in: {error}") from None
    audience = claims["aud"]
    if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != client_id:
        raise BadIdToken("the ID token is for several parties, and not made for this one")
    return claims


def _read_signed(token: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    from joserfc import errors, jwt
    from joserfc.jwk import KeySet

    try:
        ring = KeySet.import_key_set(_public_keys(keys))
        claims = jwt.decode(token, ring, algorithms=list(ALGORITHMS)).claims
    except errors.InvalidKeyIdError:
        raise UnknownKey("the ID token is signed with an unknown key") from None
    except (errors.JoseError, ValueError, TypeError, KeyError) as error:
        raise BadIdToken(f"the ID token cannot be verified: {error}") from None
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT:
        raise BadIdToken("the ID token names nobody")
    return dict(claims)


def _public_keys(keys: Mapping[str, Any]) -> Any:
    """Return the keys that may sign; others in the set are left alone."""
    listed = keys.get("keys")
    usable = [
        key
        for key in (listed if isinstance(listed, list) else ())
        if isinstance(key, dict)
        and key.get("kty") in ("RSA", "EC", "OKP")
        and key.get("use", "sig") == "sig"
    ]
    if not usable:
        raise BadIdToken("the provider has published no key that signs")
    return {"keys": usable}


def verified_address(claims: Mapping[str, Any]) -> str | None:
    """Return the address that the provider has verified; ``None``: it says of none.

    Security: an address that is only claimed would open the account of whoever has it.
    """
    address = claims.get("email")
    return address if isinstance(address, str) and claims.get("email_verified") is True else None
