"""Second factors of accounts: authenticator apps (TOTP), passkeys, recovery codes.

Laws:
- An account with an authenticator app or a passkey has a second factor; recovery codes alone are
  none, and go with the last factor.
- A code of an authenticator app is good once: its time step must be later than the last one used.
- Every change of factors touches the directory, so that workers forget what they remember.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.errors import AlreadyExists, NotFound, Refused
from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.store.engine.batch import DIRECTORY, touch
from zajil.store.schema import account, code_failure, passkey, recovery_code, secret, totp

MOST_PASSKEYS = 20
"""Passkeys that one account may have."""


class NoSuchFactor(NotFound):
    """The account has no such second factor."""


class TooManyPasskeys(Refused):
    """The account has ``MOST_PASSKEYS`` already."""


@value_class(frozen=True, slots=True)
class TotpRow:
    """The authenticator app of an account."""

    secret: str
    """In base32, as the app has it."""
    last_step: int
    """Number of the last time step (RFC 6238 section 4.2) whose code was used."""
    created_ms: int


@value_class(frozen=True, slots=True, kw_only=True)
class PasskeyRow:
    """One passkey, a discoverable credential of WebAuthn."""

    credential_id: str
    """In base64url without padding."""
    account_id: AccountId
    public_key: bytes
    """COSE key."""
    sign_count: int
    name: str
    """The owner's word for it."""
    created_ms: int
    used_ms: int | None = None
    """When somebody logged in with it last; ``None``: never."""


@value_class(frozen=True, slots=True)
class Factors:
    """The second factors of an account."""

    totp: TotpRow | None
    passkeys: tuple[PasskeyRow, ...]
    """Oldest first."""
    recovery_codes: int
    """How many are left."""

    @property
    def any(self) -> bool:
        """Whether the account has a second factor."""
        return self.totp is not None or bool(self.passkeys)


@value_class(frozen=True, slots=True)
class NewTotp:
    """What ``set_totp`` takes."""

    account_id: AccountId
    secret: str
    last_step: int
    created_ms: int


@value_class(frozen=True, slots=True)
class TotpUse:
    """What ``use_totp`` takes."""

    account_id: AccountId
    step: int


@value_class(frozen=True, slots=True)
class NewRecoveryCodes:
    """What ``set_recovery_codes`` takes: hashes, in place of all codes of before."""

    account_id: AccountId
    hashes: tuple[str, ...]


@value_class(frozen=True, slots=True)
class RecoveryCodeUse:
    """What ``use_recovery_code`` takes."""

    account_id: AccountId
    code_hash: str


@value_class(frozen=True, slots=True)
class PasskeyUse:
    """What ``use_passkey`` takes."""

    credential_id: str
    sign_count: int
    at_ms: int
    challenge: str
    """The challenge that was signed, in base64url: each is good once."""


def read_factors(conn: Connection, account_id: AccountId) -> Factors:
    """Return the second factors of an account."""
    row = conn.execute(sa.select(totp).where(totp.c.account_id == account_id)).one_or_none()
    found = sa.select(passkey).where(passkey.c.account_id == account_id)
    keys = conn.execute(found.order_by(passkey.c.created_ms, passkey.c.credential_id))
    codes = sa.select(sa.func.count()).where(recovery_code.c.account_id == account_id)
    return Factors(
        None if row is None else TotpRow(row.secret, row.last_step, row.created_ms),
        tuple(_passkey(one) for one in keys),
        conn.scalar(codes) or 0,
    )


def has_second_factor(conn: Connection, account_id: AccountId) -> bool:
    """Check whether an account has a second factor."""
    return account_id in having_second_factor(conn, [account_id])


def having_second_factor(
    conn: Connection, account_ids: Collection[AccountId]
) -> frozenset[AccountId]:
    """Return which of some accounts (at most 10,000) have a second factor."""
    ids = list(account_ids)
    found = sa.union(
        sa.select(totp.c.account_id).where(totp.c.account_id.in_(ids)),
        sa.select(passkey.c.account_id).where(passkey.c.account_id.in_(ids)),
    )
    return frozenset(AccountId(one) for one in conn.scalars(found))


def find_passkey(conn: Connection, credential_id: str) -> PasskeyRow | None:
    """Return a passkey by its id; ``None``: nobody has it."""
    found = sa.select(passkey).where(passkey.c.credential_id == credential_id)
    row = conn.execute(found).one_or_none()
    return None if row is None else _passkey(row)


def read_web_secret(conn: Connection) -> bytes:
    """Return the key with which all workers sign what browsers bring back."""
    return bytes(conn.scalars(sa.select(secret.c.value).where(secret.c.name == "web")).one())


def set_totp(tx: Connection, items: Sequence[NewTotp]) -> list[None]:
    """Give accounts an authenticator app, in place of the one of before.

    Unit of work: idempotent; touches the directory.
    """
    for item in items:
        tx.execute(sa.delete(totp).where(totp.c.account_id == item.account_id))
        tx.execute(
            sa.insert(totp),
            {
                "account_id": item.account_id,
                "secret": item.secret,
                "last_step": item.last_step,
                "created_ms": item.created_ms,
            },
        )
    touch(tx, DIRECTORY)
    return [None] * len(items)


def use_totp(tx: Connection, items: Sequence[TotpUse]) -> list[bool]:
    """Use codes; gives whether each was unused, so that the log-in may go on.

    Unit of work: not idempotent; locks the row.
    """
    return [
        bool(
            tx.execute(
                sa.update(totp)
                .where(totp.c.account_id == item.account_id, totp.c.last_step < item.step)
                .values(last_step=item.step)
            ).rowcount
        )
        for item in items
    ]


def delete_totp(tx: Connection, account_ids: Sequence[AccountId]) -> list[None]:
    """Remove authenticator apps, and recovery codes where no factor is left.

    Unit of work: not idempotent; touches the directory.

    Raises:
        NoSuchFactor: an account has none.
    """
    for account_id in account_ids:
        gone = tx.execute(sa.delete(totp).where(totp.c.account_id == account_id))
        if not gone.rowcount:
            raise NoSuchFactor("the account has no authenticator app")
        _drop_idle_codes(tx, account_id)
    touch(tx, DIRECTORY)
    return [None] * len(account_ids)


def set_recovery_codes(tx: Connection, items: Sequence[NewRecoveryCodes]) -> list[None]:
    """Give accounts new recovery codes; those of before are void. Unit of work: idempotent."""
    for item in items:
        tx.execute(sa.delete(recovery_code).where(recovery_code.c.account_id == item.account_id))
        rows = [{"account_id": item.account_id, "code_hash": one} for one in item.hashes]
        tx.execute(sa.insert(recovery_code), rows)
    return [None] * len(items)


def use_recovery_code(tx: Connection, items: Sequence[RecoveryCodeUse]) -> list[bool]:
    """Use recovery codes; gives whether each was there. Unit of work: not idempotent."""
    return [
        bool(
            tx.execute(
                sa.delete(recovery_code).where(
                    recovery_code.c.account_id == item.account_id,
                    recovery_code.c.code_hash == item.code_hash,
                )
            ).rowcount
        )
        for item in items
    ]


def add_passkey(tx: Connection, items: Sequence[PasskeyRow]) -> list[None]:
    """Keep new passkeys.

    Unit of work: not idempotent; locks the row of the account, so that its passkeys are counted
    correctly; touches the directory.

    Raises:
        AlreadyExists: somebody has this passkey already.
        TooManyPasskeys: the account has too many.
    """
    for item in items:
        tx.execute(sa.select(account.c.id).where(account.c.id == item.account_id).with_for_update())
        if find_passkey(tx, item.credential_id) is not None:
            raise AlreadyExists("this passkey is registered already")
        if len(read_factors(tx, item.account_id).passkeys) >= MOST_PASSKEYS:
            raise TooManyPasskeys(f"an account can have at most {MOST_PASSKEYS} passkeys")
        tx.execute(
            sa.insert(passkey),
            {
                "credential_id": item.credential_id,
                "account_id": item.account_id,
                "public_key": item.public_key,
                "sign_count": item.sign_count,
                "name": item.name,
                "created_ms": item.created_ms,
                "last_challenge": "",
            },
        )
    touch(tx, DIRECTORY)
    return [None] * len(items)


def use_passkey(tx: Connection, items: Sequence[PasskeyUse]) -> list[bool]:
    """Note that passkeys were used; gives whether the challenge of each was a new one.

    Unit of work: not idempotent; locks the row.
    """
    return [
        bool(
            tx.execute(
                sa.update(passkey)
                .where(
                    passkey.c.credential_id == item.credential_id,
                    passkey.c.last_challenge != item.challenge,
                )
                .values(
                    sign_count=item.sign_count,
                    used_ms=item.at_ms,
                    last_challenge=item.challenge,
                )
            ).rowcount
        )
        for item in items
    ]


@value_class(frozen=True, slots=True)
class PasskeyName:
    """What ``rename_passkey`` takes."""

    account_id: AccountId
    credential_id: str
    name: str


def rename_passkey(tx: Connection, items: Sequence[PasskeyName]) -> list[None]:
    """Change names of passkeys.

    Unit of work: idempotent.

    Raises:
        NoSuchFactor: the account has no such passkey.
    """
    for item in items:
        renamed = sa.update(passkey).where(
            passkey.c.credential_id == item.credential_id,
            passkey.c.account_id == item.account_id,
        )
        if not tx.execute(renamed.values(name=item.name)).rowcount:
            raise NoSuchFactor("the account has no such passkey")
    return [None] * len(items)


@value_class(frozen=True, slots=True)
class PasskeyOf:
    """One passkey of an account: nobody removes another's by a guessed id."""

    account_id: AccountId
    credential_id: str


def remove_passkey(tx: Connection, items: Sequence[PasskeyOf]) -> list[str]:
    """Remove passkeys, and recovery codes where no factor is left; gives their names.

    Unit of work: not idempotent; touches the directory.

    Raises:
        NoSuchFactor: the account has no such passkey.
    """
    names: list[str] = []
    for item in items:
        gone = sa.delete(passkey).where(
            passkey.c.credential_id == item.credential_id,
            passkey.c.account_id == item.account_id,
        )
        name = tx.execute(gone.returning(passkey.c.name)).scalar_one_or_none()
        if name is None:
            raise NoSuchFactor("the account has no such passkey")
        names.append(name)
        _drop_idle_codes(tx, item.account_id)
    touch(tx, DIRECTORY)
    return names


def delete_second_factors_of(tx: Connection, account_ids: Sequence[AccountId]) -> list[None]:
    """Remove all second factors of accounts. Unit of work: idempotent; touches the directory."""
    for table in (totp, recovery_code, passkey, code_failure):
        tx.execute(sa.delete(table).where(table.c.account_id.in_(account_ids)))
    touch(tx, DIRECTORY)
    return [None] * len(account_ids)


def _drop_idle_codes(tx: Connection, account_id: AccountId) -> None:
    if not has_second_factor(tx, account_id):
        tx.execute(sa.delete(recovery_code).where(recovery_code.c.account_id == account_id))


def _passkey(row: sa.Row[Any]) -> PasskeyRow:
    return PasskeyRow(
        credential_id=row.credential_id,
        account_id=AccountId(row.account_id),
        public_key=bytes(row.public_key),
        sign_count=row.sign_count,
        name=row.name,
        created_ms=row.created_ms,
        used_ms=row.used_ms,
    )
