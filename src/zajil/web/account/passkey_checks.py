"""Passkeys (WebAuthn): the options for a browser, and checks of what it answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request

from zajil.login.account import Account
from zajil.login.second_step import decode, encode
from zajil.operations.second_factors import NewPasskey
from zajil.store.people.second_factors import PasskeyRow

LONGEST_CREDENTIAL = 20_000
"""Characters of the JSON that a browser sends."""


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Whose passkeys these are, as browsers see it."""

    rp_id: str
    """Name of the host, which a passkey belongs to for ever."""
    origin: str
    """Scheme, host and port of the pages."""


def relying_party(public_url: str | None, request: Request) -> RelyingParty:
    """Return the host of the public address; without one that of the request, as in a lab."""
    url = urlsplit(public_url or str(request.base_url))
    port = f":{url.port}" if url.port not in (None, 80, 443) else ""
    return RelyingParty(url.hostname or "localhost", f"{url.scheme}://{url.hostname}{port}")


def registration_options(
    party: RelyingParty, account: Account, known: Sequence[PasskeyRow], challenge: str
) -> str:
    """Return the JSON with which a browser makes a passkey (WebAuthn section 5.4)."""
    from webauthn import generate_registration_options, options_to_json
    from webauthn.helpers.structs import (
        AuthenticatorSelectionCriteria,
        PublicKeyCredentialDescriptor,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    options = generate_registration_options(
        rp_id=party.rp_id,
        rp_name=party.rp_id,
        user_id=account.account_id.to_bytes(8, "big"),
        user_name=account.address.unicode,
        user_display_name=account.display_name or account.address.unicode,
        challenge=decode(challenge),
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.PREFERRED,
        ),
        exclude_credentials=[
            PublicKeyCredentialDescriptor(id=decode(one.credential_id)) for one in known
        ],
    )
    return options_to_json(options)


def request_options(party: RelyingParty, known: Sequence[PasskeyRow], challenge: str) -> str:
    """Return the JSON with which a browser asks for a passkey (WebAuthn section 5.5).

    Args:
        party: whose passkeys.
        known: those of the account; empty: any that the browser has, and with it the account.
        challenge: in base64url.
    """
    return json.dumps(
        {
            "challenge": challenge,
            "rpId": party.rp_id,
            "timeout": 120_000,
            "allowCredentials": [{"type": "public-key", "id": one.credential_id} for one in known],
            "userVerification": "preferred" if known else "required",
        }
    )


def check_registration(
    credential: str, challenge: str, party: RelyingParty, name: str
) -> NewPasskey | None:
    """Return the new passkey of an answer; ``None``: the answer is not right."""
    from webauthn import verify_registration_response

    if not _is_credential(credential):
        return None
    try:
        done = verify_registration_response(
            credential=credential,
            expected_challenge=decode(challenge),
            expected_rp_id=party.rp_id,
            expected_origin=party.origin,
        )
    except Exception:
        return None
    if len(done.credential_id) > 1023:  # WebAuthn section 4: the longest that there is
        return None
    return NewPasskey(encode(done.credential_id), done.credential_public_key, done.sign_count, name)


def credential_id_of(credential: str) -> str:
    """Return the id of the passkey that an answer names; ``""``: none."""
    value: Any = None
    if _is_credential(credential):
        value = json.loads(credential).get("id")
    return value if isinstance(value, str) else ""


def check_assertion(
    credential: str, challenge: str, party: RelyingParty, passkey: PasskeyRow, *, alone: bool
) -> int | None:
    """Return the new count of signatures; ``None``: the answer is not right.

    Args:
        credential: JSON, as the browser sent it.
        challenge: that was signed, in base64url; checked before.
        party: whose passkey it is.
        passkey: that the answer names.
        alone: no password was asked: the device must have verified its user, as by a PIN.
    """
    from webauthn import verify_authentication_response

    try:
        done = verify_authentication_response(
            credential=credential,
            expected_challenge=decode(challenge),
            expected_rp_id=party.rp_id,
            expected_origin=party.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=alone,
        )
    except Exception:
        return None
    return done.new_sign_count


def _is_credential(text: str) -> bool:
    if len(text) > LONGEST_CREDENTIAL:
        return False
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
