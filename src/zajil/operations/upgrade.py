"""Upgrades of the store for operators: tried on a copy, done, and undone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from zajil.config.options import Configuration
from zajil.core.clock import Clock
from zajil.core.value_class import value_class
from zajil.operations.run import as_server_user
from zajil.store.engine.dialect import Progress, Stage
from zajil.store.engine.life import Upgrade, undo_store, upgrade_store
from zajil.store.engine.migrate import load_alembic
from zajil.store.engine.open import open_store
from zajil.store.engine.rehearsal import RehearsedMigration, copied_store, migrate_copy
from zajil.store.engine.rolling import FIRST_ROLLING
from zajil.store.repair.check import find_damage_in_copy
from zajil.store.repair.damage import Damage


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


@value_class(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What an upgrade did to a copy of the store."""

    found: str
    """Schema of the store."""
    needed: str
    """Schema that this program needs; the same: there is nothing to upgrade."""
    migrations: Sequence[RehearsedMigration]
    size: int
    """Bytes of the database."""
    space: int
    """Bytes that the upgrade needs beside it, without the reserve."""
    seconds: float
    """That the upgrade takes, as it took here."""
    is_rolling: bool
    """The upgrade can be made while nodes run."""
    makes_copy: bool
    """The upgrade copies the database first."""
    damage: Sequence[Damage]
    """Of the copy after the upgrade."""


def rehearse_upgrade(
    configuration: Configuration, clock: Clock, place: Path | None, stage: Stage
) -> Rehearsal:
    """Copy the database, upgrade and check the copy, and remove it. The server may run.

    Args:
        configuration: of the server.
        clock: of the store.
        place: folder of the copy; ``None``: the data folder.
        stage: told of the parts of the work.

    Raises:
        WrongUser: ``server.user`` is not us, and we are not root.
        StoreFull, StoreInUse, StoreUnavailable: as ``store.engine.rehearsal.copied_store``.
    """
    server = configuration.server
    load_alembic()
    with (
        as_server_user(server.user),
        stage("copying the store") as copying,
        copied_store(
            configuration.store, server.data_dir, place or server.data_dir, copying
        ) as copy,
    ):
        with stage("upgrading the copy") as upgrading:
            migrations, growth = migrate_copy(copy, upgrading)
        with stage("checking the copy") as checking:
            store = open_store(copy.options, copy.folder, clock=clock, random=os.urandom)
            try:
                damage = find_damage_in_copy(store, checking)
            finally:
                store.close_now()
        seconds = sum(one.seconds for one in migrations)
        return Rehearsal(
            found=copy.schema.found,
            needed=copy.schema.needed,
            migrations=migrations,
            size=copy.size,
            space=growth + (copy.size if copy.is_copied_first else 0),
            seconds=seconds + (copy.seconds if copy.is_copied_first else 0),
            is_rolling=copy.dialect.is_shared and copy.schema.found >= FIRST_ROLLING,
            makes_copy=copy.is_copied_first,
            damage=damage,
        )
