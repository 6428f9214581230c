"""Who may send as whose address, and what an account is allowed and has done."""

from __future__ import annotations

from dataclasses import dataclass

from zajil.accept.outbound_hold import count
from zajil.core.address import Address, parse_address
from zajil.operations.accounts import find_account
from zajil.store.engine.open import Store
from zajil.store.feedback.outbound_hold import held_mails, load_strangers
from zajil.store.feedback.send_counts import load_send_counts
from zajil.store.mail.mail_sizes import MailSize, load_mail_sizes
from zajil.store.people.accounts import AccountRow, addresses_of
from zajil.store.people.aliases import aliases_to
from zajil.store.people.app_passwords import AppPasswordRow, list_app_passwords
from zajil.store.people.delegations import (
    DelegationRow,
    create_delegation,
    delegated_to,
    delegates_of,
    delete_delegation,
)
from zajil.store.people.last_logins import LastLogin, load_last_logins


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDetail:
    """All that an operator may want to know of an account but its mail."""

    row: AccountRow
    aliases: tuple[Address, ...]
    """That name it directly, catch-alls too."""
    delegated: tuple[Address, ...]
    """Of others; it may send as them."""
    delegates: tuple[tuple[Address, str], ...]
    """Who may send as its addresses: address and log-in name."""
    app_passwords: tuple[AppPasswordRow, ...]
    """Oldest first."""
    sent_in_minute: int
    """Recipients of what it has sent in this minute; 0 too where no limit is set."""
    sent_in_day: int
    """The same on this day (UTC)."""
    held_ms: int | None
    """Since when its mail to other servers is held back; ``None``: it is not."""
    held_mails: int
    """How many mails are."""
    strangers_in_day: int
    """Recipients elsewhere, on this day, that it never wrote to before."""
    mail: MailSize
    last_login: LastLogin | None
    """``None``: it was not seen to log in."""


def delegate(store: Store, address: str, login_or_address: str) -> AccountRow:
    """Let an account send as an address of ours; give the account.

    Raises:
        BadAddress: it is none.
        NoSuchAccount, NoSuchAddress, AlreadyExists: as they say.
    """
    row = find_account(store, login_or_address)
    store.write_now(create_delegation, DelegationRow(parse_address(address), row.account_id))
    return row


def take_back(store: Store, address: str, login_or_address: str) -> AccountRow:
    """Undo ``delegate``; give the account.

    Raises:
        BadAddress: it is none.
        NoSuchAccount, NoSuchDelegation: as they say.
    """
    row = find_account(store, login_or_address)
    store.write_now(delete_delegation, DelegationRow(parse_address(address), row.account_id))
    return row


def show_account(store: Store, login_or_address: str, now_ms: int) -> AccountDetail:
    """Give an account with its rights and what it has sent.

    Raises:
        NoSuchAccount: nobody has this login or address.
    """
    row = find_account(store, login_or_address)
    own = store.read_now(lambda conn: addresses_of(conn, row.account_id))
    aliases = store.read_now(lambda conn: aliases_to(conn, row.address))
    counts = store.read_now(lambda conn: load_send_counts(conn, row.account_id))
    strangers = store.read_now(lambda conn: load_strangers(conn, row.account_id))
    return AccountDetail(
        row=row,
        aliases=tuple(one.address for one in aliases),
        delegated=store.read_now(lambda conn: delegated_to(conn, row.account_id)),
        delegates=tuple(store.read_now(lambda conn: delegates_of(conn, own))),
        app_passwords=tuple(store.read_now(lambda conn: list_app_passwords(conn, row.account_id))),
        sent_in_minute=counts.in_minute(now_ms),
        sent_in_day=counts.in_day(now_ms),
        held_ms=strangers.held_ms,
        held_mails=len(store.read_now(lambda conn: held_mails(conn, row.account_id))),
        strangers_in_day=count(strangers, 0, now_ms).day_count,
        mail=store.read_now(lambda conn: load_mail_sizes(conn, row.account_id)).get(
            row.account_id, MailSize()
        ),
        last_login=store.read_now(lambda conn: load_last_logins(conn, row.account_id)).get(
            row.account_id
        ),
    )
