"""Open sessions, which end when their credentials are no longer valid.

A suspended or deleted account, a changed password, and a removed app password are changes of the
directory, which all workers receive within a second (``store.engine.changes``). One query then
checks all sessions of the worker.

The number of sessions per account is limited over all workers and all protocols that have sessions.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence

from zajil.core.errors import Refused
from zajil.login.account import Account
from zajil.net.limits import SessionCaps
from zajil.store.engine.batch import DIRECTORY
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.engine.reader import Snapshot
from zajil.store.people.credentials import Standing, read_standing

_RETRY_SECONDS = 1.0


class TooManySessions(Refused):
    """The account has as many sessions open as it may (``limits.sessions_per_account``)."""


class _Watched:
    """One open session."""

    __slots__ = ("account", "end")

    def __init__(self, account: Account, end: Callable[[], None]) -> None:
        self.account = account
        self.end = end


class OpenSessions:
    """The sessions of one worker.

    Args:
        store: says which log-ins hold.
        caps: count by account; ``None``: an account may have any number of sessions.
    """

    def __init__(self, store: Store, caps: SessionCaps | None = None) -> None:
        self._store = store
        self._caps = caps
        self._watched: set[_Watched] = set()
        self._due: set[_Watched] = set()
        self._task: asyncio.Task[None] | None = None
        store.changes.subscribe(DIRECTORY, self._all_are_due)

    def watch(self, account: Account, end: Callable[[], None]) -> Callable[[], None]:
        """Call ``end`` once, in the event loop, when the log-in does not hold any more.

        Returns:
            A function that ends the watch; it may be called twice.

        Raises:
            TooManySessions: nothing is watched.
        """
        key = str(account.account_id)
        if self._caps is not None and self._caps.admit(key):
            raise TooManySessions("the account has too many open sessions")
        counted = [self._caps] if self._caps is not None else []
        watched = _Watched(account, end)
        self._watched.add(watched)
        # What changed between the check of the password and now is seen by this first look.
        self._due.add(watched)
        self._look_soon()

        def unwatch() -> None:
            self._watched.discard(watched)
            if counted:
                counted.pop().forget(key)

        return unwatch

    def _all_are_due(self) -> None:
        if self._watched:
            self._due |= self._watched
            self._look_soon()

    def _look_soon(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        while self._due:
            due, self._due = self._due, set()
            accounts = [watched.account for watched in due]
            try:
                standing = await self._store.read(functools.partial(_read, accounts=accounts))
            except StoreUnavailable:
                # Nobody can change an account now either, but for one that did just before.
                self._due |= due
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            for watched in due:
                if watched in self._watched and not holds(watched.account, standing):
                    self._watched.discard(watched)
                    watched.end()


def _read(conn: Snapshot, accounts: Sequence[Account]) -> Standing:
    app_passwords = {
        account.proof.app_password_id
        for account in accounts
        if account.proof is not None and account.proof.app_password_id is not None
    }
    return read_standing(conn, {account.account_id for account in accounts}, app_passwords)


def holds(account: Account, standing: Standing) -> bool:
    """Return whether a log-in is still worth what it was."""
    own_hash = standing.active.get(account.account_id)
    if own_hash is None:
        return False
    proof = account.proof
    if proof is None or proof.password_hash is None:
        return True
    if proof.app_password_id is None:
        return own_hash == proof.password_hash
    return standing.app_passwords.get(proof.app_password_id) == proof.password_hash
