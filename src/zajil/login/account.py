"""Where a log-in comes from, and its result."""

from __future__ import annotations

from dataclasses import dataclass

from zajil.config.options_shards import MAIN_SHARD
from zajil.core.address import Address
from zajil.core.app_password import SCOPE_OF_SERVICE, Scope
from zajil.core.ids import AccountId, AppPasswordId, SessionId
from zajil.core.service import Service


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a log-in comes from."""

    peer: str
    """IP address, for the throttle."""
    service: Service
    """The listener, for events and scopes."""
    session_id: SessionId | None = None
    """The connection, for the event."""

    @property
    def scope(self) -> Scope | None:
        """What an app password must open; ``None``: none opens this."""
        return SCOPE_OF_SERVICE.get(self.service)


@dataclass(frozen=True, slots=True)
class Proof:
    """What a log-in rests on: a session lasts as long as this does (``login.open_sessions``)."""

    password_hash: str | None
    """Of the password that was right, in the PHC form; ``None``: it was a token."""
    app_password_id: AppPasswordId | None = None
    """``None``: the account's own password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account whose owner proved to be at the other end."""

    account_id: AccountId
    login: str
    """ASCII; what it types."""
    address: Address
    """Its primary address."""
    addresses: tuple[Address, ...]
    """What it may send as: its own addresses, the aliases that point to it, and what others have
    delegated to it."""
    display_name: str
    admin: bool
    domains: frozenset[str] = frozenset()
    """Those that it administers, in ASCII form."""
    proof: Proof | None = None
    """``None``: it was found by its id, as the web does with each request."""
    delegated: frozenset[Address] = frozenset()
    """Those of ``addresses`` that are somebody else's. Security: they give a right to send, and
    show nothing of what the other gets."""
    shard: str = MAIN_SHARD
    """Whose store it is in (``store.shards``)."""

    @property
    def own_addresses(self) -> tuple[Address, ...]:
        """Those of ``addresses`` under which mail comes to this account."""
        return tuple([one for one in self.addresses if one not in self.delegated])

    def may_send_as(self, address: Address) -> bool:
        """Whether an address, without its subaddress, is one of ``addresses`` (RFC 6409 section
        6.1)."""
        keys = {one.key for one in self.addresses} | {self.address.key}
        if address.key in keys:
            return True
        local, plus, _ = address.local_part.partition("+")
        return bool(plus and local) and Address(local, address.domain).key in keys
