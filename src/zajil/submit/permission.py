"""Whose sender is it: an account sends only as its own addresses (RFC 6409 section 6.1)."""

from __future__ import annotations

from zajil.core.address import Address
from zajil.login.account import Account


def may_send_as(account: Account, address: Address) -> bool:
    """Whether the account owns the address, a subaddress of it, or an alias that points to it."""
    keys = {own.key for own in account.addresses} | {account.address.key}
    if address.key in keys:
        return True
    local, plus, _ = address.local_part.partition("+")
    return bool(plus and local) and Address(local, address.domain).key in keys
