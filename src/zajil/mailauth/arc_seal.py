"""Seal a message: add an ARC set to its chain (RFC 8617 section 5.1).

Laws:
- The set signs what is there: all other changes to the message come before.
- A chain that is broken is closed by a set that covers itself alone; a closed one is left as it
  is (RFC 8617 section 5.1.2).
- The same arguments give the same bytes.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from zajil.mailauth.arc_set import ARC_NAMES, MAX_SETS, BrokenChain, collect_sets, find_end
from zajil.mailauth.authres import is_value
from zajil.mailauth.authres_read import is_same_name, payload_of, read_results
from zajil.mailauth.dkim_body import BodyDigests, BodyNeed
from zajil.mailauth.dkim_canon import SignedHeader, relaxed_field
from zajil.mailauth.dkim_sign import CannotSign, SigningKey, default_names
from zajil.message.fields import Field

SEAL_NEED = BodyNeed("relaxed", "sha256", None)
"""The hash of the body that must be among those of the digests."""

_LINE = 76
_NOT_SIGNED = frozenset((*ARC_NAMES, b"authentication-results"))
"""RFC 8617 section 4.1.2: never in ``h=``."""
_RESULTS, _SIGNATURE, _SEAL = (
    b"ARC-Authentication-Results",
    b"ARC-Message-Signature",
    b"ARC-Seal",
)


def seal_arc(
    header: bytes,
    fields: Sequence[Field],
    digests: BodyDigests,
    key: SigningKey,
    *,
    authserv_id: str,
    results: bytes,
    cv: str,
    now_s: int,
    headers: Sequence[bytes] | None = None,
) -> bytes:
    """Return the three fields of a new set, to stand on top of the message.

    Args:
        header: the header section as it will be sent on.
        fields: what ``read_fields(header)`` gave.
        digests: of the body as it will be sent on, with ``SEAL_NEED``.
        key: what to seal with.
        authserv_id: our name in Authentication-Results.
        results: what we found, as it stands in Authentication-Results after the name.
        cv: what ``verify_arc`` said of the message when it came.
        now_s: ``t=``, seconds since 1970.
        headers: names to sign, lower case; ``None``: the default.

    Returns:
        ``b""`` where the chain is closed, or full.

    Raises:
        CannotSign: a name may not be signed, or ours is none; or there is a chain, and ``cv`` says
            that there is none.
        NotHashed: the digests have no such hash.
    """
    if not is_value(authserv_id):
        raise CannotSign(f"{authserv_id!r} is no name for Authentication-Results")
    highest, is_closed = find_end(fields)
    if is_closed or highest >= MAX_SETS:
        return b""
    signed_header = SignedHeader(header, fields)
    names = _default_names(signed_header) if headers is None else _checked_names(headers)
    below, cv = _covered_below(signed_header, cv)
    results_field = _write_results(highest + 1, authserv_id, results)
    where = (f"d={key.domain}", f"i={highest + 1}", f"s={key.selector}", f"t={now_s}")
    body_hash = base64.b64encode(digests.digest(SEAL_NEED)).decode("ascii")
    signature = _sign_field(
        _SIGNATURE,
        (f"a={key.algorithm}", "b="),
        (f"bh={body_hash}", "c=relaxed/relaxed", where[0], _list_names(names), *where[1:]),
        signed_header.signed_bytes(names, "relaxed"),
        key,
    )
    covered = below + _canonical(results_field) + _canonical(signature)
    seal = _sign_field(_SEAL, (f"a={key.algorithm}", "b="), (f"cv={cv}", *where), covered, key)
    return seal + signature + results_field


def merge_results(fields: Sequence[Field], authserv_id: str) -> bytes:
    """Return what one server wrote into a message, of all its Authentication-Results, as one.

    RFC 8617 section 4.1.1 wants it together, because a set has one field for it.
    """
    found = [
        payload.strip(b" \t\r\n;")
        for field in fields
        if field.name == b"authentication-results"
        and (payload := payload_of(field.value, authserv_id)) is not None
    ]
    told = [payload for payload in found if payload and payload.lower() != b"none"]
    return b";\r\n\t".join(told)


def claimed_cv(fields: Sequence[Field], authserv_id: str) -> str | None:
    """Return what one server said of the chain when the mail came to it; ``None``: nothing.

    A handler that changed the mail since cannot find it out any more, so what it wrote down counts.
    """
    for field in fields:
        if field.name == b"authentication-results":
            found = read_results(field.value)
            if found is not None and is_same_name(found.authserv_id, authserv_id):
                for result in found.results_of("arc"):
                    if result.result in ("none", "pass", "fail"):
                        return result.result
    return None


def _covered_below(header: SignedHeader, cv: str) -> tuple[bytes, str]:
    """Return the canonical form of the older sets that a seal covers, and the ``cv`` it tells."""
    if not any(header.count(name) for name in ARC_NAMES):
        return b"", "none"  # whatever was said of it: the first set of a chain says so
    if cv == "none":
        raise CannotSign("the message has ARC fields, so its chain passed or failed")
    if cv != "pass":
        return b"", "fail"
    try:
        sets = collect_sets(header.fields)
    except BrokenChain:
        return b"", "fail"
    kept = [field for one in sets for field in (one.results, one.signature, one.seal)]
    return b"".join([header.canonical(field, "relaxed") for field in kept]), "pass"


def _default_names(header: SignedHeader) -> list[bytes]:
    # RFC 8617 section 4.1.2: the signatures that are there belong to what is sealed.
    return [*default_names(header), *[b"dkim-signature"] * header.count(b"dkim-signature")]


def _checked_names(headers: Sequence[bytes]) -> list[bytes]:
    names = [name.lower() for name in headers]
    for name in names:
        shown = name.decode("utf-8", "replace")
        if name in _NOT_SIGNED:
            raise CannotSign(f"an ARC set may not sign {shown} (RFC 8617 section 4.1.2)")
        if not name or name.strip(_NAME_CHARACTERS):
            raise CannotSign(f"{shown!r} is no name of a field")
    return names


_NAME_CHARACTERS = bytes(char for char in range(0x21, 0x7F) if char not in b":;")


def _write_results(instance: int, authserv_id: str, results: bytes) -> bytes:
    told = results.strip(b" \t\r\n;") or b"none"
    return b"%s: i=%d; %s;\r\n\t%s\r\n" % (_RESULTS, instance, authserv_id.encode(), told)


def _canonical(field: bytes) -> bytes:
    name, _, value = field.partition(b":")
    return relaxed_field(name.lower(), value) + b"\r\n"


def _list_names(names: Sequence[bytes]) -> str:
    """Write ``h=``, folded where it is long."""
    lines = ["h="]
    for number, name in enumerate(names):
        word = (":" if number else "") + name.decode("ascii")
        if len(lines[-1]) + len(word) > _LINE:
            lines.append("")
        lines[-1] += word
    return "\r\n ".join(lines)


def _sign_field(
    name: bytes, before: Sequence[str], after: Sequence[str], signed: bytes, key: SigningKey
) -> bytes:
    """Return a field with its CRLF; ``before`` ends with the empty ``b=``."""
    head = _fold(before).encode()
    tail = b";\r\n" + _fold(after).encode()
    # Not folded: a seal covers the value of this one, and some take the white space out of it.
    value = key.sign(signed + relaxed_field(name.lower(), head + tail))
    return name + b":" + head + value + tail + b"\r\n"


def _fold(tags: Sequence[str]) -> str:
    lines = [""]
    for number, tag in enumerate(tags):
        word = f" {tag}" + (";" if number < len(tags) - 1 else "")
        if len(lines[-1]) + len(word.partition("\r")[0]) > _LINE and lines[-1]:
            lines.append("")
        lines[-1] += word
    return "\r\n".join(lines)
