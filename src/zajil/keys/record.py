"""A signing key as others find it: the TXT record below ``_domainkey`` (RFC 6376 section 3.6).

Pure.
"""

from __future__ import annotations

import base64
import binascii
import re

from zajil.store.dkim_keys import DkimKeyRow, KeyState

_STRING = 255
"""Octets of one string of a TXT record (RFC 1035 section 3.3)."""

_KEY_TYPES = {"rsa-sha256": "rsa", "ed25519-sha256": "ed25519"}
_TAG = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*)\s*=([^;]*)")
_SPACE = re.compile(r"\s+")


def record_name(domain: str, selector: str) -> str:
    """Give the name of the record, without a final dot."""
    return f"{selector}._domainkey.{domain}"


def record_value(row: DkimKeyRow) -> str:
    """Give the text of the record; a revoked key says so by an empty ``p=``."""
    key = b"" if row.state is KeyState.REVOKED else row.public_key
    # h=sha256: nobody may take a signature with SHA-1 for ours (RFC 8301 section 3.1).
    kind = _KEY_TYPES[row.algorithm]
    return f"v=DKIM1; h=sha256; k={kind}; p={base64.b64encode(key).decode()}"


def zone_text(value: str) -> str:
    """Write a value as it stands in a zone file: strings of at most 255 octets, in quotes."""
    pieces = [value[at : at + _STRING] for at in range(0, len(value), _STRING)] or [""]
    return " ".join(
        '"{}"'.format(piece.replace("\\", "\\\\").replace('"', '\\"')) for piece in pieces
    )


def is_same_key(value: str, row: DkimKeyRow) -> bool:
    """Tell whether a record that was found in DNS holds this public key, whatever else it says."""
    tags = {match[1]: match[2] for match in map(_TAG.match, value.split(";")) if match}
    if tags.get("k", "rsa").strip() != _KEY_TYPES[row.algorithm]:
        return False
    try:
        key = base64.b64decode(_SPACE.sub("", tags.get("p", "")), validate=True)
    except (binascii.Error, ValueError):
        return False
    return key == (b"" if row.state is KeyState.REVOKED else row.public_key)
