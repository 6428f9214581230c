"""Senders whose pictures of other servers are always shown: a setting of the account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SETTING = "picture_senders"
MOST_SENDERS = 500
"""The oldest ones are forgotten."""
_LONGEST = 320
"""Characters of an address that can be kept."""


@dataclass(frozen=True, slots=True)
class PictureSenders:
    """Addresses, in lower case, the newest last."""

    addresses: tuple[str, ...] = ()

    @classmethod
    def read(cls, settings: Mapping[str, str]) -> PictureSenders:
        """Return what the settings of an account say."""
        return cls(tuple([one for one in settings.get(SETTING, "").split("\n") if one]))

    def as_settings(self) -> dict[str, str | None]:
        """Return them as the setting that ``read`` reads."""
        return {SETTING: "\n".join(self.addresses) or None}

    def __contains__(self, address: object) -> bool:
        return isinstance(address, str) and address.casefold() in self.addresses

    def with_one(self, address: str) -> PictureSenders:
        """Return these and one more."""
        if len(address) > _LONGEST or any(char.isspace() for char in address):
            return self
        return PictureSenders(
            (*self.without(address).addresses, address.casefold())[-MOST_SENDERS:]
        )

    def without(self, address: str) -> PictureSenders:
        """Return these but one."""
        folded = address.casefold()
        return PictureSenders(tuple([one for one in self.addresses if one != folded]))
