"""App passwords: create and remove. The command line and the web use the same operations."""

from __future__ import annotations

from dataclasses import dataclass

from zajil.core.actor import Actor
from zajil.core.app_password import AppPassword, Scope, make_app_password
from zajil.core.clock import Random
from zajil.core.errors import Invalid
from zajil.core.ids import AppPasswordId
from zajil.operations.accounts import find_account
from zajil.operations.authority import require_owner_or_admin
from zajil.operations.context import OperationContext, Recorded, require_owner
from zajil.operations.credentials import hash_password
from zajil.sasl.scram import ITERATIONS, derive_key
from zajil.store.engine.reader import Snapshot
from zajil.store.engine.writer import Transaction
from zajil.store.people.accounts import AccountRow
from zajil.store.people.app_passwords import (
    AppPasswordOf,
    AppPasswordRow,
    NewAppPassword,
    NewScramKey,
    NoSuchAppPassword,
    add_app_password,
    list_app_passwords,
    remove_app_password,
    scram_salt,
)
from zajil.tracking.audit import AppPasswordCreated, AppPasswordRemoved

LONGEST_NAME = 64
"""Characters."""


class BadAppPasswordName(Invalid, ValueError):
    """The name of an app password is empty, too long, or has control characters."""


@dataclass(frozen=True, slots=True)
class CreatedAppPassword:
    """A new app password; its text is not stored."""

    name: str
    password: AppPassword


async def create_app_password(
    context: OperationContext, actor: Actor, login_or_address: str, name: str, scope: Scope
) -> CreatedAppPassword:
    """Create an app password; this is the only time that it can be shown.

    Hashing takes tens of milliseconds and 64 MiB.

    Raises:
        NotAllowed: neither the owner nor an administrator asks.
        NoSuchAccount: there is no such account.
        BadAppPasswordName: as it says.
        AlreadyExists: the account has an app password of this name.
        TooManyAppPasswords: it has too many.
    """
    clean = _clean_name(name)

    def load(conn: Snapshot) -> tuple[AccountRow, dict[str, bytes]]:
        row = find_account(conn, login_or_address)
        return row, {one: scram_salt(conn, one) for one in (row.login, row.address.key)}

    owner, salts = await context.read(load)
    require_owner(actor, owner.account_id)
    by = context.stamp(actor)
    made, kept = await context.compute(
        lambda: _make(owner, clean, scope, salts, context.clock.now_ms(), context.random)
    )

    def work(tx: Transaction) -> Recorded[None]:
        add_app_password(tx, [kept])
        return None, [AppPasswordCreated(*by, owner.account_id, owner.login, clean, scope.value)]

    await context.change(work)
    return CreatedAppPassword(clean, made)


def _clean_name(name: str) -> str:
    clean = " ".join(name.split())
    if not clean or len(clean) > LONGEST_NAME or not clean.isprintable():
        raise BadAppPasswordName(f"a name has 1 to {LONGEST_NAME} printable characters")
    return clean


def _make(
    owner: AccountRow,
    name: str,
    scope: Scope,
    salts: dict[str, bytes],
    now_ms: int,
    random: Random,
) -> tuple[AppPassword, NewAppPassword]:
    """Return a new app password and what is stored of it: its hash, and a SCRAM key per name."""
    made = make_app_password(random)
    scram = tuple(
        NewScramKey(login, salt, ITERATIONS, derive_key(made.text, salt))
        for login, salt in salts.items()
    )
    hashed = hash_password(made.text)
    return made, NewAppPassword(
        account_id=owner.account_id,
        name=name,
        scope=scope,
        label=made.label,
        password_hash=hashed,
        scram=scram,
        created_ms=now_ms,
    )


def show_app_passwords(conn: Snapshot, login_or_address: str) -> list[AppPasswordRow]:
    """Return the app passwords of an account, oldest first.

    Raises:
        NoSuchAccount: there is no such account.
    """
    return list_app_passwords(conn, find_account(conn, login_or_address).account_id)


async def delete_app_password(
    context: OperationContext, actor: Actor, login_or_address: str, which: str | AppPasswordId
) -> AppPasswordRow:
    """Remove an app password; sessions that use it end.

    Args:
        context: the store and what belongs to it.
        actor: the owner of the account, or an administrator.
        login_or_address: of the account.
        which: the name of the app password, its first group, or its id.

    Raises:
        NotAllowed: neither the owner nor an administrator asks.
        NoSuchAccount, NoSuchAppPassword: there is no such account or app password.
    """
    by = context.stamp(actor)

    def work(tx: Transaction) -> Recorded[AppPasswordRow]:
        owner = find_account(tx, login_or_address)
        require_owner_or_admin(tx, actor, owner)
        row = _find(list_app_passwords(tx, owner.account_id), which)
        if row is None:
            raise NoSuchAppPassword(
                f"{owner.login} has no app password {which}; see `zajil account app-password list`"
            )
        remove_app_password(tx, [AppPasswordOf(owner.account_id, row.app_password_id)])
        return row, [AppPasswordRemoved(*by, owner.account_id, owner.login, row.name)]

    return await context.change(work)


def _find(rows: list[AppPasswordRow], which: str | AppPasswordId) -> AppPasswordRow | None:
    if not isinstance(which, str):
        return next((row for row in rows if row.app_password_id == which), None)
    named = [row for row in rows if row.name == which] or [r for r in rows if r.label == which]
    return named[0] if named else None
