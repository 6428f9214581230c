"""Second factors: add, use, rename and remove; an administrator may remove all of an account."""

from __future__ import annotations

from dataclasses import dataclass

from zajil.core.actor import Actor
from zajil.core.errors import AlreadyExists, Invalid, Refused
from zajil.login.one_time_codes import (
    hash_recovery_code,
    is_secret,
    new_recovery_codes,
    step_of_code,
)
from zajil.operations.accounts import find_account
from zajil.operations.authority import require_owner_or_admin
from zajil.operations.context import OperationContext, Recorded, require_owner
from zajil.store.engine.writer import Transaction
from zajil.store.people.accounts import AccountRow
from zajil.store.people.second_factors import (
    NewRecoveryCodes,
    NewTotp,
    PasskeyName,
    PasskeyOf,
    PasskeyRow,
    add_passkey,
    delete_second_factors_of,
    delete_totp,
    read_factors,
    remove_passkey,
    rename_passkey,
    set_recovery_codes,
    set_totp,
)
from zajil.tracking.audit import SecondFactorChanged

LONGEST_NAME = 64
"""Characters of the name of a passkey."""


class WrongCode(Invalid, ValueError):
    """The code is not that of the authenticator app now."""


class BadPasskeyName(Invalid, ValueError):
    """The name of a passkey is empty, too long, or has control characters."""


class NoSecondFactor(Refused):
    """The account has no second factor that recovery codes could stand in for."""


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """A passkey whose registration was verified."""

    credential_id: str
    """In base64url without padding."""
    public_key: bytes
    """COSE key."""
    sign_count: int
    name: str


async def add_totp(
    context: OperationContext, actor: Actor, login_or_address: str, secret: str, code: str
) -> tuple[str, ...]:
    """Add an authenticator app, once it shows the right code.

    Returns:
        New recovery codes, which can be shown only now; empty: the account has some already.

    Raises:
        NotAllowed: neither the owner nor an administrator asks.
        NoSuchAccount: there is no such account.
        WrongCode: the code does not belong to the secret, or the secret is none of ours.
        AlreadyExists: the account has an authenticator app; it must be removed first.
    """
    step = step_of_code(secret, code, context.clock.now_ms()) if is_secret(secret) else None
    if step is None:
        raise WrongCode("the code is not right")
    by, now_ms = context.stamp(actor), context.clock.now_ms()
    codes = new_recovery_codes(context.random)

    def work(tx: Transaction) -> Recorded[tuple[str, ...]]:
        row = find_account(tx, login_or_address)
        require_owner(actor, row.account_id)
        factors = read_factors(tx, row.account_id)
        if factors.totp is not None:
            raise AlreadyExists("the account has an authenticator app already")
        set_totp(tx, [NewTotp(row.account_id, secret, step, now_ms)])
        given = _give_codes(tx, row, codes) if not factors.recovery_codes else ()
        return given, [SecondFactorChanged(*by, row.account_id, row.login, "totp.added", "")]

    return await context.change(work)


async def remove_totp(context: OperationContext, actor: Actor, login_or_address: str) -> AccountRow:
    """Remove the authenticator app; returns the account.

    Raises:
        NotAllowed: neither the owner nor an administrator asks.
        NoSuchAccount, NoSuchFactor: there is no such account or app.
    """
    by = context.stamp(actor)

    def work(tx: Transaction) -> Recorded[AccountRow]:
        row = find_account(tx, login_or_address)
        require_owner(actor, row.account_id)
        delete_totp(tx, [row.account_id])
        return row, [SecondFactorChanged(*by, row.account_id, row.login, "totp.removed", "")]

    return await context.change(work)


async def renew_recovery_codes(
    context: OperationContext, actor: Actor, login_or_address: str
) -> tuple[str, ...]:
    """Make new recovery codes, which can be shown only now; those of before are void.

    Raises:
        NotAllowed: neither the owner nor an administrator asks.
        NoSuchAccount: there is no such account.
        NoSecondFactor: it has none.
    """
    by, codes = context.stamp(actor), new_recovery_codes(context.random)

    def work(tx: Transaction) -> Recorded[tuple[str, ...]]:
        row = find_account(tx, login_or_address)
        require_owner(actor, row.account_id)
        if not read_factors(tx, row.account_id).any:
            raise NoSecondFactor("the account has no second factor")
        given = _give_codes(tx, row, codes)
        return given, [SecondFactorChanged(*by, row.account_id, row.login, "codes.made", "")]

    return await context.change(work)


async def register_passkey(
    context: OperationContext, actor: Actor, login_or_address: str, new: NewPasskey
) -> tuple[str, ...]:
    """Add a passkey.

    Returns:
        New recovery codes, which can be shown only now; empty: the account has some already.

    Raises:
        NotAllowed: neither the owner nor an administrator asks.
        NoSuchAccount: there is no such account.
        BadPasskeyName: as it says.
        AlreadyExists, TooManyPasskeys: as ``store.people.second_factors.add_passkey``.
    """
    name = _clean_name(new.name)
    by, now_ms = context.stamp(actor), context.clock.now_ms()
    codes = new_recovery_codes(context.random)

    def work(tx: Transaction) -> Recorded[tuple[str, ...]]:
        row = find_account(tx, login_or_address)
        require_owner(actor, row.account_id)
        kept = PasskeyRow(
            credential_id=new.credential_id,
            account_id=row.account_id,
            public_key=new.public_key,
            sign_count=new.sign_count,
            name=name,
            created_ms=now_ms,
        )
        add_passkey(tx, [kept])
        missing = not read_factors(tx, row.account_id).recovery_codes
        given = _give_codes(tx, row, codes) if missing else ()
        return given, [SecondFactorChanged(*by, row.account_id, row.login, "passkey.added", name)]

    return await context.change(work)


async def name_passkey(
    context: OperationContext, actor: Actor, login_or_address: str, credential_id: str, name: str
) -> AccountRow:
    """Give a passkey another name; returns the account.

    Raises:
        NotAllowed: neither the owner nor an administrator asks.
        NoSuchAccount, NoSuchFactor: there is no such account or passkey.
        BadPasskeyName: as it says.
    """
    by, clean = context.stamp(actor), _clean_name(name)

    def work(tx: Transaction) -> Recorded[AccountRow]:
        row = find_account(tx, login_or_address)
        require_owner(actor, row.account_id)
        rename_passkey(tx, [PasskeyName(row.account_id, credential_id, clean)])
        event = SecondFactorChanged(*by, row.account_id, row.login, "passkey.renamed", clean)
        return row, [event]

    return await context.change(work)


async def forget_passkey(
    context: OperationContext, actor: Actor, login_or_address: str, credential_id: str
) -> AccountRow:
    """Remove a passkey; returns the account.

    Raises:
        NotAllowed: neither the owner nor an administrator asks.
        NoSuchAccount, NoSuchFactor: there is no such account or passkey.
    """
    by = context.stamp(actor)

    def work(tx: Transaction) -> Recorded[AccountRow]:
        row = find_account(tx, login_or_address)
        require_owner(actor, row.account_id)
        (name,) = remove_passkey(tx, [PasskeyOf(row.account_id, credential_id)])
        event = SecondFactorChanged(*by, row.account_id, row.login, "passkey.removed", name)
        return row, [event]

    return await context.change(work)


async def reset_second_factors(
    context: OperationContext, actor: Actor, login_or_address: str
) -> AccountRow:
    """Remove all second factors of an account whose owner lost them; returns the account.

    Raises:
        NotAllowed: neither the owner nor an administrator asks.
        NoSuchAccount: there is no such account.
        NoSecondFactor: it has none.
    """
    by = context.stamp(actor)

    def work(tx: Transaction) -> Recorded[AccountRow]:
        row = find_account(tx, login_or_address)
        require_owner_or_admin(tx, actor, row)
        if not read_factors(tx, row.account_id).any:
            raise NoSecondFactor(f"the account {row.login} has no second factor")
        delete_second_factors_of(tx, [row.account_id])
        return row, [SecondFactorChanged(*by, row.account_id, row.login, "reset", "")]

    return await context.change(work)


def _give_codes(tx: Transaction, row: AccountRow, codes: tuple[str, ...]) -> tuple[str, ...]:
    hashes = tuple(hash_recovery_code(code) for code in codes)
    set_recovery_codes(tx, [NewRecoveryCodes(row.account_id, hashes)])
    return codes


def _clean_name(name: str) -> str:
    clean = " ".join(name.split())
    if not clean or len(clean) > LONGEST_NAME or not clean.isprintable():
        raise BadPasskeyName(f"a name has 1 to {LONGEST_NAME} printable characters")
    return clean
