"""Upgrades of the store for operators: done, and undone."""

from __future__ import annotations

from zajil.config.options import Configuration
from zajil.core.clock import Clock
from zajil.operations.run import as_server_user
from zajil.store.engine.dialect import Progress
from zajil.store.engine.life import Upgrade, undo_store, upgrade_store
from zajil.store.engine.migrate import load_alembic


def bring_up_to_date(
    configuration: Configuration, clock: Clock, progress: Progress | None = None
) -> Upgrade | None:
    """Upgrade the tables of the store; ``None``: they are current.

    Raises:
        WrongUser: ``server.user`` is not us, and we are not root.
        StoreInUse, StoreFull, StoreUnavailable: as ``store.engine.life.upgrade_store``.
    """
    server = configuration.server
    load_alembic()
    with as_server_user(server.user):
        return upgrade_store(configuration.store, server.data_dir, clock=clock, progress=progress)


def undo_last_upgrade(
    configuration: Configuration, clock: Clock, progress: Progress | None = None
) -> Upgrade:
    """Return the tables of the store to what they were before the last upgrade.

    Raises:
        WrongUser: ``server.user`` is not us, and we are not root.
        CannotUndo: there is no upgrade that can be undone; nothing was changed.
        StoreInUse, StoreFull, StoreUnavailable: as ``store.engine.life.undo_store``.
    """
    server = configuration.server
    load_alembic()
    with as_server_user(server.user):
        return undo_store(configuration.store, server.data_dir, clock=clock, progress=progress)
