"""App passwords of an account: made, listed, removed, for the command line and the web alike."""

from __future__ import annotations

from dataclasses import dataclass

from zajil.core.app_password import AppPassword, Scope, make_app_password
from zajil.core.clock import Random
from zajil.core.errors import Invalid
from zajil.core.ids import AccountId
from zajil.login.account import Account
from zajil.operations.accounts import find_account
from zajil.operations.password import hash_password
from zajil.sasl.scram import ITERATIONS, derive_key
from zajil.store.engine.open import Store
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

LONGEST_NAME = 64
"""Characters: a person reads it in a list."""


class BadAppPasswordName(Invalid, ValueError):
    """Not a name for an app password."""


@dataclass(frozen=True, slots=True)
class MadeAppPassword:
    """What must be hashed and derived before it is kept; nothing has been written."""

    shown: AppPassword
    """Whole, and only now: nobody can give it again."""
    kept: NewAppPassword


def prepare_app_password(
    owner: AccountRow | Account,
    name: str,
    scope: Scope,
    salts: dict[str, bytes],
    *,
    now_ms: int,
    random: Random,
) -> MadeAppPassword:
    """Make one up, and compute what is kept of it; takes tens of milliseconds and 64 MiB.

    Args:
        owner: whose it will be.
        name: the owner's word for it.
        scope: what it opens.
        salts: by ``login_names`` of the owner, as ``store.people.app_passwords.scram_salt`` gives
        them. now_ms: the time. random: for the password.

    Raises:
        BadAppPasswordName: empty, too long, or with control characters.
    """
    clean = " ".join(name.split())
    if not clean or len(clean) > LONGEST_NAME or not clean.isprintable():
        raise BadAppPasswordName(f"a name has 1 to {LONGEST_NAME} characters, all of them visible")
    made = make_app_password(random)
    scram = tuple(
        NewScramKey(login, salt, ITERATIONS, derive_key(made.text, salt))
        for login, salt in salts.items()
    )
    kept = NewAppPassword(
        account_id=owner.account_id,
        name=clean,
        scope=scope,
        label=made.label,
        password_hash=hash_password(made.text),
        scram=scram,
        created_ms=now_ms,
    )
    return MadeAppPassword(made, kept)


def login_names(owner: AccountRow | Account) -> tuple[str, str]:
    """Give the prepared names that an owner may type."""
    return (owner.login, owner.address.key)


def create_app_password(
    store: Store, login_or_address: str, name: str, scope: Scope, *, now_ms: int, random: Random
) -> AppPassword:
    """Make an app password and keep it, in this thread.

    Raises:
        NoSuchAccount: nobody has this login or address.
        BadAppPasswordName, AlreadyExists, TooManyAppPasswords: it cannot be made.
    """
    owner = find_account(store, login_or_address)
    salts = store.read_now(
        lambda conn: {login: scram_salt(conn, login) for login in login_names(owner)}
    )
    made = prepare_app_password(owner, name, scope, salts, now_ms=now_ms, random=random)
    store.write_now(add_app_password, made.kept)
    return made.shown


def show_app_passwords(store: Store, account_id: AccountId) -> list[AppPasswordRow]:
    """Give those of an account, oldest first."""
    return store.read_now(lambda conn: list_app_passwords(conn, account_id))


def delete_app_password(store: Store, login_or_address: str, name: str) -> AppPasswordRow:
    """Remove one by its name or by its first group; what is open by it ends.

    Raises:
        NoSuchAccount, NoSuchAppPassword: nobody has this.
    """
    owner = find_account(store, login_or_address)
    rows = show_app_passwords(store, owner.account_id)
    found = [row for row in rows if row.name == name] or [row for row in rows if row.label == name]
    if not found:
        raise NoSuchAppPassword(
            f"{owner.login} has no app password {name}; see `zajil account app-password list`"
        )
    store.write_now(remove_app_password, AppPasswordOf(owner.account_id, found[0].app_password_id))
    return found[0]
