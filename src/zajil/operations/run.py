"""Operations for a program without an event loop: the store is opened for one command.

The server may run beside it or not.
"""

from __future__ import annotations

import asyncio
import getpass
import os
import pwd
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Concatenate, ParamSpec, TypeVar

from zajil.config.options import Configuration
from zajil.core.actor import Actor, command_line_actor
from zajil.core.clock import Clock, Random
from zajil.core.errors import Refused
from zajil.net.system import SystemClock, system_random
from zajil.operations.context import OperationContext
from zajil.store.engine.open import Store, open_store
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.caps import make_caps

P = ParamSpec("P")
R = TypeVar("R")


class WrongUser(Refused):
    """The store belongs to another user of this machine; the text names that user."""


class Runner:
    """Runs operations one after the other, as one actor."""

    def __init__(self, context: OperationContext, actor: Actor) -> None:
        self.context = context
        self.actor = actor
        self.store = context.store

    def run(
        self,
        operation: Callable[Concatenate[OperationContext, Actor, P], Coroutine[Any, Any, R]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Return the result of an operation, in an event loop of its own.

        Raises:
            StoreUnavailable: it may or may not be on disk.
        """
        return asyncio.run(operation(self.context, self.actor, *args, **kwargs))

    def run_started(
        self,
        operation: Callable[Concatenate[OperationContext, Actor, P], Coroutine[Any, Any, R]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        """Return the result of an operation that needs a store as the server has it.

        The store is started for it and closed afterwards: it is the last operation of the runner.

        Raises:
            StoreUnavailable: it may or may not be on disk.
        """

        async def run() -> R:
            self.store.start(asyncio.get_running_loop())
            try:
                started = replace(self.context, at_once=False)
                return await operation(started, self.actor, *args, **kwargs)
            finally:
                await self.store.close()

        return asyncio.run(run())

    def read(self, query: Callable[[Snapshot], R]) -> R:
        """Return the result of a query on a snapshot.

        Raises:
            StoreUnavailable: the database cannot be read now.
        """
        return self.store.read_now(query)


@contextmanager
def open_runner(configuration: Configuration) -> Iterator[Runner]:
    """Open the store for operations of the command line.

    Raises:
        WrongUser, StoreUnavailable: as ``open_admin_store``.
    """
    with open_admin_store(configuration) as store:
        yield make_runner(store, SystemClock(), system_random)


def make_runner(store: Store, clock: Clock, random: Random) -> Runner:
    """Return a runner of the command line's user, on a store that is open and not started."""
    context = OperationContext(store, clock, random, at_once=True)
    return Runner(context, command_line_actor(operator_name()))


def operator_name() -> str:
    """Return the name of the user that runs this program."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "operator"


@contextmanager
def open_admin_store(configuration: Configuration) -> Iterator[Store]:
    """Open the store as the user that the server runs as, and close it at the end.

    Raises:
        WrongUser: this program runs neither as ``server.user`` nor as root.
        StoreUnavailable: it cannot be reached; the text is for the operator.
    """
    with as_server_user(configuration.server.user):
        store = open_store(
            configuration.store,
            configuration.server.data_dir,
            clock=SystemClock(),
            random=system_random,
            caps=make_caps(configuration.limits, configuration.mail),
        )
        try:
            yield store
        finally:
            store.close_now()


@contextmanager
def as_server_user(user: str | None) -> Iterator[None]:
    """Become the user that the server runs as, so that no file of the store belongs to another.

    Raises:
        WrongUser: there is no such user, or this program may not become it.
    """
    entry = None if user is None else find_user(user)
    before = os.geteuid(), os.getegid()
    if entry is None or before[0] == entry.pw_uid:
        yield
        return
    if before[0] != 0:
        raise WrongUser(f"the store belongs to the user {user}; run this as {user} or as root")
    os.setegid(entry.pw_gid)
    os.seteuid(entry.pw_uid)
    try:
        yield
    finally:
        os.seteuid(before[0])
        os.setegid(before[1])


def find_user(user: str) -> pwd.struct_passwd:
    """Return the entry of a user of this machine.

    Raises:
        WrongUser: there is no such user.
    """
    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise WrongUser(f"server.user: user {user} does not exist") from None
