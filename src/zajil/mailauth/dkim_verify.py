"""Verify the DKIM signatures of a message: a flow (RFC 6376 section 6, RFC 8601 section 2.7.1).

Laws:
- Never raises on what a message or DNS holds; the first ``MAX_SIGNATURES`` are checked, from the
  top, and each key is asked for once.
- Body and header are both compared even if one differs already: "the body was changed after
  north.test signed it" is said only if north.test did sign.
- A result has the words of RFC 8601: ``neutral`` for what cannot be understood, ``permerror`` for
  what RFC 6376 calls PERMFAIL without a check, ``policy`` for what it lets us refuse.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from zajil.core.value_class import value_class
from zajil.dns.flow import Flow
from zajil.mailauth.dkim_body import MAX_SIGNATURES, SIGNATURE, BodyDigests, NotHashed
from zajil.mailauth.dkim_canon import SignedHeader
from zajil.mailauth.dkim_key import KEY_TYPES, FoundKey, KeyRecord, find_key, is_signed_by
from zajil.mailauth.dkim_signature import (
    BadSignature,
    CommonTags,
    Signature,
    parse_signature,
    read_names,
)
from zajil.mailauth.tag_list import BadTagList, parse_tag_list, value_of
from zajil.message.fields import Field


@value_class(frozen=True, slots=True)
class DkimPolicy:
    """What is a matter of taste in RFC 6376 section 6.1.1."""

    clock_skew_s: int = 300
    """How far a clock elsewhere may differ from ours, for ``t=`` and ``x=``."""
    max_signatures: int = MAX_SIGNATURES
    """At most ``MAX_SIGNATURES``: for more there are no hashes."""


DEFAULT_POLICY = DkimPolicy()


@value_class(frozen=True, slots=True, kw_only=True)
class DkimFound:
    """One signature, and what it proves."""

    domain: str
    """``d=``, ASCII; ``""`` where it cannot be read."""
    selector: str
    algorithm: str
    """As the signature names it."""
    identity: str
    """``i=``; local part, ``@``, domain in ASCII."""
    result: str
    """RFC 8601 section 2.7.1."""
    reason: str
    """A sentence, in English."""
    inputs: tuple[str, ...] = ()
    """Answers of DNS, as lines."""
    key_bits: int = 0
    """0: there is no usable key."""
    is_testing: bool = False
    """The key says ``t=y``: a failure means nothing (RFC 6376 section 3.6.1)."""
    covers_from: bool = False
    """Every From field is signed; a second one that is not may say anything."""
    signed_size: int | None = None
    """Where ``l=`` leaves an end of the body unsigned: how many octets, in canonical form, are
    signed. Anybody may have written the rest."""
    is_body_changed: bool = False
    """It failed, and the signature is by this domain: the body is not what it signed."""


def verify_dkim(
    header: bytes,
    fields: Sequence[Field],
    digests: BodyDigests,
    now_s: int,
    policy: DkimPolicy = DEFAULT_POLICY,
) -> Flow[tuple[DkimFound, ...]]:
    """Check all signatures, in the order of their fields.

    Args:
        header: the header section; its lines may end in CRLF or LF.
        fields: what ``read_fields(header)`` gave.
        digests: of the body, with ``body_needs(fields)``.
        now_s: seconds since 1970.
        policy: what is a matter of taste.

    Returns:
        Nothing for a message without a signature, which is ``none``. Past the limit one more that
        tells how many were not looked at.
    """
    signatures = [field for field in fields if field.name == SIGNATURE]
    if not signatures:
        return ()
    signed_header = SignedHeader(header, fields)
    keys: dict[tuple[str, str], FoundKey] = {}
    found: list[DkimFound] = []
    for field in signatures[: policy.max_signatures]:
        try:
            signature = parse_signature(field.value)
        except BadSignature as error:
            found.append(_unusable(field, error.result, f"{error}."))
            continue
        name = (signature.domain, signature.selector)
        if name not in keys:
            keys[name] = yield from find_key(*name)
        key = keys[name]
        result = _refuse_time(signature, now_s, policy) or _check(
            signed_header, field, signature, digests, key
        )
        found.append(_describe(signed_header, field, signature, digests, key, result))
    if len(signatures) > policy.max_signatures:
        found.append(_not_checked(signatures, policy.max_signatures))
    return tuple(found)


class _Result(NamedTuple):
    word: str
    reason: str
    is_body_changed: bool = False


def _refuse_time(signature: CommonTags, now_s: int, policy: DkimPolicy) -> _Result | None:
    """RFC 6376 section 3.5: both are for the verifier to judge."""
    if signature.expires_s is not None and signature.expires_s < now_s - policy.clock_skew_s:
        return _Result("policy", f"the signature of {signature.domain} has expired.")
    if signature.signed_at_s is not None and signature.signed_at_s > now_s + policy.clock_skew_s:
        return _Result("policy", f"the signature of {signature.domain} has a time in the future.")
    return None


def _check(
    header: SignedHeader,
    field: Field,
    signature: Signature,
    digests: BodyDigests,
    key: FoundKey,
) -> _Result:
    if key.refusal is not None:
        return _Result(key.refusal.result, f"{key.refusal.reason}.")
    records = usable_records(key, signature)
    if not records:
        return _Result("permerror", f"the key is not valid for {signature.algorithm}.")
    records = [record for record in records if _allows_identity(record, signature)]
    if not records:
        return _Result(
            "permerror", f"the key does not allow identities in subdomains of {signature.domain}."
        )
    try:
        is_body_same = digests.digest(signature.body) == signature.body_hash
    except NotHashed:
        return _Result("policy", "the message has too many signatures with a body length (l=).")
    is_header_same = is_message_signed_by(records, header, field, signature)
    domain = signature.domain
    if not is_header_same:
        changed = "was" if is_body_same else "and the body were"
        return _Result(
            "fail",
            f"The signature of {domain} does not match: the header section {changed} changed, "
            "or another key was used.",
        )
    if not is_body_same:
        return _Result("fail", _why_body_differs(signature, digests), is_body_changed=True)
    return _Result("pass", f"The signature of {domain} is valid.")


def usable_records(key: FoundKey, signature: CommonTags) -> list[KeyRecord]:
    """Return the keys that are of the kind that the signature's algorithm takes."""
    return [record for record in key.records if record.kind == KEY_TYPES[signature.algorithm]]


def is_message_signed_by(
    records: Sequence[KeyRecord], header: SignedHeader, field: Field, signature: CommonTags
) -> bool:
    """Check ``b=`` of a signature of DKIM or ARC over the fields it names.

    Args:
        records: of keys; one that fits suffices.
        header: of the message.
        field: the signature's.
        signature: the same, parsed.
    """
    canonicalization = signature.header_canonicalization
    signed = header.signed_bytes(signature.names, canonicalization, field)
    signed += header.without_value(field, *signature.value_span, canonicalization)
    return any(is_signed_by(record, signed, signature.value) for record in records)


def _allows_identity(record: KeyRecord, signature: Signature) -> bool:
    return not record.is_strict or signature.identity_domain == signature.domain


def _why_body_differs(signature: Signature, digests: BodyDigests) -> str:
    limit = signature.body.limit
    if limit is not None and limit > digests.canonical_size(signature.body.canonicalization):
        return f"the body is shorter than the part that {signature.domain} signed (l={limit})."
    return f"the body was changed after {signature.domain} signed it (body hash mismatch)."


def _describe(
    header: SignedHeader,
    field: Field,
    signature: Signature,
    digests: BodyDigests,
    key: FoundKey,
    result: _Result,
) -> DkimFound:
    word, reason, is_body_changed = result
    signed_size = _signed_size(signature, digests)
    if word == "pass" and signed_size is not None:
        reason = (
            f"{signature.domain} signed only the first {signed_size} bytes of the "
            "body (l=); the rest is not authenticated."
        )
    froms = sum(name == b"from" for name in signature.names)
    return DkimFound(
        domain=signature.domain,
        selector=signature.selector,
        algorithm=signature.algorithm,
        identity=signature.identity,
        result=word,
        reason=reason if reason.startswith(signature.domain) else reason[0].upper() + reason[1:],
        inputs=(key.input,),
        key_bits=max((record.bits for record in key.records), default=0),
        is_testing=any(record.is_testing for record in key.records),
        covers_from=header.count(b"from") <= froms,
        signed_size=signed_size,
        is_body_changed=is_body_changed,
    )


def _signed_size(signature: Signature, digests: BodyDigests) -> int | None:
    limit = signature.body.limit
    if limit is None:
        return None
    try:
        size = digests.canonical_size(signature.body.canonicalization)
    except NotHashed:
        return limit
    return limit if limit < size else None


def _not_checked(signatures: Sequence[Field], limit: int) -> DkimFound:
    reason = (
        f"Only the first {limit} signatures were verified; {len(signatures) - limit} "
        "more were ignored."
    )
    return _unusable(signatures[limit], "policy", reason)


def _unusable(field: Field, result: str, reason: str) -> DkimFound:
    """Return the result for a signature that was not checked, with its readable tags."""
    domain = selector = algorithm = ""
    with suppress(BadTagList, BadSignature):
        tags = parse_tag_list(field.value)
        text = value_of(tags, b"a", b"")[:100].decode("ascii", "replace")
        algorithm = text if text.isprintable() else ""
        domain, selector = read_names(tags)
    reason = reason[0].upper() + reason[1:]
    return DkimFound(
        domain=domain,
        selector=selector,
        algorithm=algorithm,
        identity=f"@{domain}",
        result=result,
        reason=reason,
    )
