"""Results of directory lookups for an address: the types that ``route`` uses.

The store creates them (``store.people.directory``); ``route.recipient`` and ``route.alias`` decide
with them and never access a table.
"""

from __future__ import annotations

from zajil.core.address import CATCH_ALL, Address
from zajil.core.ids import AccountId, MailboxId
from zajil.core.value_class import value_class

ROLE_LOCAL_PARTS = ("postmaster", "abuse")
"""RFC 5321 section 4.5.1 demands the first of every domain, RFC 2142 section 2 the second."""
REPORTS_LOCAL_PART = "dmarc-reports"
"""Reports about a domain of ours come to this address of it, and ours come from there (RFC 9990).
No option: DNS, routing and who reads the reports must agree on it."""
TLS_REPORTS_LOCAL_PART = "tls-reports"
"""Others report failures of TLS to this address of a domain of ours (RFC 8460 section 3)."""
ALWAYS_ACCEPTED = frozenset({*ROLE_LOCAL_PARTS, REPORTS_LOCAL_PART, TLS_REPORTS_LOCAL_PART})
"""Local parts that lead to the postmaster where nobody has them."""


@value_class(frozen=True, slots=True, kw_only=True)
class AccountEntry:
    """The address belongs to an account of ours."""

    account_id: AccountId
    address: Address
    """The account's own (primary) address."""
    inbox: MailboxId
    junk: MailboxId
    active: bool
    """False: suspended by an operator; its mail is deferred, not lost."""
    forward_to: tuple[Address, ...] = ()
    """Where its mail goes, too; local or remote, may be aliases."""
    keeps_copy: bool = True
    """Whether what is forwarded stays here as well."""
    is_full: bool = False
    """INBOX or the account is full; mail that is under way already still goes there."""
    free_size: int | None = None
    """Bytes that the account may still get; ``None``: any number."""
    fresh_ms: int | None = None
    """How long that may be believed; ``None``: until the directory changes."""

    def takes(self, size: int) -> bool:
        """Check whether there is room for a mail; a size of 0 is one that is not known yet."""
        return not self.is_full and (self.free_size is None or size <= self.free_size)


@value_class(frozen=True, slots=True)
class AliasEntry:
    """The address stands for other addresses."""

    address: Address
    targets: tuple[Address, ...]
    """Local or remote; may themselves be aliases."""


Entry = AccountEntry | AliasEntry


@value_class(frozen=True, slots=True)
class DirectoryAnswer:
    """Everything the directory knows about one address."""

    is_local: bool
    """The domain is one of ours, whoever the local part is."""
    entry: Entry | None
    """``None``: nobody has this address here."""


def without_subaddress(address: Address) -> Address | None:
    """Return ``user@domain`` for ``user+tag@domain`` (RFC 5233); ``None``: without a tag."""
    base, plus, _ = address.local_part.partition("+")
    return Address(base, address.domain) if plus and base else None


def is_always_accepted(address: Address) -> bool:
    """Whether the postmaster gets what nobody has, subaddress or not."""
    return address.local_part.partition("+")[0].lower() in ALWAYS_ACCEPTED


def catch_all_of(domain: str) -> Address:
    """Name the alias that gets what no other address of a domain gets."""
    return Address(CATCH_ALL, domain)
