"""Changes of an existing account: names, role, forwarding, release from the outbound hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zajil.core.actor import Actor
from zajil.core.address import Address, parse_addresses
from zajil.core.errors import Invalid, Refused
from zajil.core.ids import MailId
from zajil.core.login_name import parse_login
from zajil.operations.accounts import find_account
from zajil.operations.authority import require_account_admin, require_owner_or_admin
from zajil.operations.context import (
    OperationContext,
    Recorded,
    require_admin,
    require_domain_admin,
    require_owner,
)
from zajil.store.engine.writer import Transaction
from zajil.store.feedback.outbound_hold import ReleaseAccount, release_account
from zajil.store.mail.room import NewQuota, set_quota
from zajil.store.people.account_names import NewNames, NewProfile, rename_account, set_profile
from zajil.store.people.accounts import AccountRow
from zajil.store.people.forwarding import Forwarding, set_forwarding
from zajil.tracking.audit import (
    AccountProfileChanged,
    AccountReleased,
    AccountRenamed,
    ForwardingChanged,
    QuotaChanged,
)

LONGEST_DISPLAY_NAME = 100
"""Characters."""


class BadDisplayName(Invalid, ValueError):
    """The display name of an account is too long or has control characters."""


class NotHeld(Refused):
    """The account is not held: there is nothing to release."""


async def rename(
    context: OperationContext,
    actor: Actor,
    login_or_address: str,
    *,
    address: Address | None = None,
    login: str | None = None,
    keeps_alias: bool = False,
) -> AccountRow:
    """Change the address or the login name of an account; returns the account as it is now.

    Args:
        context: the store and what belongs to it.
        actor: must be an administrator.
        login_or_address: of the account.
        address: ``None``: not changed.
        login: ``None``: not changed.
        keeps_alias: the old address becomes an alias of the account.

    Raises:
        NotAllowed: the actor is not an administrator.
        BadLogin: ``login`` cannot be used.
        NoSuchAccount, AlreadyExists, NoSuchDomain, BadAlias, AliasLoop: as
            ``store.people.account_names.rename_account``.
    """
    by, new_login = context.stamp(actor), None if login is None else parse_login(login)

    def work(tx: Transaction) -> Recorded[AccountRow]:
        row = find_account(tx, login_or_address)
        require_account_admin(tx, actor, row)
        if address is not None:
            require_domain_admin(actor, address.domain)
        names = NewNames(
            row.account_id, new_login or row.login, address or row.address, keeps_alias
        )
        rename_account(tx, [names])
        now = find_account(tx, names.login)
        before, after = (f"{one.login} <{one.address.unicode}>" for one in (row, now))
        return now, [AccountRenamed(*by, row.account_id, row.login, before, after)]

    return await context.change(work)


async def change_profile(
    context: OperationContext,
    actor: Actor,
    login_or_address: str,
    *,
    display_name: str | None = None,
    admin: bool | None = None,
) -> AccountRow:
    """Change the display name or the role of an account; returns the account as it is now.

    Raises:
        NotAllowed: the actor is not an administrator, and not the owner who changes only the
            display name.
        BadDisplayName: longer than ``LONGEST_DISPLAY_NAME``, or with control characters.
        NoSuchAccount: there is no such account.
        LastAdmin: no other active account is an administrator.
    """
    if admin is not None:
        require_admin(actor)
    by = context.stamp(actor)
    name = None if display_name is None else clean_display_name(display_name)

    def work(tx: Transaction) -> Recorded[AccountRow]:
        row = find_account(tx, login_or_address)
        require_owner_or_admin(tx, actor, row)
        set_profile(tx, [NewProfile(row.account_id, name, admin)])
        now = find_account(tx, row.login)
        event = AccountProfileChanged(*by, now.account_id, now.login, now.display_name, now.admin)
        return now, [event]

    return await context.change(work)


def clean_display_name(text: str) -> str:
    """Return a display name as it is stored.

    Raises:
        BadDisplayName: longer than ``LONGEST_DISPLAY_NAME``, or with control characters.
    """
    clean = " ".join(text.split())
    if len(clean) > LONGEST_DISPLAY_NAME or not clean.isprintable():
        raise BadDisplayName(
            f"a display name has up to {LONGEST_DISPLAY_NAME} printable characters"
        )
    return clean


DEFAULT = "default"
"""Instead of a limit: that of the configuration."""


async def limit(
    context: OperationContext,
    actor: Actor,
    login_or_address: str,
    *,
    size: int | str | None = None,
    messages: int | str | None = None,
) -> AccountRow:
    """Set the quota of an account; returns the account as it is now.

    Args:
        context: the store and what belongs to it.
        actor: must be an administrator.
        login_or_address: of the account.
        size: bytes; 0: no limit; ``DEFAULT``; ``None``: not changed.
        messages: their number; as ``size``.

    Raises:
        NotAllowed: the actor is not an administrator.
        NoSuchAccount: there is no such account.
    """
    by = context.stamp(actor)

    def work(tx: Transaction) -> Recorded[AccountRow]:
        row = find_account(tx, login_or_address)
        require_account_admin(tx, actor, row)
        new = (
            _chosen(size, row.quota_size),
            _chosen(messages, row.quota_messages),
        )
        set_quota(tx, [NewQuota(row.account_id, *new)])
        return find_account(tx, row.login), [QuotaChanged(*by, row.account_id, row.login, *new)]

    return await context.change(work)


def _chosen(limit: int | str | None, before: int | None) -> int | None:
    if limit is None:
        return before
    return None if isinstance(limit, str) else limit


async def forward(
    context: OperationContext,
    actor: Actor,
    login_or_address: str,
    targets: Sequence[str],
    *,
    keeps_copy: bool,
) -> AccountRow:
    """Set where the mail of an account is forwarded to; returns the account as it is now.

    Args:
        context: the store and what belongs to it.
        actor: the owner of the account, or an administrator.
        login_or_address: of the account.
        targets: local or remote addresses; empty: turn forwarding off.
        keeps_copy: forwarded mail is also kept in the account's mailboxes.

    Raises:
        NotAllowed: neither the owner nor an administrator asks.
        BadAddress, BadAlias: a target is not a single address.
        NoSuchAccount: there is no such account.
        AliasLoop: the mail would come back to the account.
    """
    by, parsed = context.stamp(actor), parse_addresses(targets)

    def work(tx: Transaction) -> Recorded[AccountRow]:
        row = find_account(tx, login_or_address)
        require_owner(actor, row.account_id)
        set_forwarding(tx, [Forwarding(row.account_id, parsed, keeps_copy)])
        names = tuple(map(str, parsed))
        event = ForwardingChanged(*by, row.account_id, row.login, names, keeps_copy)
        return find_account(tx, row.login), [event]

    return await context.change(work)


@dataclass(frozen=True, slots=True)
class ReleasedAccount:
    """An account that was released."""

    row: AccountRow
    mail_ids: tuple[MailId, ...]
    """Its mails that were held."""


async def release(
    context: OperationContext,
    actor: Actor,
    login_or_address: str,
    *,
    exempt_ms: int,
    discards: bool,
) -> ReleasedAccount:
    """Remove the outbound hold of an account, and send or drop its held mail.

    Args:
        context: the store and what belongs to it.
        actor: must be an administrator.
        login_or_address: of the account.
        exempt_ms: how long the account is not held again.
        discards: drop the held mail; its senders are not notified.

    Raises:
        NotAllowed: the actor is not an administrator.
        NoSuchAccount: there is no such account.
        NotHeld: it is not held.
    """
    by, now_ms = context.stamp(actor), context.clock.now_ms()

    def work(tx: Transaction) -> Recorded[ReleasedAccount]:
        row = find_account(tx, login_or_address)
        require_account_admin(tx, actor, row)
        order = ReleaseAccount(row.account_id, actor.name, now_ms, exempt_ms, discards)
        (mail_ids,) = release_account(tx, [order])
        if mail_ids is None:
            raise NotHeld(f"the account {row.login} is not held")
        event = AccountReleased(
            *by, row.account_id, row.login, len(mail_ids), discards, now_ms + exempt_ms
        )
        return ReleasedAccount(row, mail_ids), [event]

    return await context.change(work)
