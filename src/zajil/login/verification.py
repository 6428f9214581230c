"""What was typed, against what an account has: its password, app passwords, a directory.

Laws:
- Whatever fails, fails after one computation (``login.passwords``). For people of a directory the
  question to it comes in addition, so its time tells that they are there.
- The directory is asked for the person that the account is linked with, by an id that it gave us:
  nothing that was typed gets into a filter or a name.
- A directory that is away says neither yes nor no: the client is told to come again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from zajil.core.app_password import AppPassword, Scope, read_app_password
from zajil.core.errors import Refused
from zajil.core.ids import AccountId
from zajil.core.password import IN_DIRECTORY
from zajil.login.account import Origin, Proof
from zajil.login.foreign_hashes import is_foreign
from zajil.login.passwords import Passwords
from zajil.login.throttle import throttled_network
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.engine.reader import Snapshot
from zajil.store.people.accounts import (
    AccountRow,
    BetterHash,
    find_by_prepared_login,
    replace_hash,
)
from zajil.store.people.app_passwords import AppPasswordRow, find_app_password
from zajil.store.people.identities import LDAP, identities_of
from zajil.store.people.second_factors import has_second_factor


class AppPasswordNeeded(Refused):
    """The password is right, but a second factor is needed, which a program cannot ask."""


class PersonPasswords(Protocol):
    """Knows the passwords of people of a directory: ``login.directory.ldap.LdapPasswords``."""

    @property
    def remember_ms(self) -> int:
        """How long a right answer may be believed."""

    async def check(self, subject: str, password: str) -> bool:
        """Return whether it is the password of a person.

        Raises:
            JudgeUnavailable: the answer is not known now.
        """


@dataclass(frozen=True, slots=True)
class Wrong:
    """Nobody's password."""

    is_lasting: bool = True
    """Stays wrong until something changes here: a password of a directory changes elsewhere."""


@dataclass(frozen=True, slots=True)
class Verified:
    """Whose password it is."""

    row: AccountRow
    proof: Proof
    app: AppPasswordRow | None
    """``None``: it was the account's own password."""
    remember_ms: int | None = None
    """How long this may be believed; ``None``: until anything changes here."""


@dataclass(frozen=True, slots=True)
class _Found:
    row: AccountRow | None
    app: AppPasswordRow | None = None
    is_guarded: bool = False
    """The account has a second factor."""
    subject: str | None = None
    """Who it is in the directory, if its password is there."""


class Verifier:
    """Finds out whose a password is.

    Args:
        store: accounts and app passwords.
        passwords: computes.
        directory: knows the passwords of its people; ``None``: there is none.
        needs_factor: no password alone opens a mail program, whatever the account has.
    """

    def __init__(
        self,
        store: Store,
        passwords: Passwords,
        directory: PersonPasswords | None,
        *,
        needs_factor: bool = False,
    ) -> None:
        self._needs_factor = needs_factor
        self._store = store
        self._passwords = passwords
        self._directory = directory

    async def verify(self, name: str, secret: str | None, origin: Origin) -> Verified | Wrong:
        """Look the name up and compute once.

        Args:
            name: prepared; empty: nobody's.
            secret: prepared; ``None``: not a possible password.
            origin: from where; its service decides which app passwords count.

        Raises:
            AppPasswordNeeded: both are right, and the account has a second factor.
            JudgeUnavailable: the password is in a directory that cannot be asked now.
        """
        scope, network = origin.scope, throttled_network(origin.peer)
        typed = read_app_password(secret) if secret is not None and scope is not None else None
        found = await self._store.read(lambda conn: _look_up(conn, name, typed))
        row, app = found.row, found.app
        if typed is not None and app is not None:
            right = await self._passwords.verify(app.password_hash, typed.text, network)
            right = right and scope is not None and app.scope.covers(scope)
        else:
            known = row.password_hash if row is not None and secret is not None else None
            right = await self._passwords.verify(known, secret or "", network)
            if row is not None and row.active and found.subject is not None:
                return await self._ask_directory(found, row, secret or "", scope)
        if not right or row is None or not row.active:
            return Wrong()
        if app is not None:
            return Verified(row, Proof(app.password_hash, app.app_password_id), app)
        if is_foreign(row.password_hash):
            row = await self._improve_hash(row, secret or "")
        self._refuse_alone(found, scope)
        return Verified(row, Proof(row.password_hash), None)

    async def _ask_directory(
        self, found: _Found, row: AccountRow, secret: str, scope: Scope | None
    ) -> Verified | Wrong:
        directory = self._directory
        if directory is None or not secret or found.subject is None:
            return Wrong(is_lasting=False)
        if not await directory.check(found.subject, secret):
            return Wrong(is_lasting=False)
        self._refuse_alone(found, scope)
        return Verified(row, Proof(row.password_hash), None, directory.remember_ms)

    def _refuse_alone(self, found: _Found, scope: Scope | None) -> None:
        if scope is None:
            return
        if found.is_guarded:
            raise AppPasswordNeeded("the account has a second factor: an app password is needed")
        if self._needs_factor:
            raise AppPasswordNeeded("login.second_step_required: an app password is needed")

    async def _improve_hash(self, row: AccountRow, secret: str) -> AccountRow:
        """Replace a hash of another program by ours, now that the password is known."""
        after = await self._passwords.hash(secret)
        try:
            order = BetterHash(row.account_id, row.password_hash, after)
            replaced = await self._store.write(replace_hash, order)
        except StoreUnavailable:
            return row  # the next log-in tries again
        return replace(row, password_hash=after) if replaced else row


def _look_up(conn: Snapshot, name: str, typed: AppPassword | None) -> _Found:
    row = find_by_prepared_login(conn, name)
    account_id = row.account_id if row else AccountId(0)  # nobody's: it takes as long
    is_guarded = has_second_factor(conn, account_id)
    subject = None
    if row is not None and row.password_hash == IN_DIRECTORY:
        own = [one.subject for one in identities_of(conn, account_id) if one.source == LDAP]
        subject = own[0] if own else None
    app = None
    if typed is not None:
        app = find_app_password(conn, row.account_id if row else None, typed.label)
    return _Found(row, app, is_guarded, subject)
