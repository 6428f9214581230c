"""The ARC sets of a message: which fields there are, and whether they can be a chain (RFC 8617).

Laws:
- Never raises on what a header holds: what is no chain is ``BrokenChain``, with the reason.
- Bounded: at most ``MAX_SETS`` sets and ``MAX_SIZE`` octets of them are looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from zajil.core.errors import Malformed
from zajil.core.value_class import value_class
from zajil.mailauth.authres_read import read_instance
from zajil.mailauth.dkim_body import read_canonicalization
from zajil.mailauth.dkim_signature import (
    BadSignature,
    CommonTags,
    read_algorithm,
    read_common,
    read_names,
)
from zajil.mailauth.tag_list import (
    BadTagList,
    Tag,
    optional_number,
    parse_tag_list,
    read_base64,
    read_number,
    value_of,
)
from zajil.message.fields import Field

RESULTS = b"arc-authentication-results"
SIGNATURE = b"arc-message-signature"
SEAL = b"arc-seal"
ARC_NAMES = (RESULTS, SIGNATURE, SEAL)
"""In the order in which a seal covers them (RFC 8617 section 5.1.1)."""

MAX_SETS = 50
"""RFC 8617 section 4.2.1."""
MAX_SIZE = 256 * 1024
"""Octets of all sets: each seal hashes all sets below it again. Real ones have 2 KiB."""


class BrokenChain(Malformed):
    """There are ARC fields, and they are no chain; the message is a sentence."""

    def __init__(self, reason: str, instances: int = 0) -> None:
        super().__init__(reason)
        self.instances = instances
        """The highest instance that can be read."""


@value_class(frozen=True, slots=True)
class Seal:
    """An ARC-Seal that is well-formed (RFC 8617 section 4.1.3)."""

    algorithm: str
    domain: str
    selector: str
    cv: str
    value: bytes
    """``b=``, decoded."""
    value_span: tuple[int, int]
    """Where ``b=`` stands in the field's value."""


@value_class(frozen=True, slots=True)
class ArcSet:
    """What one handler of the mail added."""

    instance: int
    results: Field
    signature: Field
    seal: Field
    signature_tags: Mapping[bytes, Tag]
    seal_tags: Mapping[bytes, Tag]

    @property
    def claimed_cv(self) -> str:
        """``cv=`` of its seal; ``""`` where it has none."""
        return _cv_of(self.seal_tags)


_Found = tuple[int, bytes, Field, Mapping[bytes, Tag]]


def collect_sets(fields: Sequence[Field]) -> list[ArcSet]:
    """Return the sets, the oldest first (RFC 8617 section 5.2, steps 1 to 3).

    Returns:
        Nothing for a message without ARC fields.

    Raises:
        BrokenChain: why they are no chain.
    """
    there = [field for field in fields if field.name in ARC_NAMES]
    if not there:
        return []
    size = sum(field.end - field.start for field in there)
    if len(there) > 3 * MAX_SETS or size > MAX_SIZE:
        raise BrokenChain(f"The message has more than {MAX_SETS} ARC sets, or they are too large.")
    found = [_read_field(field) for field in there]
    highest = max(instance for instance, *_ in found)
    newest = [one for one in found if one[0] == highest and one[1] == SEAL]
    if any(_cv_of(tags) == "fail" for *_, tags in newest):
        raise BrokenChain(f"ARC set {highest} states that the chain was already broken.", highest)
    sets = _join(found, highest)
    for one in sets:
        wanted = "pass" if one.instance > 1 else "none"
        if one.claimed_cv != wanted:
            raise BrokenChain(
                f"The seal of ARC set {one.instance} does not have cv={wanted}.", highest
            )
    return sets


def _read_field(field: Field) -> _Found:
    name = field.name.decode("ascii")
    tags: Mapping[bytes, Tag] = {}
    if field.name == RESULTS:
        instance = read_instance(field.value)
    else:
        try:
            tags = parse_tag_list(field.value)
            instance = read_number(value_of(tags, b"i"), "i", 2)
        except BadTagList as error:
            raise BrokenChain(f"The {name} field {error}.") from None
    if instance is None or not 1 <= instance <= MAX_SETS:
        raise BrokenChain(f"The {name} field has no instance number from 1 to {MAX_SETS} in i=.")
    return instance, field.name, field, tags


def _join(found: Sequence[_Found], highest: int) -> list[ArcSet]:
    by_place: dict[tuple[int, bytes], _Found] = {}
    for one in found:
        if (one[0], one[1]) in by_place:
            raise BrokenChain(f"ARC set {one[0]} has two {one[1].decode('ascii')} fields.", highest)
        by_place[one[0], one[1]] = one
    sets = []
    for instance in range(1, highest + 1):
        results, signature, seal = (by_place.get((instance, name)) for name in ARC_NAMES)
        if results is None or signature is None or seal is None:
            raise BrokenChain(f"ARC set {instance} is not complete.", highest)
        sets.append(ArcSet(instance, results[2], signature[2], seal[2], signature[3], seal[3]))
    return sets


def find_end(fields: Sequence[Field]) -> tuple[int, bool]:
    """Return the highest instance that can be read, and whether its seal closes the chain.

    Of any chain, broken or not: a closed one is not continued (RFC 8617 section 5.1, step 2).
    """
    highest, is_closed = 0, False
    for field in [field for field in fields if field.name in ARC_NAMES][: 4 * MAX_SETS]:
        try:
            instance, name, _, tags = _read_field(field)
        except BrokenChain:
            continue
        closes = name == SEAL and _cv_of(tags) == "fail"
        if instance > highest:
            highest, is_closed = instance, closes
        elif instance == highest:
            is_closed = is_closed or closes
    return highest, is_closed


def _cv_of(tags: Mapping[bytes, Tag]) -> str:
    tag = tags.get(b"cv")
    return tag.value.decode("ascii", "replace").lower() if tag else ""


def read_signature(one: ArcSet) -> tuple[CommonTags, ...]:
    """Read the ARC-Message-Signature of a set.

    Returns:
        One reading, or two of which one must hold.

    Raises:
        BadSignature: it cannot be checked.
    """
    try:
        # Deviation: RFC 6376 section 3.5 lets no name in h= be missing. A blank one signs nothing,
        # which harms nobody but the sealer; sealers by the drafts of ARC write it (2026-11-27).
        common = read_common(one.signature_tags, may_be_blank=True)
    except BadTagList as error:
        raise BadSignature(f"the ARC message signature {error}") from None
    if SEAL in common.names:
        # RFC 8617 section 4.1.2: a seal is made after it, so it cannot be signed.
        raise BadSignature("the ARC message signature covers a seal")
    if b"c" in one.signature_tags:
        return (common,)
    # Deviation: without c= it is simple/simple, as in DKIM (RFC 6376 section 3.5). Whoever seals by
    # the drafts of ARC means relaxed/relaxed (2026-11-27); the key has signed either.
    body = common.body._replace(canonicalization="relaxed")
    return common, replace(common, header_canonicalization="relaxed", body=body)


def read_seal(one: ArcSet) -> Seal:
    """Read the ARC-Seal of a set.

    Raises:
        BadSignature: it cannot be checked.
    """
    tags = one.seal_tags
    try:
        if b"h" in tags:
            raise BadSignature("the seal has h=, which RFC 8617 section 4.1.3 forbids")
        if b"c" in tags and read_canonicalization(tags)[0] != "relaxed":
            raise BadSignature("the seal has a c= that RFC 8617 section 4.1.3 does not define")
        optional_number(tags, b"t", 12)
        algorithm = read_algorithm(tags)
        domain, selector = read_names(tags)
        value = read_base64(value_of(tags, b"b"), "b")
    except BadTagList as error:
        raise BadSignature(f"the seal {error}") from None
    span = (tags[b"b"].start, tags[b"b"].end)
    return Seal(algorithm, domain, selector, one.claimed_cv, value, span)
