"""The value of a DKIM-Signature field (RFC 6376 section 3.5 and 6.1.1).

Laws:
- ``parse_signature`` is linear, and raises ``BadSignature`` and nothing else.
- Domains and selectors come out in ASCII, U-labels or not (RFC 8616 section 4).
- ``read_common`` reads what ARC-Message-Signature shares (RFC 8617 section 4.1.2).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from zajil.core.domain import BadDomain, to_dns_name
from zajil.core.errors import Malformed
from zajil.core.value_class import value_class
from zajil.mailauth.dkim_body import BodyNeed, read_body_need, read_canonicalization
from zajil.mailauth.dkim_key import KEY_TYPES
from zajil.mailauth.tag_list import (
    BadTagList,
    Tag,
    optional_number,
    parse_tag_list,
    read_base64,
    value_of,
    words_of,
)

_NAME_OCTETS = bytes(set(range(0x21, 0x7F)) - set(b":;"))
_QUOTED = re.compile(rb"=([0-9A-F]{2})")
_SPACE = b" \t\r\n"


class BadSignature(Malformed, ValueError):
    """A signature that cannot be checked; the message is a sentence."""

    def __init__(self, reason: str, result: str = "neutral") -> None:
        super().__init__(reason)
        self.result = result
        """RFC 8601 section 2.7.1: ``neutral`` for syntax, ``permerror`` for what is forbidden."""


@value_class(frozen=True, slots=True, kw_only=True)
class CommonTags:
    """What signatures of DKIM and ARC have in common."""

    algorithm: str
    """``rsa-sha256`` or ``ed25519-sha256``."""
    domain: str
    """``d=``, ASCII."""
    selector: str
    """``s=``, ASCII."""
    header_canonicalization: str
    body: BodyNeed
    names: tuple[bytes, ...]
    """``h=``, lower case, in its order."""
    body_hash: bytes
    value: bytes
    """``b=``, decoded."""
    value_span: tuple[int, int]
    """Where ``b=`` stands in the field's value, for ``SignedHeader.without_value``."""
    signed_at_s: int | None
    expires_s: int | None


@value_class(frozen=True, slots=True, kw_only=True)
class Signature(CommonTags):
    """A signature that is well-formed."""

    identity: str
    """``i=``, or ``@`` and the domain."""
    identity_domain: str
    """Its domain, ASCII: ``domain``, or below it."""


def parse_signature(value: bytes) -> Signature:
    """Read the value of a DKIM-Signature field.

    Args:
        value: still folded.

    Raises:
        BadSignature: why it cannot be checked.
    """
    try:
        tags = parse_tag_list(value)
        if value_of(tags, b"v") != b"1":
            raise BadSignature("the signature has a version other than 1")
        common = read_common(tags)
        identity, identity_domain = _read_identity(tags, common.domain)
        queries = words_of(value_of(tags, b"q", b"dns/txt"))
    except BadTagList as error:
        raise BadSignature(f"the signature {error}") from None
    if b"dns/txt" not in queries:
        raise BadSignature("the signature uses an unsupported key query method")
    if b"from" not in common.names:
        # RFC 6376 section 6.1.1: a signature that leaves From out says nothing.
        raise BadSignature("the signature does not cover the From field", "permerror")
    return Signature(
        algorithm=common.algorithm,
        domain=common.domain,
        selector=common.selector,
        header_canonicalization=common.header_canonicalization,
        body=common.body,
        names=common.names,
        body_hash=common.body_hash,
        value=common.value,
        value_span=common.value_span,
        signed_at_s=common.signed_at_s,
        expires_s=common.expires_s,
        identity=identity,
        identity_domain=identity_domain,
    )


def read_common(tags: Mapping[bytes, Tag], *, may_be_blank: bool = False) -> CommonTags:
    """Read what signatures of DKIM and ARC have in common; of ``v=`` and ``i=`` nothing.

    Args:
        tags: of the signature.
        may_be_blank: names in ``h=`` may be missing, as ARC lets them.

    Raises:
        BadSignature: one of them says what is not allowed or not known.
        BadTagList: one of them is missing or malformed.
    """
    body_hash, signed = value_of(tags, b"bh"), value_of(tags, b"b")
    domain, selector = read_names(tags)
    signed_at_s = optional_number(tags, b"t", 12)
    expires_s = optional_number(tags, b"x", 12)
    if signed_at_s is not None and expires_s is not None and expires_s <= signed_at_s:
        raise BadSignature("the signature expires before it was made (x= and t=)")
    tag = tags[b"b"]
    return CommonTags(
        algorithm=read_algorithm(tags),
        domain=domain,
        selector=selector,
        header_canonicalization=read_canonicalization(tags)[0],
        body=read_body_need(tags),
        names=_read_names_list(value_of(tags, b"h"), may_be_blank=may_be_blank),
        body_hash=read_base64(body_hash, "bh"),
        value=read_base64(signed, "b"),
        value_span=(tag.start, tag.end),
        signed_at_s=signed_at_s,
        expires_s=expires_s,
    )


def read_algorithm(tags: Mapping[bytes, Tag]) -> str:
    """Read ``a=``.

    Raises:
        BadSignature: it is forbidden, or unknown.
        BadTagList: it is missing.
    """
    algorithm = value_of(tags, b"a").decode("utf-8", "replace")
    if algorithm == "rsa-sha1":
        # RFC 8301 section 3.1: it has permanently failed.
        raise BadSignature("the signature uses SHA-1, which is no longer secure", "permerror")
    if algorithm not in KEY_TYPES:
        raise BadSignature("the signature uses an unknown algorithm")
    return algorithm


def read_names(tags: Mapping[bytes, Tag]) -> tuple[str, str]:
    """Read ``d=`` and ``s=``, in ASCII.

    Raises:
        BadSignature: one is no name.
        BadTagList: one is missing.
    """
    domain, selector = (
        _ascii_name(value_of(tags, b"d"), "d"),
        _ascii_name(value_of(tags, b"s"), "s"),
    )
    # RFC 6376 section 3.5 asks for two labels: a top-level domain signs for nobody.
    if "." not in domain:
        raise BadSignature("the signature has no domain in d=")
    return domain, selector


def _ascii_name(value: bytes, name: str) -> str:
    try:
        if value.endswith(b"."):
            raise BadDomain("a final dot")
        return to_dns_name(value.decode())
    except (BadDomain, UnicodeDecodeError):
        raise BadSignature(f"the signature has no domain name in {name}=") from None


def _read_identity(tags: Mapping[bytes, Tag], domain: str) -> tuple[str, str]:
    tag = tags.get(b"i")
    if tag is None:
        return f"@{domain}", domain
    # dkim-quoted-printable (RFC 6376 section 2.11): white space in it is not part of the value.
    packed = tag.value.translate(None, _SPACE)
    text = _QUOTED.sub(lambda match: bytes([int(match[1], 16)]), packed).decode("utf-8", "replace")
    local, at, name = text.rpartition("@")
    try:
        below = to_dns_name(name)
    except BadDomain:
        at = below = ""
    # Security: what is encoded in it may be a line end, or turn the direction of a sentence.
    if not at or not local.isprintable():
        raise BadSignature("the signature has no identity in i=")
    if below != domain and not below.endswith(f".{domain}"):
        raise BadSignature(f"the identity in i= is not in {domain}", "permerror")
    return f"{local}@{below}", below


def _read_names_list(value: bytes, *, may_be_blank: bool) -> tuple[bytes, ...]:
    names = words_of(value.lower())
    if may_be_blank:
        names = tuple([name for name in names if name])
    if b"" in names or b"".join(names).translate(None, _NAME_OCTETS):
        raise BadTagList("has no list of fields in h=")
    return names
