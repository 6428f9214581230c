"""Accounts: create, list, show, suspend, remove, and their passwords."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from zajil.accept.outbound_hold import count
from zajil.core.actor import Actor
from zajil.core.address import Address
from zajil.core.errors import Refused
from zajil.core.ids import AccountId
from zajil.core.login_name import parse_login
from zajil.core.password import IN_DIRECTORY
from zajil.operations.authority import require_account_admin, require_owner_or_admin
from zajil.operations.context import (
    OperationContext,
    Recorded,
    require_admin,
    require_domain_admin,
)
from zajil.operations.credentials import choose_login, generate_password, hash_password
from zajil.store.engine.reader import Snapshot
from zajil.store.engine.writer import Transaction
from zajil.store.feedback.outbound_hold import held_mails, load_strangers
from zajil.store.feedback.send_counts import load_send_counts
from zajil.store.mail.caps import Caps
from zajil.store.mail.room import Usage, list_usage, load_usage
from zajil.store.people.accounts import (
    AccountRow,
    NewAccount,
    NewActive,
    NewPassword,
    NoSuchAccount,
    addresses_of,
    create_account,
    delete_account,
    find_by_login,
    is_login_taken,
    list_accounts,
    set_active,
    set_password,
)
from zajil.store.people.aliases import aliases_to
from zajil.store.people.app_passwords import AppPasswordRow, list_app_passwords
from zajil.store.people.delegations import delegated_to, delegates_of
from zajil.store.people.domain_admins import administered_by
from zajil.store.people.identities import identities_of
from zajil.store.people.last_logins import LastLogin, load_last_logins
from zajil.tracking.audit import (
    AccountCreated,
    AccountRemoved,
    AccountResumed,
    AccountSuspended,
    PasswordChanged,
)


class PasswordElsewhere(Refused):
    """The password of the account is kept in the directory of the organisation."""


@dataclass(frozen=True, slots=True)
class AddedAccount:
    """An account that was created."""

    account_id: AccountId
    address: Address
    login: str
    password: str | None
    """The password that was generated; ``None``: the caller chose one."""


async def add_account(
    context: OperationContext,
    actor: Actor,
    address: Address,
    *,
    login: str | None = None,
    password: str | None = None,
    display_name: str = "",
    admin: bool = False,
) -> AddedAccount:
    """Create an account with its mailboxes.

    Args:
        context: the store and what belongs to it.
        actor: must be an administrator, of the server or of the domain of the address.
        address: in a domain of this server.
        login: ``None``: derived from the address.
        password: ``None``: one is generated and returned.
        display_name: shown before the address in From; may be empty.
        admin: the account may change the whole server; only such an account gives this.

    Raises:
        NotAllowed: the actor is not such an administrator.
        BadLogin, BadPassword: the login name or the password cannot be used.
        AlreadyExists, NoSuchDomain: as ``store.people.accounts.create_account``.
    """
    require_domain_admin(actor, address.domain)
    if admin:
        require_admin(actor)
    if login is None:
        login = await context.read(partial(_free_login, local_part=address.local_part))
    generated = None if password is not None else generate_password(context.random)
    chosen = generated or password or ""
    by = context.stamp(actor)
    new = NewAccount(
        login=parse_login(login),
        address=address,
        display_name=display_name,
        password_hash=await context.compute(lambda: hash_password(chosen)),
        admin=admin,
        created_ms=context.clock.now_ms(),
    )

    def work(tx: Transaction) -> Recorded[AccountId]:
        (account_id,) = create_account(tx, [new])
        return account_id, [AccountCreated(*by, account_id, new.login, str(address), admin)]

    account_id = await context.change(work)
    return AddedAccount(account_id, address, new.login, generated)


def _free_login(conn: Snapshot, local_part: str) -> str:
    return choose_login(local_part, lambda name: is_login_taken(conn, name))


def find_account(conn: Snapshot, login_or_address: str) -> AccountRow:
    """Return the account with a login name or address.

    Raises:
        NoSuchAccount: there is none.
    """
    row = find_by_login(conn, login_or_address)
    if row is None:
        raise NoSuchAccount(f"account {login_or_address} does not exist; see `zajil account list`")
    return row


async def change_password(
    context: OperationContext, actor: Actor, login_or_address: str, password: str | None
) -> str | None:
    """Set a password, or generate one; browsers that are logged in must log in again.

    Returns:
        The password that was generated; ``None``: the caller chose one.

    Raises:
        NotAllowed: neither the owner nor an administrator asks.
        NoSuchAccount: there is no such account.
        PasswordElsewhere: it is the password of a directory.
        BadPassword: the password cannot be used.
    """

    def find(conn: Snapshot) -> AccountRow:
        found = find_account(conn, login_or_address)
        require_owner_or_admin(conn, actor, found)
        return found

    row = await context.read(find)
    if row.password_hash == IN_DIRECTORY:
        raise PasswordElsewhere("the password of this account is in the directory: change it there")
    generated = None if password is not None else generate_password(context.random)
    chosen = generated or password or ""
    hashed = await context.compute(lambda: hash_password(chosen))
    by = context.stamp(actor)

    def work(tx: Transaction) -> Recorded[None]:
        set_password(tx, [NewPassword(row.account_id, hashed)])
        return None, [PasswordChanged(*by, row.account_id, row.login)]

    await context.change(work)
    return generated


async def suspend_account(
    context: OperationContext, actor: Actor, login_or_address: str
) -> AccountRow:
    """Refuse all log-ins of an account, and defer mail for it.

    Returns:
        The account as it was.

    Raises:
        NotAllowed: the actor is not an administrator.
        NoSuchAccount: there is no such account.
    """
    return await _set_active(context, actor, login_or_address, active=False)


async def resume_account(
    context: OperationContext, actor: Actor, login_or_address: str
) -> AccountRow:
    """Undo ``suspend_account``; returns the account as it was.

    Raises:
        NotAllowed: the actor is not an administrator.
        NoSuchAccount: there is no such account.
    """
    return await _set_active(context, actor, login_or_address, active=True)


async def _set_active(
    context: OperationContext, actor: Actor, login_or_address: str, *, active: bool
) -> AccountRow:
    by, kind = context.stamp(actor), AccountResumed if active else AccountSuspended

    def work(tx: Transaction) -> Recorded[AccountRow]:
        row = find_account(tx, login_or_address)
        require_account_admin(tx, actor, row)
        set_active(tx, [NewActive(row.account_id, active=active)])
        return row, [kind(*by, row.account_id, row.login)]

    return await context.change(work)


async def remove_account(
    context: OperationContext, actor: Actor, login_or_address: str
) -> AccountRow:
    """Remove an account and all its mail; returns the account as it was.

    Raises:
        NotAllowed: the actor is not an administrator.
        NoSuchAccount: there is no such account.
        LastTarget: the account is the only target of an alias.
    """
    by = context.stamp(actor)

    def work(tx: Transaction) -> Recorded[AccountRow]:
        row = find_account(tx, login_or_address)
        require_account_admin(tx, actor, row)
        delete_account(tx, [row.account_id])
        return row, [AccountRemoved(*by, row.account_id, row.login, str(row.address))]

    return await context.change(work)


@dataclass(frozen=True, slots=True)
class AccountUse:
    """An account with its size and its last log-in."""

    row: AccountRow
    mail: Usage
    last_login: LastLogin | None
    """``None``: it has not logged in."""


def show_accounts(conn: Snapshot, caps: Caps) -> list[AccountUse]:
    """Return all accounts, by login name.

    Args:
        conn: a snapshot.
        caps: limits of accounts that have none of their own.
    """
    usage, logins = list_usage(conn, caps), load_last_logins(conn)
    return [
        AccountUse(row, usage[row.account_id], logins.get(row.account_id))
        for row in list_accounts(conn)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountDetail:
    """Everything about an account but its mail."""

    use: AccountUse
    aliases: tuple[Address, ...]
    """Aliases and catch-alls that name it directly."""
    delegated: tuple[Address, ...]
    """Addresses of others that it may send as."""
    delegates: tuple[tuple[Address, str], ...]
    """Its addresses that others may send as, each with the login name of the other."""
    app_passwords: tuple[AppPasswordRow, ...]
    """Oldest first."""
    linked_with: tuple[str, ...]
    """Sources that know the owner: ``ldap``, addresses of OpenID providers."""
    administers: tuple[str, ...]
    """Domains (ASCII form), by name."""
    sent_in_minute: int
    """Recipients of the mail it sent in this minute; 0 where no limit is set."""
    sent_in_day: int
    """The same for this day (UTC)."""
    held_ms: int | None
    """When its outbound hold began; ``None``: it is not held."""
    held_mails: int
    strangers_in_day: int
    """Remote recipients of this day that it had never written to before."""


def show_account(conn: Snapshot, login_or_address: str, now_ms: int, caps: Caps) -> AccountDetail:
    """Return an account with its addresses, rights and recent sending.

    Args:
        conn: a snapshot.
        login_or_address: of the account.
        now_ms: the time.
        caps: limits of accounts that have none of their own.

    Raises:
        NoSuchAccount: there is no such account.
    """
    row = find_account(conn, login_or_address)
    account_id = row.account_id
    counts, strangers = load_send_counts(conn, account_id), load_strangers(conn, account_id)
    usage = load_usage(conn, caps, account_id) or Usage(account_id=account_id)
    return AccountDetail(
        use=AccountUse(row, usage, load_last_logins(conn, account_id).get(account_id)),
        aliases=tuple(one.address for one in aliases_to(conn, row.address)),
        delegated=delegated_to(conn, account_id),
        delegates=tuple(delegates_of(conn, addresses_of(conn, account_id))),
        app_passwords=tuple(list_app_passwords(conn, account_id)),
        linked_with=tuple(one.source for one in identities_of(conn, account_id)),
        administers=tuple(sorted(administered_by(conn, account_id))),
        sent_in_minute=counts.in_minute(now_ms),
        sent_in_day=counts.in_day(now_ms),
        held_ms=strangers.held_ms,
        held_mails=len(held_mails(conn, account_id)),
        strangers_in_day=count(strangers, 0, now_ms).day_count,
    )
