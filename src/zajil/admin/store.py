"""The store for operators: made, upgraded, and described in a few figures."""

from __future__ import annotations

import os
import shutil
from typing import Any

from zajil.admin.open import as_server_user, find_user
from zajil.config.options import Configuration
from zajil.core.clock import Clock
from zajil.store.accounts import list_accounts
from zajil.store.dialect import Progress
from zajil.store.domains import list_domains
from zajil.store.folder import make_folder
from zajil.store.life import Upgrade, create_store, upgrade_store
from zajil.store.open import Store


def make_store(configuration: Configuration) -> None:
    """Make an empty store for the server's user, and the data folder where it is missing.

    Raises:
        WrongUser: ``server.user`` is not us, and we are not root.
        StoreExists: there is a store already; nothing was changed.
        StoreUnavailable: it cannot be made.
    """
    server = configuration.server
    if not server.data_dir.exists() and os.geteuid() == 0 and server.user is not None:
        # The folder above is root's as a rule.
        entry = find_user(server.user)
        make_folder(server.data_dir)
        for path in (server.data_dir, server.data_dir / "blobs"):
            os.chown(path, entry.pw_uid, entry.pw_gid)
    with as_server_user(server.user):
        create_store(configuration.store, server.data_dir)


def bring_up_to_date(
    configuration: Configuration, clock: Clock, progress: Progress | None = None
) -> Upgrade | None:
    """Upgrade the tables of the store; ``None``: they are current.

    Raises:
        WrongUser: ``server.user`` is not us, and we are not root.
        StoreInUse, StoreFull, StoreUnavailable: as ``store.life.upgrade_store``.
    """
    server = configuration.server
    with as_server_user(server.user):
        return upgrade_store(configuration.store, server.data_dir, clock=clock, progress=progress)


def describe_store(store: Store, configuration: Configuration) -> dict[str, Any]:
    """Give what ``zajil store check --json`` prints."""
    data_dir = configuration.server.data_dir
    return {
        "database": "sqlite" if configuration.store.url == "sqlite" else "postgresql",
        "data_dir": str(data_dir),
        "free_bytes": shutil.disk_usage(data_dir).free,
        "reserve_bytes": configuration.store.free_space_reserve,
        "domains": len(store.read_now(list_domains)),
        "accounts": len(store.read_now(list_accounts)),
    }
