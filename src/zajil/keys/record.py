"""A signing key as a TXT record below ``_domainkey`` (RFC 6376 section 3.6).

Pure.
"""

from __future__ import annotations

import base64

from zajil.mailauth.dkim_key import KEY_TYPES
from zajil.mailauth.tag_list import BadTagList, parse_record_tags, read_base64
from zajil.store.people.dkim_keys import DkimKeyRow, KeyState

_STRING = 255
"""Octets of one string of a TXT record (RFC 1035 section 3.3)."""


def record_value(row: DkimKeyRow) -> str:
    """Return the text of the record; a revoked key says so by an empty ``p=``."""
    key = b"" if row.state is KeyState.REVOKED else row.public_key
    # h=sha256: nobody may take a signature with SHA-1 for ours (RFC 8301 section 3.1).
    kind = KEY_TYPES[row.algorithm]
    return f"v=DKIM1; h=sha256; k={kind}; p={base64.b64encode(key).decode()}"


def zone_text(value: str) -> str:
    """Write a value as it stands in a zone file: strings of at most 255 octets, in quotes."""
    pieces = [value[at : at + _STRING] for at in range(0, len(value), _STRING)] or [""]
    return " ".join(
        '"{}"'.format(piece.replace("\\", "\\\\").replace('"', '\\"')) for piece in pieces
    )


def is_same_key(value: str, row: DkimKeyRow) -> bool:
    """Return whether a record that was found in DNS holds this public key, whatever else it says.

    Args:
        value: the joined strings of the TXT record, bytes above 127 as Latin-1.
        row: the key.
    """
    try:
        tags = parse_record_tags(value.encode("latin-1", "replace"), (b"k", b"p"))
        if tags.get(b"k", b"rsa").decode("latin-1") != KEY_TYPES[row.algorithm]:
            return False
        packed = tags.get(b"p")
        if packed is None:
            return False
        if row.state is KeyState.REVOKED:
            return not packed
        return read_base64(packed, "p") == row.public_key
    except BadTagList:
        return False
