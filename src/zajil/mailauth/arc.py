"""Validate the Authenticated Received Chain of a message: a flow (RFC 8617 section 5.2).

Laws:
- Never raises on what a message or DNS holds. Whatever goes wrong makes ``fail``, a question
  without an answer too (RFC 8617 section 5.2.1); ``is_temporary`` tells that case apart.
- A chain that passed proves who handled the mail, not that they told the truth: what it says
  counts only as far as every sealer above is trusted.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from zajil.core.errors import InternalError
from zajil.core.value_class import value_class
from zajil.dns.flow import Flow
from zajil.mailauth.arc_set import (
    ArcSet,
    BrokenChain,
    Seal,
    collect_sets,
    read_seal,
    read_signature,
)
from zajil.mailauth.dkim_body import BodyDigests, NotHashed
from zajil.mailauth.dkim_canon import SignedHeader
from zajil.mailauth.dkim_key import KEY_TYPES, FoundKey, find_key, is_signed_by
from zajil.mailauth.dkim_signature import BadSignature
from zajil.mailauth.dkim_verify import (
    DEFAULT_POLICY,
    DkimPolicy,
    is_message_signed_by,
    usable_records,
)
from zajil.message.fields import Field


@value_class(frozen=True, slots=True)
class Handler:
    """Who added a set, and what it found out when the mail came to it."""

    instance: int
    domain: str
    """``d=`` of its seal, ASCII."""
    results: bytes
    """Value of its ARC-Authentication-Results, still folded."""


@value_class(frozen=True, slots=True, kw_only=True)
class ArcFound:
    """What the chain is worth."""

    cv: str
    """``none``, ``pass`` or ``fail``."""
    instances: int
    """The highest instance."""
    reason: str
    """One sentence for a person."""
    handlers: tuple[Handler, ...] = ()
    """Of a chain that passed, the oldest first."""
    oldest_pass: int | None = None
    """The oldest instance whose message signature still holds, 0 if all do; ``None``: no chain
    that passed (RFC 8617 section 5.2, step 5)."""
    covers_from: bool = False
    """The newest message signature covers every From field."""
    covers_body: bool = False
    """The same covers the body to its end; with ``l=`` anybody may have added to it."""
    silent_domain: str = ""
    """It failed because DNS gave no answer for a key: whose."""
    inputs: tuple[str, ...] = ()

    @property
    def is_temporary(self) -> bool:
        """It failed because DNS gave no answer."""
        return bool(self.silent_domain)

    @property
    def sealers(self) -> tuple[str, ...]:
        """Domains of the handlers, the oldest first."""
        return tuple([handler.domain for handler in self.handlers])

    def trusted_handlers(self, trusted: Collection[str]) -> tuple[Handler, ...]:
        """Return those who are believed, the newest first.

        Security: one who is not trusted may have written anything below itself, so nobody below
        such a one counts.
        """
        believed = []
        for handler in reversed(self.handlers):
            if handler.domain not in trusted:
                break
            believed.append(handler)
        return tuple(believed)


class _Failed(InternalError):
    def __init__(self, reason: str, *, silent_domain: str = "") -> None:
        super().__init__(reason)
        self.silent_domain = silent_domain


def verify_arc(
    header: bytes,
    fields: Sequence[Field],
    digests: BodyDigests,
    now_s: int,
    policy: DkimPolicy = DEFAULT_POLICY,
) -> Flow[ArcFound]:
    """Validate the chain of a message.

    Args:
        header: the header section.
        fields: what ``read_fields(header)`` gave.
        digests: of the body, with ``body_needs(fields)``.
        now_s: seconds since 1970.
        policy: what is a matter of taste.
    """
    try:
        sets = collect_sets(fields)
    except BrokenChain as broken:
        return ArcFound(cv="fail", instances=broken.instances, reason=str(broken))
    if not sets:
        return ArcFound(cv="none", instances=0, reason="The message has no ARC sets.")
    chain = _Chain(header, fields, digests, now_s, policy)
    try:
        covers_from, covers_body = yield from chain.check_signature(sets[-1])
        seals = yield from chain.check_seals(sets)
        oldest_pass = yield from chain.find_oldest_pass(sets)
    except _Failed as failed:
        return ArcFound(
            cv="fail",
            instances=len(sets),
            reason=str(failed),
            silent_domain=failed.silent_domain,
            inputs=tuple(chain.inputs),
        )
    handlers = [
        Handler(one.instance, seal.domain, one.results.value)
        for one, seal in zip(sets, seals, strict=True)
    ]
    return ArcFound(
        cv="pass",
        instances=len(sets),
        reason=_tell_pass(handlers),
        handlers=tuple(handlers),
        oldest_pass=oldest_pass,
        covers_from=covers_from,
        covers_body=covers_body,
        inputs=tuple(chain.inputs),
    )


def _tell_pass(handlers: Sequence[Handler]) -> str:
    if len(handlers) == 1:
        return f"The ARC seal of {handlers[0].domain} is valid."
    return (
        f"The ARC chain of {len(handlers)} sets is valid; the last seal is from "
        f"{handlers[-1].domain}."
    )


class _Chain:
    """One message while its chain is checked; keeps the keys it asked for."""

    def __init__(
        self,
        header: bytes,
        fields: Sequence[Field],
        digests: BodyDigests,
        now_s: int,
        policy: DkimPolicy,
    ) -> None:
        self._header = SignedHeader(header, fields)
        self._digests = digests
        self._now_s = now_s
        self._skew_s = policy.clock_skew_s
        self._keys: dict[tuple[str, str], FoundKey] = {}
        self.inputs: list[str] = []

    def check_signature(self, one: ArcSet) -> Flow[tuple[bool, bool]]:
        """Check the ARC-Message-Signature of a set.

        Returns:
            Whether it covers every From, and whether the body to its end.

        Raises:
            _Failed: why it does not hold.
        """
        which = f"the message signature of ARC set {one.instance}"
        try:
            readings = read_signature(one)
            hashes = [self._digests.digest(reading.body) for reading in readings]
        except BadSignature as error:
            raise _Failed(f"In ARC set {one.instance}, {error}.") from None
        except NotHashed:
            raise _Failed(f"Too many body lengths are signed to verify {which}.") from None
        signature = readings[0]
        expires_s = signature.expires_s
        if expires_s is not None and expires_s < self._now_s - self._skew_s:
            raise _Failed(f"{which[0].upper()}{which[1:]} has expired.")
        key = yield from self._find_key(signature.domain, signature.selector, which)
        records = usable_records(key, signature)
        whole = [
            reading
            for reading, found in zip(readings, hashes, strict=True)
            if found == reading.body_hash
        ]
        if not whole:
            raise _Failed(f"The body was changed after {signature.domain} sealed the message.")
        if not any(
            is_message_signed_by(records, self._header, one.signature, reading) for reading in whole
        ):
            raise _Failed(
                f"The header section was changed after {signature.domain} sealed the message."
            )
        covers_from = 0 < self._header.count(b"from") <= signature.names.count(b"from")
        body = whole[0].body
        size = self._digests.canonical_size(body.canonicalization)
        return covers_from, body.limit is None or body.limit >= size

    def check_seals(self, sets: Sequence[ArcSet]) -> Flow[list[Seal]]:
        """Check all seals from the newest down (RFC 8617 section 5.2, step 6).

        Raises:
            _Failed: why one does not hold.
        """
        # What a seal covers is what the one below it covers, and one set more.
        below = b"".join([self._set_bytes(one) + self._canonical(one.seal) for one in sets[:-1]])
        seals: list[Seal] = []
        for one in reversed(sets):
            if seals:
                below = below[: -len(self._set_bytes(one) + self._canonical(one.seal))]
            try:
                seal = read_seal(one)
            except BadSignature as error:
                raise _Failed(f"In ARC set {one.instance}, {error}.") from None
            which = f"the seal of ARC set {one.instance}"
            key = yield from self._find_key(seal.domain, seal.selector, which)
            signed = below + self._set_bytes(one)
            signed += self._header.without_value(one.seal, *seal.value_span, "relaxed")
            kind = KEY_TYPES[seal.algorithm]
            if not any(
                record.kind == kind and is_signed_by(record, signed, seal.value)
                for record in key.records
            ):
                raise _Failed(f"The ARC sets were changed after {seal.domain} sealed them.")
            seals.append(seal)
        return seals[::-1]

    def find_oldest_pass(self, sets: Sequence[ArcSet]) -> Flow[int]:
        """Return how far back the message signatures hold (RFC 8617 section 5.2, step 5)."""
        for one in reversed(sets[:-1]):
            try:
                yield from self.check_signature(one)
            except _Failed:
                return one.instance + 1
        return 0

    def _set_bytes(self, one: ArcSet) -> bytes:
        return self._canonical(one.results) + self._canonical(one.signature)

    def _canonical(self, field: Field) -> bytes:
        return self._header.canonical(field, "relaxed")

    def _find_key(self, domain: str, selector: str, which: str) -> Flow[FoundKey]:
        name = (domain, selector)
        if name not in self._keys:
            self._keys[name] = yield from find_key(domain, selector)
            self.inputs.append(self._keys[name].input)
        key = self._keys[name]
        if key.refusal is not None:
            raise _Failed(
                f"There is no key for {which}: {key.refusal.reason}.",
                silent_domain=domain if key.refusal.result == "temperror" else "",
            )
        return key
