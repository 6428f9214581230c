"""One account follows one person of a directory: created, renamed, limited, suspended, resumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from zajil.core.address import Address
from zajil.core.errors import Refused
from zajil.core.ids import AccountId
from zajil.core.password import IN_DIRECTORY
from zajil.login.directory.person import DirectoryPerson
from zajil.operations.context import Recorded
from zajil.operations.credentials import choose_login
from zajil.store.engine.writer import Transaction
from zajil.store.mail.room import NewQuota, set_quota
from zajil.store.people.account_names import (
    LastAdmin,
    NewNames,
    NewProfile,
    rename_account,
    set_profile,
)
from zajil.store.people.accounts import (
    AccountRow,
    NewAccount,
    NewActive,
    NewPassword,
    NoSuchAccount,
    create_account,
    find_by_login,
    get_account,
    set_active,
    set_password,
)
from zajil.store.people.aliases import (
    AliasChange,
    AliasRow,
    change_targets,
    create_alias,
    delete_alias,
    find_alias,
)
from zajil.store.people.domain_admins import administered_by
from zajil.store.people.identities import (
    LDAP,
    Identity,
    delete_identity,
    find_identity,
    identities_of,
    put_identity,
)
from zajil.tracking.audit import (
    AccountCreated,
    AccountLinked,
    AccountProfileChanged,
    AccountRenamed,
    AccountResumed,
    AccountSuspended,
    AliasChanged,
    AuditEvent,
    QuotaChanged,
)

Stamp = tuple[int, str, str, str]
"""When, who, from where: ``OperationContext.stamp``."""


class AddressInUse(Refused):
    """Somebody else has the address of a person; the text says who."""


@dataclass(slots=True)
class Followed:
    """What was done for one person."""

    is_new: bool = False
    is_changed: bool = False
    is_suspended: bool = False
    problems: list[str] = field(default_factory=list)
    """What was left out."""


def follow(
    tx: Transaction, person: DirectoryPerson, *, by: Stamp, now_ms: int, adopts: bool
) -> Recorded[Followed]:
    """Let the account of a person be as the directory says; makes it if there is none.

    Raises:
        AddressInUse: an account or alias that is not this person's has the address.
        NoSuchDomain: the address is not in a domain of this server.
    """
    done, events = Followed(), list[AuditEvent]()
    identity = find_identity(tx, LDAP, person.subject)
    if identity is None or get_account(tx, identity.account_id) is None:
        account_id, was_suspended = _begin(tx, person, by, now_ms, adopts, done, events)
        identity = Identity(
            source=LDAP,
            subject=person.subject,
            account_id=account_id,
            suspended=was_suspended,
            created_ms=now_ms,
        )
        put_identity(tx, [identity])
    row = get_account(tx, identity.account_id)
    if row is None:
        raise NoSuchAccount(f"account does not exist: {identity.account_id}")
    person = person.keeping(row.address)
    if row.address != person.address:
        row = _rename(tx, person, row, identity, by, events)
    _set_profile(tx, person, row, by, done, events)
    now = _follow_aliases(tx, person, identity, by, done, events)
    now = _follow_state(tx, person, row, now, by, done, events)
    if now != identity:
        put_identity(tx, [now])
    done.is_changed = bool(events)
    return done, events


def suspend(tx: Transaction, identity: Identity, *, by: Stamp) -> Recorded[None]:
    """Suspend the account of somebody who is no longer in the directory; its mail stays."""
    row = get_account(tx, identity.account_id)
    if row is None:
        return None, []
    put_identity(tx, [replace(identity, suspended=True)])
    if not row.active:
        return None, []
    set_active(tx, [NewActive(row.account_id, active=False)])
    return None, [AccountSuspended(*by, row.account_id, row.login)]


def _begin(
    tx: Transaction,
    person: DirectoryPerson,
    by: Stamp,
    now_ms: int,
    adopts: bool,
    done: Followed,
    events: list[AuditEvent],
) -> tuple[AccountId, bool]:
    """Return the account of a person, and whether the directory had suspended it."""
    address = person.address
    alias = find_alias(tx, address)
    if alias is not None:
        raise AddressInUse(f"{address.unicode} is an alias of this server")
    row = find_by_login(tx, address.key)
    if row is not None:
        if row.admin or administered_by(tx, row.account_id):
            # Security: the directory must not get at an account that may change others.
            raise AddressInUse(
                f"{address.unicode} is an administrator with a password of its own here"
            )
        others = [one for one in identities_of(tx, row.account_id) if one.source == LDAP]
        if not adopts or not all(one.suspended for one in others):
            raise AddressInUse(
                f"{address.unicode} is an account already; `zajil directory sync --adopt` links it "
                "with the person, who then logs in with the password of the directory"
            )
        delete_identity(tx, [(LDAP, one.subject) for one in others])
        set_password(tx, [NewPassword(row.account_id, IN_DIRECTORY)])
        events.append(AccountLinked(*by, row.account_id, row.login, LDAP))
        return row.account_id, bool(others)
    login = choose_login(
        person.login or address.local_part, lambda name: find_by_login(tx, name) is not None
    )
    new = NewAccount(login, address, person.display_name, IN_DIRECTORY, False, now_ms)
    (account_id,) = create_account(tx, [new])
    done.is_new = True
    events.append(AccountCreated(*by, account_id, login, str(address), admin=False))
    return account_id, False


def _rename(
    tx: Transaction,
    person: DirectoryPerson,
    row: AccountRow,
    identity: Identity,
    by: Stamp,
    events: list[AuditEvent],
) -> AccountRow:
    own = find_alias(tx, person.address)
    if own is not None and own.targets == (row.address,) and own.address in identity.aliases:
        delete_alias(tx, [own.address])  # an alias of the person is the address now
    names = NewNames(row.account_id, row.login, person.address, keeps_alias=True)
    rename_account(tx, [names])
    before, after = (f"{row.login} <{one}>" for one in (row.address, person.address))
    events.append(AccountRenamed(*by, row.account_id, row.login, before, after))
    return replace(row, address=person.address)


def _set_profile(
    tx: Transaction,
    person: DirectoryPerson,
    row: AccountRow,
    by: Stamp,
    done: Followed,
    events: list[AuditEvent],
) -> None:
    name = person.display_name or row.display_name
    admin = row.admin if person.is_admin is None else person.is_admin
    if name != row.display_name or admin != row.admin:
        try:
            set_profile(tx, [NewProfile(row.account_id, name, admin)])
        except LastAdmin as error:
            admin = row.admin
            done.problems.append(str(error))
            set_profile(tx, [NewProfile(row.account_id, name)])
        if name != row.display_name or admin != row.admin:
            events.append(AccountProfileChanged(*by, row.account_id, row.login, name, admin))
    if person.quota is not None and person.quota != row.quota_size:
        set_quota(tx, [NewQuota(row.account_id, person.quota, row.quota_messages)])
        quota = QuotaChanged(*by, row.account_id, row.login, person.quota, row.quota_messages)
        events.append(quota)


def _follow_state(
    tx: Transaction,
    person: DirectoryPerson,
    row: AccountRow,
    identity: Identity,
    by: Stamp,
    done: Followed,
    events: list[AuditEvent],
) -> Identity:
    if person.is_disabled and row.active:
        set_active(tx, [NewActive(row.account_id, active=False)])
        events.append(AccountSuspended(*by, row.account_id, row.login))
        done.is_suspended = True
        return replace(identity, suspended=True)
    if not person.is_disabled and identity.suspended:
        if not row.active:
            set_active(tx, [NewActive(row.account_id, active=True)])
            events.append(AccountResumed(*by, row.account_id, row.login))
        return replace(identity, suspended=False)
    return identity


def _follow_aliases(
    tx: Transaction,
    person: DirectoryPerson,
    identity: Identity,
    by: Stamp,
    done: Followed,
    events: list[AuditEvent],
) -> Identity:
    target, kept = person.address, list[Address]()
    for alias in person.aliases:
        found = find_alias(tx, alias)
        if found is None and find_by_login(tx, alias.key) is None:
            create_alias(tx, [AliasRow(alias, (target,))])
            events.append(AliasChanged(*by, None, str(alias), (), (str(target),)))
            kept.append(alias)
        elif found is not None and found.targets == (target,):
            kept.append(alias)
        else:
            done.problems.append(f"the alias {alias.unicode} belongs to somebody else")
    for alias in identity.aliases:
        if alias not in person.aliases and alias != target:
            _drop_alias(tx, alias, target, by, events)
    return replace(identity, aliases=tuple(kept))


def _drop_alias(
    tx: Transaction, alias: Address, target: Address, by: Stamp, events: list[AuditEvent]
) -> None:
    found = find_alias(tx, alias)
    if found is None or target not in found.targets:
        return  # an operator changed it
    left: Sequence[Address] = [one for one in found.targets if one != target]
    if left:
        change_targets(tx, [AliasChange(alias, removed=(target,))])
    else:
        delete_alias(tx, [alias])
    before, after = tuple(map(str, found.targets)), tuple(map(str, left))
    events.append(AliasChanged(*by, None, str(alias), before, after))
