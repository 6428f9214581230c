"""A recipient of a mail as shown in its journey. Pure."""

from __future__ import annotations

from zajil.core.address import BadAddress, parse_address
from zajil.core.ids import AccountId
from zajil.core.service import RecipientState
from zajil.core.value_class import value_class


@value_class(frozen=True, slots=True)
class TrackedRecipient:
    """One recipient of a mail, and the state of its copy."""

    address: str
    """Wire form."""
    state: RecipientState
    reason: str
    next_try_ms: int | None
    account_id: AccountId | None = None
    """Whose mailbox the copy was for; ``None`` when it left for another server."""
    addressed_as: str | None = None
    """Wire form of the alias that the sender named; ``None``: the sender named ``address``."""


def key_of(name: str) -> str:
    """Return what two spellings of one address, or of one login name, have in common."""
    try:
        return parse_address(name).key
    except BadAddress:
        return name.casefold()
