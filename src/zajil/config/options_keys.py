"""The options of signing: which keys our domains have, and how long each lives."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from zajil.config.kinds import BadOption, Duration
from zajil.config.options_group import Options
from zajil.core.units import parse_duration


class KeyOptions(Options):
    """``[keys]``: the keys that our domains sign mail with (DKIM), and when new ones take over."""

    sign: bool = Field(
        True, description="Sign what is sent from our domains, with the active keys of each."
    )
    algorithms: tuple[Literal["rsa-sha256", "ed25519-sha256"], ...] = Field(
        ("rsa-sha256", "ed25519-sha256"),
        min_length=1,
        description="One key of each for every domain. All others understand RSA; Ed25519 is the "
        "newer one (RFC 8463), and is ignored by who does not know it.",
    )
    rsa_bits: Literal[2048, 3072, 4096] = Field(
        2048,
        description="Size of new RSA keys; 2048 as RFC 8301 section 3.2 asks. Few verify larger "
        "ones, and their records do not fit in a small DNS answer.",
    )
    rotate_every_ms: Duration = Field(
        parse_duration("180d"),
        description="A key signs so long, then a new one takes over; twice a year, as M3AAWG "
        "advises at least. '0s': never by itself.",
    )
    publish_ahead_ms: Duration = Field(
        parse_duration("2d"),
        description="A new key signs when its record has been seen in DNS for so long: until "
        "then, resolvers may remember that it was not there (RFC 2308 section 5). The old one "
        "signs on for as long as the new record is missing.",
    )
    overlap_ms: Duration = Field(
        parse_duration("14d"),
        description="The record of a key that signs no more stays in DNS so long, for mail that "
        "is under way: queue.lifetime, and time to be forwarded and looked at again.",
    )
    revoked_record_lifetime_ms: Duration = Field(
        parse_duration("30d"),
        description="Then its record says so long that it is revoked (an empty p=), and is gone.",
    )

    @model_validator(mode="after")
    def _has_time_to_change(self) -> Self:
        if 0 < self.rotate_every_ms <= self.publish_ahead_ms:
            raise BadOption("keys.rotate_every", "it must be longer than keys.publish_ahead")
        if len(set(self.algorithms)) < len(self.algorithms):
            raise BadOption("keys.algorithms", "it names one of them twice")
        return self
