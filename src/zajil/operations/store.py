"""The store for operators: made, checked, and described in a few figures."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from zajil.config.kinds import check_postgres_address
from zajil.config.options import Configuration
from zajil.core.clock import Clock
from zajil.core.errors import Invalid
from zajil.core.units import format_size
from zajil.core.value_class import value_class
from zajil.net.system import system_random
from zajil.operations.run import as_server_user, find_user
from zajil.read.derived_check import DerivedCheck
from zajil.read.indexer import reindex
from zajil.store.engine.check_results import (
    PARTS,
    ROWS,
    CheckResult,
    load_checks,
    record_checks,
)
from zajil.store.engine.dialect import Progress, Stage
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.folder import is_served, make_folder
from zajil.store.engine.life import create_store
from zajil.store.engine.migrate import load_alembic
from zajil.store.engine.open import ORPHAN_AGE_MS, Store
from zajil.store.mail.digests import count_undigested
from zajil.store.people.accounts import list_accounts
from zajil.store.people.domains import list_domains
from zajil.store.repair.check import find_damage, repair
from zajil.store.repair.contents import (
    Contents,
    check_contents,
    count_elsewhere,
    results_of,
)
from zajil.store.repair.damage import Damage

if TYPE_CHECKING:
    from zajil.store.copy.move import MovedStore

_MOST_KEPT = 20
"""Sentences of damage that are kept."""


@value_class(frozen=True, slots=True)
class StoreCheckOptions:
    """How the store is checked."""

    repairs: bool = False
    is_quick: bool = False
    """The bytes of messages are not read."""
    reads_objects: bool = False
    """The bytes of messages in S3 are read, too."""


@value_class(frozen=True, slots=True)
class CheckReport:
    """What a check found."""

    found: Sequence[Damage]
    left: Sequence[Damage]
    """What of it is not repaired."""
    messages: int | None
    """That were read; copies count as one. ``None``: none were, as it was asked for."""
    only_sizes: int
    """Messages in S3 that were not read: their names and sizes were compared."""
    undigested: int
    """Messages whose bytes nothing is known of yet."""
    unused_objects: int | None
    """Objects in S3 and files that belong to no message and will be deleted; ``None``: it is not
    known."""

    @property
    def repaired(self) -> list[Damage]:
        """What was found and is repaired."""
        return [one for one in self.found if one not in self.left]


@value_class(frozen=True, slots=True)
class LastCheck:
    """The last check of the store."""

    at_ms: int
    faults: int
    """That were found and not repaired."""
    read_since_ms: int | None
    """Since when all messages were read; ``None``: not all were yet."""


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


class BadDatabaseAddress(Invalid):
    """It is no address of PostgreSQL."""


def copy_store(configuration: Configuration, url: str, stage: Stage) -> MovedStore:
    """Copy the store to a PostgreSQL database, for the server's user.

    Raises:
        BadDatabaseAddress: nothing was connected.
        WrongUser: ``server.user`` is not us, and we are not root.
        StoreExists, StoreInUse, StoreFull, StoreUnavailable: as ``move_store``.
    """
    from zajil.store.copy.move import move_store

    try:
        check_postgres_address(url)
    except ValueError as error:
        raise BadDatabaseAddress(f"the address of the database: {error}") from None
    load_alembic()
    with as_server_user(configuration.server.user):
        return move_store(
            configuration.store,
            configuration.server.data_dir,
            url,
            random=system_random,
            stage=stage,
        )


def check_store(
    store: Store,
    configuration: Configuration,
    clock: Clock,
    options: StoreCheckOptions,
    stage: Stage,
) -> CheckReport:
    """Find what is damaged; mend what can be mended, if asked to.

    The result is kept in the store, for alerts and `zajil status`.
    """
    data_dir = configuration.server.data_dir
    # A node elsewhere may write to a PostgreSQL database, but not to files here.
    served = is_served(data_dir)
    with stage("checking the rows") as progress:
        found = find_damage(store, is_served=served, progress=progress)
    contents, derived = None, None
    if not options.is_quick and not any(one.kind == "unreadable" for one in found):
        derived = DerivedCheck(store)
        with stage("reading the messages") as progress:
            contents = check_contents(
                store, progress, look=derived.look, with_objects=options.reads_objects
            )
        derived.look_at_index()
        found += [*contents.damage, *derived.damage]
    left = found
    if options.repairs and any(one.can_repair for one in found):
        repair(store, is_served=served)
        if derived is not None:
            derived.repair()
        with stage("checking the rows again") as progress:
            left = find_damage(store, is_served=served, progress=progress)
        left += contents.damage if contents else ()
    _record(store, clock.now_ms(), left, contents)
    full = _short_space(configuration)
    unused, foreign = (None, []) if options.is_quick else _unused_objects(store, clock)
    return CheckReport(
        found=[*found, *full, *foreign],
        left=[*left, *full, *foreign],
        messages=contents.blobs if contents else None,
        only_sizes=0 if options.reads_objects else store.read_now(count_elsewhere),
        undigested=store.read_now(count_undigested),
        unused_objects=unused,
    )


def _unused_objects(store: Store, clock: Clock) -> tuple[int | None, list[Damage]]:
    """Count what belongs to no message; or say that the prefix in S3 is another store's."""
    if not store.blobs.reads_objects:
        return None, []
    from zajil.store.blobs.garbage import count_garbage
    from zajil.store.blobs.prefix import ForeignPlace, find_strays

    try:
        strays = sum(map(len, find_strays(store, clock.now_ms() - ORPHAN_AGE_MS)))
    except ForeignPlace as error:
        advice = "give each store a prefix of its own (store.blobs)"
        return None, [Damage("foreign-place", "the prefix in S3", str(error), advice)]
    except StoreUnavailable:  # the comparison of the rows says so
        return None, []
    return store.read_now(count_garbage) + strays, []


def _short_space(configuration: Configuration) -> list[Damage]:
    data_dir = configuration.server.data_dir
    free = shutil.disk_usage(data_dir).free
    reserve = configuration.store.free_space_reserve
    if free >= reserve:
        return []
    reason = (
        f"{format_size(free)} are free, less than store.free_space_reserve, "
        f"{format_size(reserve)}: new mail is deferred"
    )
    return [Damage("no-space", str(data_dir), reason, "make room")]


def _record(store: Store, at_ms: int, left: Sequence[Damage], contents: Contents | None) -> None:
    told = [f"{one.what} {one.reason}" for one in left]
    results = [CheckResult(ROWS, at_ms, len(told), 0, tuple(told[:_MOST_KEPT]))]
    if contents is not None:
        results += results_of(contents, at_ms)
    with suppress(StoreUnavailable):  # a full disk, for one; it is no fault of the check
        store.write_now(record_checks, tuple(results))


def sweep_store(store: Store, clock: Clock) -> tuple[int, int | None]:
    """Remove files that crashes left, and find such objects in S3.

    Returns:
        How many files were removed, and how many objects will be; ``None``: none are in S3.

    Raises:
        StoreUnavailable: S3 cannot be used, or the prefix belongs to another store.
    """
    files = store.sweep()
    if not store.blobs.reads_objects:
        return files, None
    from zajil.store.blobs.prefix import sweep_objects_now

    return files, sweep_objects_now(store, clock.now_ms())


def last_check(store: Store) -> LastCheck | None:
    """Return what the last check of the store found, by the server or by an operator."""
    checks = store.read_now(load_checks)
    rows = checks.pop(ROWS, None)
    if rows is None:
        return None
    oldest = min((one.at_ms for one in checks.values()), default=None)
    return LastCheck(rows.at_ms, rows.blobs, oldest if len(checks) == PARTS else None)


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
