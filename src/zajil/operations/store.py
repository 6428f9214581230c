"""The store for operators: made, checked, and described in a few figures."""

from __future__ import annotations

import os
import shutil
from typing import Any

from zajil.config.options import Configuration
from zajil.core.units import format_size
from zajil.operations.run import as_server_user, find_user
from zajil.read.indexer import reindex
from zajil.store.engine.dialect import Progress
from zajil.store.engine.folder import is_served, make_folder
from zajil.store.engine.life import create_store
from zajil.store.engine.migrate import load_alembic
from zajil.store.engine.open import Store
from zajil.store.people.accounts import list_accounts
from zajil.store.people.domains import list_domains
from zajil.store.repair.check import find_damage, repair
from zajil.store.repair.damage import Damage


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
    load_alembic()
    with as_server_user(server.user):
        create_store(configuration.store, server.data_dir)


def check_store(
    store: Store, configuration: Configuration, *, repairs: bool, progress: Progress
) -> tuple[list[Damage], list[Damage]]:
    """Find what is damaged; mend what can be mended, if asked to.

    Returns:
        What was found, and what of it is left.
    """
    data_dir = configuration.server.data_dir
    # A node elsewhere may write to a PostgreSQL database, but not to files here.
    served = is_served(data_dir)
    found = find_damage(store, is_served=served, progress=progress)
    left = found
    if repairs and any(one.can_repair for one in found):
        repair(store, is_served=served)
        left = find_damage(store, is_served=served, progress=progress)
    free = shutil.disk_usage(data_dir).free
    reserve = configuration.store.free_space_reserve
    if free < reserve:
        full = Damage(
            "no-space",
            str(data_dir),
            f"{format_size(free)} are free, less than store.free_space_reserve, "
            f"{format_size(reserve)}: new mail is deferred",
            "make room",
        )
        return [*found, full], [*left, full]
    return found, left


def reindex_store(store: Store, progress: Progress) -> int:
    """Write summaries and index of all messages anew; return how many messages were read.

    Copies of one message count as one. The server may run meanwhile.

    Raises:
        StoreUnavailable: the rest was not done; it may be done again.
    """
    return reindex(store, progress)


def describe_store(store: Store, configuration: Configuration) -> dict[str, Any]:
    """Return the figures of what ``zajil store check --json`` prints."""
    data_dir = configuration.server.data_dir
    return {
        "database": "sqlite" if configuration.store.url == "sqlite" else "postgresql",
        "data_dir": str(data_dir),
        "free_bytes": shutil.disk_usage(data_dir).free,
        "reserve_bytes": configuration.store.free_space_reserve,
        "domains": len(store.read_now(list_domains)),
        "accounts": len(store.read_now(list_accounts)),
    }
