"""Backups of the server: where they go, which files belong to them, how they are restored."""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from zajil.config.options import Configuration
from zajil.config.options_backup import BackupOptions
from zajil.core.clock import Clock
from zajil.core.errors import AlreadyExists, Invalid, Unavailable
from zajil.core.value_class import value_class
from zajil.net.system import SystemClock
from zajil.operations.run import as_server_user, find_user, open_admin_store
from zajil.store.backup.create import Created, FileContent, create_snapshot
from zajil.store.backup.lock import TargetLock
from zajil.store.backup.manifest import SavedFile
from zajil.store.backup.prune import Pruned, prune_target
from zajil.store.backup.read import Snapshot, choose_snapshot, open_snapshot
from zajil.store.backup.restore import RestoredStore, restore_store
from zajil.store.backup.s3 import S3Target, is_s3
from zajil.store.backup.seal import BackupSeal, new_key_text, read_key
from zajil.store.backup.target import BackupTarget, FolderTarget
from zajil.store.backup.verify import BackupVerifier, VerifiedBackup, remove_damaged
from zajil.store.engine.dialect import Progress
from zajil.store.engine.folder import new_private_file, sync_folder
from zajil.store.engine.migrate import load_alembic
from zajil.store.engine.node import NODE_FILE
from zajil.store.engine.spill import write_whole

_MOST_BYTES = 16 << 20
"""Of a file that is saved with the configuration."""


class NoBackupTarget(Invalid):
    """It is not configured where backups go."""


class FileFailed(Unavailable):
    """A file of a backup cannot be written."""


@value_class(frozen=True, slots=True)
class Backups:
    """Where backups are, and how they are sealed."""

    target: BackupTarget
    seal: BackupSeal


def open_backups(options: BackupOptions) -> Backups:
    """Return the backups that are configured.

    Raises:
        NoBackupTarget: none are.
        BadKey: the key file cannot be used.
        TargetUnavailable: the library for S3 is not installed.
    """
    if options.target is None:
        raise NoBackupTarget(
            "backup.target is not set: set it in the configuration, or use --target"
        )
    target: BackupTarget
    if is_s3(options.target):
        target = S3Target(options.target, options.s3)
    else:
        target = FolderTarget(Path(options.target))
    key = None if options.key_file is None else read_key(options.key_file)
    return Backups(target, BackupSeal(key))


def make_key(path: Path, user: str | None) -> None:
    """Create a key file, which only the user of the server can read.

    Args:
        path: of the file.
        user: ``server.user``; it becomes the owner if this is root.

    Raises:
        AlreadyExists: the file exists; it is not changed.
        FileFailed: it cannot be written.
    """
    try:
        descriptor = new_private_file(path)
    except FileExistsError:
        raise AlreadyExists(f"{path} already exists; it was not changed") from None
    except OSError as error:
        raise FileFailed(f"cannot create {path}: {error.strerror}") from error
    try:
        write_whole(descriptor, new_key_text().encode())
        if user is not None and os.geteuid() == 0:
            entry = find_user(user)
            os.fchown(descriptor, entry.pw_uid, entry.pw_gid)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    sync_folder(path.parent)


def create_backup(
    configuration: Configuration, file: Path | None, clock: Clock, progress: Progress
) -> Created:
    """Make a backup of the store, the configuration, and the files that it names.

    Args:
        configuration: that of the server.
        file: where it was read from; ``None``: it is not saved.
        clock: for times.
        progress: told of the bytes that are done, and of all.

    Raises:
        NoBackupTarget, BadKey, WrongKey, TargetUnavailable, TargetInUse: as ``open_backups`` and
            ``create_snapshot``.
        WrongUser, StoreUnavailable: as ``open_admin_store``.
    """
    # As whoever runs this: root may read what the user of the server may not.
    files, unread = read_files(configuration, file)
    backups = open_backups(configuration.backup)
    _make_folder(configuration)
    with open_admin_store(configuration) as store:
        return create_snapshot(
            store,
            backups.target,
            backups.seal,
            clock=clock,
            files=files,
            left_out=unread,
            progress=progress,
        )


def _make_folder(configuration: Configuration) -> None:
    """Create the folder of backups for the user of the server, if this is root."""
    user, place = configuration.server.user, configuration.backup.target
    if user is None or place is None or is_s3(place) or os.geteuid() != 0:
        return
    folder = Path(place)
    if folder.exists():
        return
    entry = find_user(user)
    try:
        folder.mkdir(parents=True, mode=0o700)
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    except OSError as error:
        raise FileFailed(f"cannot create {folder}: {error.strerror}") from error


def restore_backup(
    configuration: Configuration,
    wanted: str | None,
    clock: Clock,
    progress: Progress,
    *,
    holds_queue: bool,
) -> RestoredStore:
    """Restore the whole store into an empty data folder and database.

    Args:
        configuration: says where the store and the backups are.
        wanted: the beginning of the name of a snapshot; ``None``: the last one.
        clock: for times.
        progress: told of the bytes that are done, and of all.
        holds_queue: mail that waited is held.

    Raises:
        NoSuchObject: there is no such snapshot.
        StoreExists, StoreFull, DamagedBackup ...: as ``restore_store``.
    """
    server = configuration.server
    if not server.data_dir.exists() and os.geteuid() == 0 and server.user is not None:
        entry = find_user(server.user)
        server.data_dir.mkdir(parents=True, mode=0o700)
        os.chown(server.data_dir, entry.pw_uid, entry.pw_gid)
    load_alembic()
    backups = open_backups(configuration.backup)
    with as_server_user(server.user):
        return restore_store(
            find_snapshot(backups, wanted),
            configuration.store,
            server.data_dir,
            clock=clock,
            holds_queue=holds_queue,
            progress=progress,
        )


def prune_backups(
    options: BackupOptions, clock: Clock, progress: Progress, *, dry_run: bool = False
) -> Pruned:
    """Delete snapshots that are older than configured, and objects that no snapshot needs.

    Raises:
        NoBackupTarget, BadKey: as ``open_backups``.
        TargetInUse, NotABackup, WrongKey, TargetUnavailable: as ``prune_target``.
    """
    backups = open_backups(options)
    return prune_target(
        backups.target,
        backups.seal,
        clock=clock,
        keep=options.keep,
        keep_days=options.keep_days,
        dry_run=dry_run,
        progress=progress,
    )


def verify_backups(
    backups: Backups,
    wanted: str | None,
    part: tuple[int, int],
    progress: Progress,
    *,
    repairs: bool,
) -> tuple[VerifiedBackup, int]:
    """Read snapshots and compare them with their digests.

    Args:
        backups: where.
        wanted: the beginning of the name of a snapshot; ``None``: all snapshots.
        part: which part of the objects, and how many parts there are.
        progress: told of the bytes that were read, and of all.
        repairs: delete what is damaged, so that the next backup writes it again.

    Returns:
        What was found, and how many objects were deleted.

    Raises:
        NoSuchObject: there is no such snapshot.
        NotABackup, WrongKey, TargetUnavailable, TargetInUse: the target cannot be used.
    """
    names = None if wanted is None else [choose_snapshot(backups.target, wanted)]
    done = BackupVerifier(backups.target, backups.seal, part, progress).run(names)
    if not repairs or not done.faults:
        return done, 0
    with TargetLock(backups.target, SystemClock()):
        return done, remove_damaged(backups.target, done.faults)


def find_snapshot(backups: Backups, wanted: str | None) -> Snapshot:
    """Open the snapshot whose name begins so; ``None``: the last one."""
    name = choose_snapshot(backups.target, wanted)
    return open_snapshot(backups.target, backups.seal, name)


# ---- files beside the store ---------------------------------------------------------------------


def read_files(
    configuration: Configuration, file: Path | None
) -> tuple[list[FileContent], list[str]]:
    """Read the configuration file, the files that it names, and the id of the node.

    The key of backups is left out: without it the backup cannot be read.

    Returns:
        The files, and sentences about those that cannot be read.
    """
    data_dir = configuration.server.data_dir
    paths: dict[Path, str] = {data_dir / NODE_FILE: NODE_FILE}
    named = [] if file is None else [file.resolve(), *_named_files(file.resolve())]
    for path in (*named, *_paths_in(configuration)):
        if path != configuration.backup.key_file and not path.is_relative_to(data_dir):
            paths.setdefault(path, str(path))
    found, unread = [], []
    for path, name in paths.items():
        try:
            facts = path.stat()
            if not stat.S_ISREG(facts.st_mode):
                continue
            if facts.st_size > _MOST_BYTES:
                unread.append(f"{path}: it is larger than {_MOST_BYTES >> 20} MiB")
                continue
            found.append(FileContent(name, stat.S_IMODE(facts.st_mode), path.read_bytes()))
        except FileNotFoundError:
            continue
        except OSError as error:
            unread.append(f"{path}: {error.strerror}")
    return found, unread


def _paths_in(options: BaseModel) -> Iterator[Path]:
    """Yield the values of options that are paths."""
    for name in type(options).model_fields:
        yield from _paths_of(getattr(options, name))


def _paths_of(value: Any) -> Iterator[Path]:
    if isinstance(value, Path):
        yield value
    elif isinstance(value, BaseModel):
        yield from _paths_in(value)
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _paths_of(one)
    elif isinstance(value, dict):
        yield from _paths_of(list(value.values()))


def _named_files(file: Path) -> Iterator[Path]:
    """Yield the files of secrets, ``{ file = PATH }``, which the options no longer tell."""
    try:
        tree = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return
    waiting: list[Any] = [tree]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            if set(value) == {"file"} and isinstance(value["file"], str):
                yield file.parent / value["file"]
            waiting += value.values()


@value_class(frozen=True, slots=True)
class WrittenFile:
    """A file of a backup that was written, or not."""

    path: Path
    is_new: bool
    """Whether it was written: a file that exists is never replaced."""


def write_files(snapshot: Snapshot, folder: Path) -> list[WrittenFile]:
    """Write the configuration and the other files of a snapshot below a folder.

    Each gets its whole path there: ``/etc/zajil/zajil.toml`` is written to
    ``FOLDER/etc/zajil/zajil.toml``. With ``/`` each is where it was.

    Raises:
        FileFailed: a file cannot be written.
        DamagedBackup, TargetUnavailable: it cannot be read.
    """
    return [
        WrittenFile(path := _place_below(folder, file), _write_file(snapshot, file, path))
        for file in snapshot.manifest.files
        if file.path != NODE_FILE
    ]


def _place_below(folder: Path, file: SavedFile) -> Path:
    # Security: a backup that somebody else wrote must not lead out of the folder.
    parts = [part for part in Path(file.path).parts if part not in ("/", "..", ".")]
    return folder.joinpath(*parts)


def _write_file(snapshot: Snapshot, file: SavedFile, path: Path) -> bool:
    content = snapshot.read_file(file)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        descriptor = new_private_file(path)
        try:
            write_whole(descriptor, content)
            os.fchmod(descriptor, file.mode & 0o777)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except FileExistsError:
        return False
    except OSError as error:
        raise FileFailed(f"cannot write {path}: {error.strerror}") from error
    return True
