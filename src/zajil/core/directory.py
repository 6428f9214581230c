"""What the directory says of an address: the answer types that ``route`` reasons about.

The store fills them (``store.directory``); ``route.recipient`` and ``route.alias`` decide with
them and never see a table.
"""

from __future__ import annotations

from dataclasses import dataclass

from zajil.core.address import Address
from zajil.core.ids import AccountId, MailboxId


@dataclass(frozen=True, slots=True)
class AccountEntry:
    """The address belongs to an account of ours."""

    account_id: AccountId
    address: Address
    """The account's own (primary) address."""
    inbox: MailboxId
    junk: MailboxId
    active: bool
    """False: suspended by an operator; its mail is deferred, not lost."""


@dataclass(frozen=True, slots=True)
class AliasEntry:
    """The address stands for other addresses."""

    address: Address
    targets: tuple[Address, ...]
    """Local or remote; may themselves be aliases."""


Entry = AccountEntry | AliasEntry


@dataclass(frozen=True, slots=True)
class DirectoryAnswer:
    """Everything the directory knows about one address."""

    is_local: bool
    """The domain is one of ours, whoever the local part is."""
    entry: Entry | None
    """``None``: nobody has this address here."""
