"""The store for the time of one command, beside a running server or without one."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager

from zajil.config.options import Configuration
from zajil.core.errors import Refused
from zajil.net.system import SystemClock, system_random
from zajil.store.engine.open import Store, open_store


class WrongUser(Refused):
    """The store belongs to somebody else on this machine; the text says to whom."""


@contextmanager
def open_admin_store(configuration: Configuration) -> Iterator[Store]:
    """Open the store as the server's user would, made if there is none; closed at the end.

    Raises:
        WrongUser: ``server.user`` is not us, and we are not root.
        StoreUnavailable: it cannot be reached; the text is for the operator.
    """
    with as_server_user(configuration.server.user):
        store = open_store(
            configuration.store,
            configuration.server.data_dir,
            clock=SystemClock(),
            random=system_random,
        )
        try:
            yield store
        finally:
            store.close_now()


@contextmanager
def as_server_user(user: str | None) -> Iterator[None]:
    """Be the user that the server runs as, so that no file of the store belongs to another.

    Raises:
        WrongUser: there is no such user, or we may not become it.
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
    """Give the machine's entry of a user.

    Raises:
        WrongUser: there is none.
    """
    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise WrongUser(f"server.user: there is no user {user} on this machine") from None
