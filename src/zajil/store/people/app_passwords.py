"""App passwords: what one program logs in with, for one purpose.

Two verifiers of each are kept: argon2id for mechanisms that carry the password, and the keys of
SCRAM-SHA-256, once for each name that its owner may type.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.app_password import Scope
from zajil.core.errors import AlreadyExists, NotFound, Refused
from zajil.core.ids import AccountId, AppPasswordId
from zajil.core.value_class import value_class
from zajil.sasl.scram import ScramKey
from zajil.store.engine.batch import DIRECTORY, touch
from zajil.store.schema import account, app_password, scram_key, secret

MOST_OF_ONE_ACCOUNT = 50
"""SCRAM tries all of them at each log-in, and nobody keeps more apart."""


class NoSuchAppPassword(NotFound):
    """The account has none of this name or id."""


class TooManyAppPasswords(Refused):
    """The account has ``MOST_OF_ONE_ACCOUNT`` already."""


@value_class(frozen=True, slots=True, kw_only=True)
class AppPasswordRow:
    """One app password, as far as it is kept."""

    app_password_id: AppPasswordId
    account_id: AccountId
    name: str
    """The owner's word for it: the program or the device."""
    scope: Scope
    label: str
    """Its first group, to tell it from others."""
    password_hash: str
    created_ms: int
    last_used_ms: int | None
    """To the hour; ``None``: never."""


@value_class(frozen=True, slots=True)
class NewScramKey:
    """The keys of one app password under one name."""

    login: str
    """As ``core.login_name.prepare_login`` gives it."""
    salt: bytes
    iterations: int
    key: ScramKey


@value_class(frozen=True, slots=True, kw_only=True)
class NewAppPassword:
    """What ``add_app_password`` takes; hash and keys are computed before the transaction."""

    account_id: AccountId
    name: str
    scope: Scope
    label: str
    password_hash: str
    scram: tuple[NewScramKey, ...]
    created_ms: int


@value_class(frozen=True, slots=True)
class AppPasswordOf:
    """One app password of an account: nobody removes another's by a guessed id."""

    account_id: AccountId
    app_password_id: AppPasswordId


@value_class(frozen=True, slots=True)
class AppPasswordUsed:
    """What ``record_use`` takes."""

    app_password_id: AppPasswordId
    at_ms: int


@value_class(frozen=True, slots=True)
class ScramRow:
    """The keys of one app password, found by a name."""

    app_password_id: AppPasswordId
    salt: bytes
    iterations: int
    key: ScramKey


def add_app_password(tx: Connection, items: Sequence[NewAppPassword]) -> list[AppPasswordId]:
    """Keep new app passwords.

    Unit of work: not idempotent; locks nothing; touches nothing, because nobody has tried what
    was not made yet.

    Raises:
        AlreadyExists: the account has one of this name.
        TooManyAppPasswords: it has too many.
        LookupError: the account was removed meanwhile.
    """
    ids: list[AppPasswordId] = []
    for item in items:
        if not tx.scalar(sa.select(account.c.id).where(account.c.id == item.account_id)):
            raise LookupError(f"account does not exist: {item.account_id}")
        names = set(
            tx.scalars(
                sa.select(app_password.c.name).where(app_password.c.account_id == item.account_id)
            )
        )
        if item.name in names:
            raise AlreadyExists(f"app password {item.name} already exists")
        if len(names) >= MOST_OF_ONE_ACCOUNT:
            raise TooManyAppPasswords(
                f"an account can have at most {MOST_OF_ONE_ACCOUNT} app passwords"
            )
        ids.append(_insert(tx, item))
    return ids


def remove_app_password(tx: Connection, items: Sequence[AppPasswordOf]) -> list[None]:
    """Remove app passwords; sessions that were opened with them end.

    Unit of work: not idempotent; locks nothing; touches the directory.

    Raises:
        NoSuchAppPassword: the account has none of this id.
    """
    for item in items:
        gone = tx.execute(
            sa.delete(app_password).where(
                app_password.c.id == item.app_password_id,
                app_password.c.account_id == item.account_id,
            )
        )
        if not gone.rowcount:
            raise NoSuchAppPassword("the app password does not exist")
        tx.execute(sa.delete(scram_key).where(scram_key.c.app_password_id == item.app_password_id))
    touch(tx, DIRECTORY)
    return [None] * len(items)


def delete_app_passwords_of(tx: Connection, account_ids: Sequence[AccountId]) -> None:
    """Remove all of accounts that go; called by the unit that removes them."""
    ids = tx.scalars(
        sa.delete(app_password)
        .where(app_password.c.account_id.in_(account_ids))
        .returning(app_password.c.id)
    ).all()
    if ids:
        tx.execute(sa.delete(scram_key).where(scram_key.c.app_password_id.in_(ids)))


def record_use(tx: Connection, items: Sequence[AppPasswordUsed]) -> list[None]:
    """Note that app passwords were used.

    Unit of work: idempotent; locks nothing; touches nothing: no log-in depends on it.
    """
    for item in items:
        tx.execute(
            sa.update(app_password)
            .where(app_password.c.id == item.app_password_id)
            .values(last_used_ms=item.at_ms)
        )
    return [None] * len(items)


def list_app_passwords(conn: Connection, account_id: AccountId) -> list[AppPasswordRow]:
    """Return those of an account, oldest first."""
    found = sa.select(app_password).where(app_password.c.account_id == account_id)
    return [_row(row) for row in conn.execute(found.order_by(app_password.c.id))]


def find_app_password(
    conn: Connection, account_id: AccountId | None, label: str
) -> AppPasswordRow | None:
    """Return the only one of an account that can match; ``None``: none can.

    Args:
        conn: a snapshot.
        account_id: ``None`` finds nothing, and takes as long.
        label: its first group.
    """
    row = conn.execute(_FIND, {"account_id_": account_id or 0, "label_": label}).one_or_none()
    return None if row is None else _row(row)


def get_app_password(conn: Connection, app_password_id: AppPasswordId) -> AppPasswordRow | None:
    """Return the one of an id; ``None``: it was removed."""
    row = conn.execute(_GET, {"id_": app_password_id}).one_or_none()
    return None if row is None else _row(row)


def find_scram_keys(conn: Connection, login: str, scope: Scope) -> list[ScramRow]:
    """Return the keys behind a prepared name that open ``scope``; empty: none, or nobody's name."""
    return [
        ScramRow(
            row.app_password_id,
            bytes(row.salt),
            row.iterations,
            ScramKey(bytes(row.stored_key), bytes(row.server_key)),
        )
        for row in conn.execute(_SCRAM, {"login_": login, "scopes_": [scope, Scope.ALL]})
    ]


def scram_salt(conn: Connection, login: str) -> bytes:
    """Return the salt of a prepared name, whether it exists or not, always the same.

    Security: a made-up name must look like a real one (RFC 5802 section 9), at each try, in each
    worker, and after a restart. An account that was renamed keeps the salt of its old name, because
    only the owner could compute its keys anew.
    """
    kept = conn.scalar(_SALT, {"login_": login})
    if kept is not None:
        return bytes(kept)
    key = bytes(conn.scalars(_SECRET).one())
    return hmac.digest(key, login.encode(), hashlib.sha256)[:16]


def _insert(tx: Connection, item: NewAppPassword) -> AppPasswordId:
    row = {
        "account_id": item.account_id,
        "name": item.name,
        "scope": item.scope,
        "label": item.label,
        "password_hash": item.password_hash,
        "created_ms": item.created_ms,
    }
    number = AppPasswordId(
        tx.execute(sa.insert(app_password).returning(app_password.c.id), row).scalar_one()
    )
    for scram in item.scram:
        tx.execute(
            sa.insert(scram_key),
            {
                "login": scram.login,
                "app_password_id": number,
                "salt": scram.salt,
                "iterations": scram.iterations,
                "stored_key": scram.key.stored_key,
                "server_key": scram.key.server_key,
            },
        )
    return number


def _row(row: sa.Row[Any]) -> AppPasswordRow:
    return AppPasswordRow(
        app_password_id=row.id,
        account_id=row.account_id,
        name=row.name,
        scope=Scope(row.scope),
        label=row.label,
        password_hash=row.password_hash,
        created_ms=row.created_ms,
        last_used_ms=row.last_used_ms,
    )


_FIND = sa.select(app_password).where(
    app_password.c.account_id == sa.bindparam("account_id_"),
    app_password.c.label == sa.bindparam("label_"),
)
_GET = sa.select(app_password).where(app_password.c.id == sa.bindparam("id_"))
_SCRAM = (
    sa.select(scram_key)
    .join(app_password, app_password.c.id == scram_key.c.app_password_id)
    .where(
        scram_key.c.login == sa.bindparam("login_"),
        app_password.c.scope.in_(sa.bindparam("scopes_", expanding=True)),
    )
    .order_by(scram_key.c.app_password_id)
)
_SALT = (
    sa.select(scram_key.c.salt)
    .where(scram_key.c.login == sa.bindparam("login_"))
    .order_by(scram_key.c.app_password_id.desc())
    .limit(1)
)
_SECRET = sa.select(secret.c.value).where(secret.c.name == "scram")
