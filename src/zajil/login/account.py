"""What a log-in gives."""

from __future__ import annotations

from dataclasses import dataclass

from zajil.core.address import Address
from zajil.core.ids import AccountId


@dataclass(frozen=True, slots=True)
class Account:
    """An account whose owner proved to be at the other end."""

    account_id: AccountId
    login: str
    """ASCII; what it types."""
    address: Address
    """Its primary address."""
    addresses: tuple[Address, ...]
    """What it may send as: its own addresses and the aliases that point to it."""
    display_name: str
    admin: bool
