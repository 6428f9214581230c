"""What has become of one recipient of a mail. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from zajil.core.address import BadAddress, parse_address
from zajil.core.ids import AccountId


@dataclass(frozen=True, slots=True)
class RecipientState:
    """What has become of one recipient's copy."""

    address: str
    """Wire form."""
    state: str
    """``waiting``, ``held``, ``delivered``, ``bounced``, ``refused``, ``expired``,
    ``discarded``."""
    reason: str
    next_try_ms: int | None
    account_id: AccountId | None = None
    """Whose mailbox the copy was for; ``None`` when it left for another server."""
    addressed_as: str | None = None
    """Wire form of the alias that the sender named; ``None``: the sender named ``address``."""


def key_of(name: str) -> str:
    """Give what two spellings of one address, or of one log-in name, share."""
    try:
        return parse_address(name).key
    except BadAddress:
        return name.casefold()
