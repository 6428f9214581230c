"""The life of a store: made once, prepared for a server, upgraded with a copy kept.

None of these leaves anything open.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from sqlalchemy.engine import Connection

from zajil.config.options_s3 import is_s3
from zajil.config.options_server import StoreOptions
from zajil.core.clock import Clock
from zajil.core.ids import NodeId
from zajil.core.units import format_size
from zajil.core.value_class import value_class
from zajil.store.blobs.opening import CACHE, open_cache
from zajil.store.blobs.used_keys import require_keys
from zajil.store.engine.dialect import Dialect, Progress
from zajil.store.engine.errors import FilesOfOneNode, StoreFull, StoreUnavailable
from zajil.store.engine.folder import (
    claim_folder,
    close_to_others,
    make_folder,
    server_lock,
    sync_folder,
)
from zajil.store.engine.migrate import (
    Schema,
    create_tables,
    examine,
    told_in_one_sentence,
)
from zajil.store.engine.node import load_node_id, own_facts, own_node_id
from zajil.store.engine.nodes import enter_node, has_local_files, has_other_nodes, stop_node
from zajil.store.engine.open import Store, make_dialect, open_store
from zajil.store.queue.queue import FreeLeases, free_leases

COPIES = "before-upgrade"
"""Folder of the copies, below the data folder."""


@value_class(frozen=True, slots=True)
class Upgrade:
    """What an upgrade did."""

    found: str
    """Schema of before."""
    needed: str
    """Schema of now; ``found``: nothing was done."""
    copy: Path | None
    """The store as it was; ``None``: PostgreSQL, of which no copy is made."""
    waits: str = ""
    """Nodes of older versions for whose end the rest waits; ``""``: all is done."""


@value_class(frozen=True, slots=True)
class Prepared:
    """What was done before a server started."""

    upgrade: Upgrade | None
    """``None``: the tables were current."""
    closed: list[Path]
    """Paths that others on this machine could read until now."""
    has_new_node_id: bool
    """Another server uses the database under the id of this node: the data folder was copied."""
    start_ms: int
    """Tells this start from others of the node; 0 with SQLite."""


def create_store(options: StoreOptions, data_dir: Path) -> None:
    """Make an empty store, and the data folder where it is missing.

    Raises:
        StoreExists: there is one already; nothing was changed.
        StoreUnavailable: the database or the folder cannot be made.
    """
    make_folder(data_dir)
    load_node_id(data_dir, os.urandom)
    with _dialect(options, data_dir) as dialect:
        create_tables(dialect)


def upgrade_store(
    options: StoreOptions, data_dir: Path, *, clock: Clock, progress: Progress | None = None
) -> Upgrade | None:
    """Bring the tables up to date; a SQLite database is copied first, and the copy stays.

    With PostgreSQL, nodes may be running (``store.engine.rolling``).

    Args:
        options: where the rows are.
        data_dir: where the files are.
        clock: names the copy.
        progress: told of the copy's.

    Returns:
        What was done; ``None``: nothing was to do.

    Raises:
        StoreInUse: a server or another program uses the store; nothing was changed.
        StoreFull: there is no space for the copy; nothing was changed.
        NoStore, WrongSchema, StoreUnavailable: as ``open_store``.
    """
    claim_folder(data_dir)
    with ExitStack() as stack:
        if not _is_rolling(options, data_dir):
            stack.enter_context(server_lock(data_dir))
        return _upgrade(options, data_dir, clock, progress or _ignore, None)


def undo_store(
    options: StoreOptions, data_dir: Path, *, clock: Clock, progress: Progress | None = None
) -> Upgrade:
    """Undo the last upgrade; a SQLite database is copied first, as before an upgrade.

    Mail that was received since stays.

    Returns:
        What was done: ``found`` is the schema of now, ``needed`` the one of before.

    Raises:
        CannotUndo: there is no upgrade that can be undone; nothing was changed.
        StoreInUse, StoreFull, NoStore, WrongSchema, StoreUnavailable: as ``upgrade_store``.
    """
    claim_folder(data_dir)
    from zajil.store.engine.rolling import undo_tables

    with server_lock(data_dir), _dialect(options, data_dir) as dialect:
        keeper = _CopyKeeper(dialect, options, data_dir, clock, progress or _ignore)
        with keeper.needed_on_success():
            schema = undo_tables(dialect, keeper.keep)
        return Upgrade(schema.found, schema.needed, keeper.path)


def prepare_store(
    options: StoreOptions, data_dir: Path, *, clock: Clock, largest_message: int = 0
) -> Prepared:
    """Make a store ready for the workers of a server, which holds the lock of its folder.

    Tightens permissions, upgrades the tables, sees that no other node has this node's id, enters it
    among the nodes, removes files and leases that a crash left.

    Args:
        options: where the rows are.
        data_dir: where the files are.
        clock: the time.
        largest_message: bytes that a message may have.

    Raises:
        FilesOfOneNode: another node keeps messages in files that this one cannot read.
        StoreInUse, StoreFull, NoStore, WrongSchema, StoreUnavailable: as ``upgrade_store``.
        BadStoreKey: a key is missing that messages are encrypted with.
    """
    claim_folder(data_dir)
    closed = close_to_others(data_dir)
    upgrade = _upgrade(options, data_dir, clock, _ignore, load_node_id(data_dir, os.urandom))
    with _command_store(options, data_dir, clock) as store:
        # Before the node enters: it says when it started that it encrypts with the key of now.
        require_keys(store)
    with _dialect(options, data_dir) as dialect, told_in_one_sentence(dialect):
        node_id, is_new = own_node_id(dialect, data_dir, os.urandom)
        check = partial(
            _require_shared_files,
            node_id=node_id,
            options=options,
            largest_message=largest_message,
        )
        with dialect.reader.connect() as conn:
            had_others = check(conn)  # it may read all rows, for which nobody shall wait

        def require(conn: Connection) -> None:
            if not had_others:
                check(conn)

        start_ms = enter_node(dialect, node_id, own_facts(), clock.now_ms(), require=require)
    with _command_store(options, data_dir, clock) as store:
        if options.has_s3:
            _prepare_objects(store, options)
        if (data_dir / CACHE).is_dir():
            open_cache(options, data_dir, store.require_space).remove_stale()
        store.sweep()
        # No worker of this node lives, because its lock is ours: what they held is free. Else mail
        # waited for the end of a lease, where fewer workers start than were killed.
        with suppress(StoreUnavailable):  # a full disk is no reason not to start
            store.write_now(free_leases, FreeLeases(f"{store.node_id}/", clock.now_ms()))
    return Prepared(upgrade, closed, is_new, start_ms)


def _prepare_objects(store: Store, options: StoreOptions) -> None:
    # Imported here: before the fork, so that workers share it and no mail waits for it; and a
    # store without S3 needs none of it.
    import zajil.store.blobs.objects  # noqa: F401
    from zajil.store.blobs.prefix import remember_place

    remember_place(store, options)


def leave_store(options: StoreOptions, data_dir: Path, start_ms: int) -> None:
    """Note that a server has ended: its node is not gone, and nobody takes over its work.

    Args:
        options: where the rows are.
        data_dir: where the files are.
        start_ms: what ``prepare_store`` returned.

    Raises:
        StoreUnavailable: the database cannot be reached; the others notice it by themselves.
    """
    with _dialect(options, data_dir) as dialect, told_in_one_sentence(dialect):
        stop_node(dialect, load_node_id(data_dir, os.urandom), start_ms)


def _require_shared_files(
    conn: Connection, *, node_id: NodeId, options: StoreOptions, largest_message: int
) -> bool:
    """See that a second node can read all messages, and return whether there is another one.

    Raises:
        FilesOfOneNode: it cannot.
    """
    if not has_other_nodes(conn, node_id):
        return False
    writes_files = not is_s3(options.blobs) and options.inline_limit < largest_message
    if writes_files or has_local_files(conn):
        raise FilesOfOneNode(
            "this store has another node, and store.blobs keeps large messages in files of one "
            "node, which others cannot read: set store.blobs to an S3 bucket on all nodes and "
            "run `zajil store move-blobs` on the node that has the files, then start this one"
        )
    return True


def _is_rolling(options: StoreOptions, data_dir: Path) -> bool:
    """Return whether the tables can be upgraded while servers run."""
    if options.url == "sqlite":
        return False
    from zajil.store.engine.rolling import FIRST_ROLLING

    with _dialect(options, data_dir) as dialect:
        return examine(dialect).found >= FIRST_ROLLING


def _upgrade(
    options: StoreOptions, data_dir: Path, clock: Clock, progress: Progress, own: NodeId | None
) -> Upgrade | None:
    with _dialect(options, data_dir) as dialect:
        if examine(dialect).is_current:
            return None
        # Imported here: most starts upgrade nothing.
        from zajil.store.engine.rolling import tell_nodes, upgrade_tables

        keeper = _CopyKeeper(dialect, options, data_dir, clock, progress)
        with keeper.needed_on_success():
            done = upgrade_tables(dialect, keeper.keep, own)
    if done is None:
        return None
    return Upgrade(done.found, done.reached, keeper.path, tell_nodes(done.waits))


class _CopyKeeper:
    """Copies the database before its tables are changed, where it can be copied."""

    def __init__(
        self,
        dialect: Dialect,
        options: StoreOptions,
        data_dir: Path,
        clock: Clock,
        progress: Progress,
    ) -> None:
        self._dialect, self._data_dir, self._progress = dialect, data_dir, progress
        self._reserve = options.free_space_reserve
        self._at = datetime.fromtimestamp(clock.now_ms() / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
        self.path: Path | None = None
        """The copy; ``None``: none was made."""

    def keep(self, conn: Connection, schema: Schema) -> None:
        """Make the copy; an unfinished one has another name, and is removed by the next one."""
        size = self._dialect.size(conn)
        if not size:
            return
        folder = self._data_dir / COPIES
        for unfinished in folder.glob("*.part"):
            unfinished.unlink()
        what = "the copy of the store before its upgrade"
        require_space(self._data_dir, size, self._reserve, what)
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / f"store-{schema.found}-{self._at}.sqlite"
        part = path.with_suffix(".part")
        try:
            self._dialect.copy_to(conn, part, self._progress)
            part.rename(path)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
        sync_folder(folder)
        self.path = path

    @contextmanager
    def needed_on_success(self) -> Iterator[None]:
        """Remove the copy if the block fails: the store is unchanged, and a server that is started
        again and again would fill the disk with copies."""
        try:
            yield
        except BaseException:
            if self.path is not None:
                with suppress(OSError):
                    self.path.unlink()
            raise


def _ignore(_done: int, _total: int) -> None:
    pass


def require_space(folder: Path, size: int, reserve: int, what: str) -> None:
    """See that a copy of the database has space.

    Raises:
        StoreFull: less than its size and the reserve are free.
    """
    free = shutil.disk_usage(folder).free
    if free < size + reserve:
        raise StoreFull(
            f"{what} takes {format_size(size)}, and store.free_space_reserve is "
            f"{format_size(reserve)}; {format_size(free)} are free in {folder}"
        )


@contextmanager
def _command_store(options: StoreOptions, data_dir: Path, clock: Clock) -> Iterator[Store]:
    store = open_store(options, data_dir, clock=clock, random=os.urandom)
    try:
        yield store
    finally:
        store.close_now()


@contextmanager
def _dialect(options: StoreOptions, data_dir: Path) -> Iterator[Dialect]:
    dialect = make_dialect(options, data_dir)
    try:
        yield dialect
    finally:
        dialect.close()
