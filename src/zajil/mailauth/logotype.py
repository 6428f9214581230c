"""The logo in a certificate: the logotype extension (RFC 9399), and the SVG in its ``data:`` URI.

Laws:
- ``read_logotype`` is linear, unpacks ``MAX_SVG`` bytes at most, and raises ``BadLogo`` only.
- One logo, of the subject, in the certificate itself. Certificates for BIMI have no other
  (draft-fetch-validation-vmc-wchuang); of two logos nobody knows which one was confirmed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import Callable
from typing import Any

from zajil.core.errors import Malformed

MAX_SVG = 32_768
"""Bytes of a logo, as the draft of BIMI recommends."""

_SEQUENCE, _OCTETS, _OID, _IA5_STRING = 0x30, 0x04, 0x06, 0x16
_SUBJECT_LOGO, _DIRECT = 0xA2, 0xA0
_MAX_ITEMS = 16
_MEDIA_TYPES = (b"image/svg+xml", b"image/svg+xml+gzip")
_DATA_URI = re.compile(rb"data:(image/svg\+xml(?:\+gzip)?);base64,([A-Za-z0-9+/]++={0,2})\Z")
_LINE_END = re.compile(rb"\r\n?")
# From the weakest on. Certificates that are in use have SHA-1 here, some beside others; it is
# enough, because the signature of the certificate covers the logo.
_HASHES: dict[bytes, Callable[[bytes], Any]] = {
    bytes.fromhex("2b0e03021a"): hashlib.sha1,
    bytes.fromhex("608648016503040201"): hashlib.sha256,
    bytes.fromhex("608648016503040202"): hashlib.sha384,
    bytes.fromhex("608648016503040203"): hashlib.sha512,
}


class BadLogo(Malformed):
    """A logo that is not shown; the text says why, for the log."""


def read_logotype(extension: bytes) -> bytes:
    """Return the SVG in a logotype extension, unpacked; nothing in it has been checked.

    Args:
        extension: DER of ``LogotypeExtn`` (RFC 9399 section 4.1).

    Raises:
        BadLogo: it has no logo of the kind of BIMI, several, or one of another hash.
    """
    (whole,) = _items(extension, [_SEQUENCE])
    (subject,) = _items(whole, [_SUBJECT_LOGO])
    (direct,) = _items(subject, [_DIRECT])
    (images,) = _items(direct, [_SEQUENCE])
    (image,) = _items(images, [_SEQUENCE])
    details = _read_items(image)
    if not details or details[0][0] != _SEQUENCE:
        raise BadLogo("the logotype has no details")
    media_type, hashes, uris = _items(details[0][1], [_IA5_STRING, _SEQUENCE, _SEQUENCE])
    (uri,) = _items(uris, [_IA5_STRING])
    match = _DATA_URI.match(uri)
    if match is None or media_type not in _MEDIA_TYPES:
        raise BadLogo("the certificate does not contain its logo as SVG")
    try:
        packed = base64.b64decode(match[2], validate=True)
    except binascii.Error:
        raise BadLogo("the logo is not base64") from None
    svg = _unpack(packed)
    # RFC 9399 section 7: of the unpacked text with one kind of line ends. Some hash what is packed.
    forms = (_LINE_END.sub(b"\n", svg), svg, packed)
    if not _hash_holds(hashes, forms):
        raise BadLogo("the logo is not the one that the certificate names by its hash")
    return svg


def _unpack(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        svg = unpacker.decompress(packed, MAX_SVG + 1)
    except zlib.error:
        raise BadLogo("the logo is not packed with gzip") from None
    if len(svg) > MAX_SVG:
        raise BadLogo("the logo is too large")
    if not unpacker.eof or unpacker.unused_data:
        raise BadLogo("the logo is cut off, or something follows it")
    return svg


def _hash_holds(hashes: bytes, forms: tuple[bytes, ...]) -> bool:
    """Whether the hash of the strongest algorithm that is known here is the one of the logo."""
    found: dict[bytes, bytes] = {}
    for tag, content in _read_items(hashes):
        if tag != _SEQUENCE:
            return False
        algorithm, value = _items(content, [_SEQUENCE, _OCTETS])
        parts = _read_items(algorithm)
        if not parts or parts[0][0] != _OID:
            return False
        found[parts[0][1]] = value
    known = [name for name in _HASHES if name in found]
    if not known:
        return False
    compute = _HASHES[known[-1]]
    return found[known[-1]] in [compute(form).digest() for form in forms]


def _items(data: bytes, tags: list[int]) -> list[bytes]:
    """Return the contents of elements that must have these tags, and no other beside them."""
    found = _read_items(data)
    if [tag for tag, _ in found] != tags:
        raise BadLogo("the logotype is not made as for BIMI: one logo, in the certificate")
    return [content for _, content in found]


def _read_items(data: bytes) -> list[tuple[int, bytes]]:
    """Return tag and content of each DER element of a sequence."""
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(data):
        if len(found) == _MAX_ITEMS or at + 2 > len(data):
            raise BadLogo("the logotype is not DER")
        tag, size = data[at], data[at + 1]
        at += 2
        if size >= 0x80:
            octets = size - 0x80
            size = int.from_bytes(data[at : at + octets])
            at += octets
            # X.690 section 10.1: of all forms of a length only the shortest.
            if not 0 < octets < 4 or size < 0x80 or size >> (8 * octets - 8) == 0:
                raise BadLogo("the logotype is not DER")
        if at + size > len(data):
            raise BadLogo("the logotype is not DER")
        found.append((tag, data[at : at + size]))
        at += size
    return found
