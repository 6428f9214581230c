"""The options of DKIM signing: algorithms and lifetimes of keys."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from zajil.config.kinds import BadOption, Duration
from zajil.config.options_group import Options
from zajil.core.units import parse_duration


class KeyOptions(Options):
    """``[keys]``: DKIM keys of local domains and their rotation."""

    sign: bool = Field(
        True, description="Sign mail from local domains with the active DKIM keys of the domain."
    )
    algorithms: tuple[Literal["rsa-sha256", "ed25519-sha256"], ...] = Field(
        ("rsa-sha256", "ed25519-sha256"),
        min_length=1,
        description="Signature algorithms; each domain has one key of each. All receivers "
        "support RSA; Ed25519 (RFC 8463) is newer and ignored by receivers that do not support "
        "it.",
    )
    rsa_bits: Literal[2048, 3072, 4096] = Field(
        2048,
        description="Size of new RSA keys; 2048 as recommended by RFC 8301 section 3.2. Some "
        "receivers do not verify larger keys, and their records do not fit in a small DNS "
        "response.",
    )
    rotate_every_ms: Duration = Field(
        parse_duration("180d"),
        description="How long a key signs before a new one replaces it; M3AAWG recommends at "
        "least twice a year. '0s': no automatic rotation.",
    )
    publish_ahead_ms: Duration = Field(
        parse_duration("2d"),
        description="How long the record of a new key must be visible in DNS before the key "
        "signs; until then, resolvers may cache its absence (RFC 2308 section 5). The old key "
        "continues to sign while the new record is missing.",
    )
    overlap_ms: Duration = Field(
        parse_duration("14d"),
        description="How long the record of a retired key stays published, for mail in "
        "transit: queue.lifetime plus time for forwarding and later verification.",
    )
    revoked_record_lifetime_ms: Duration = Field(
        parse_duration("30d"),
        description="How long a revoked key (empty p=) is published before its record is removed.",
    )

    @model_validator(mode="after")
    def _has_time_to_change(self) -> Self:
        if 0 < self.rotate_every_ms <= self.publish_ahead_ms:
            raise BadOption("keys.rotate_every", "it must be longer than keys.publish_ahead")
        if len(set(self.algorithms)) < len(self.algorithms):
            raise BadOption("keys.algorithms", "it contains duplicates")
        return self
