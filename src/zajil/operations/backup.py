"""Backups of the server: where they go, which files belong to them, how they are restored."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from zajil.config.options import Configuration
from zajil.config.options_backup import BackupOptions
from zajil.config.options_s3 import is_s3
from zajil.core.clock import Clock
from zajil.core.errors import AlreadyExists, Invalid, ZajilError
from zajil.core.value_class import value_class
from zajil.net.system import SystemClock
from zajil.operations.backup_files import FileFailed, read_files
from zajil.operations.run import as_server_user, find_user, open_admin_store
from zajil.store.backup.create import Created, create_snapshot
from zajil.store.backup.lock import TargetLock
from zajil.store.backup.prune import Pruned, prune_target
from zajil.store.backup.read import Snapshot, choose_snapshot, open_snapshot
from zajil.store.backup.restore import RestoredStore, restore_store
from zajil.store.backup.runs import (
    BackupRun,
    FailedBackup,
    load_run,
    record_backup,
    record_failed,
)
from zajil.store.backup.s3 import S3Target
from zajil.store.backup.seal import BackupSeal, new_key_text, read_key
from zajil.store.backup.target import BackupTarget, FolderTarget, TargetInUse
from zajil.store.backup.verify import BackupVerifier, VerifiedBackup, remove_damaged
from zajil.store.engine.dialect import Progress
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.folder import new_private_file, sync_folder
from zajil.store.engine.migrate import load_alembic
from zajil.store.engine.spill import write_whole


class NoBackupTarget(Invalid):
    """It is not configured where backups go, or they cannot go there."""


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
        NoBackupTarget: no target is configured, or it is in the data folder.
        BadKey, WrongKey, TargetUnavailable, TargetInUse: as ``open_backups`` and
            ``create_snapshot``.
        WrongUser, StoreUnavailable: as ``open_admin_store``.
    """
    # As whoever runs this: root may read what the user of the server may not.
    files, unread = read_files(configuration, file)
    backups = open_backups(configuration.backup)
    _require_other_place(configuration)
    _make_folder(configuration)
    place = configuration.backup.target or ""
    with open_admin_store(configuration) as store:
        try:
            made = create_snapshot(
                store,
                backups.target,
                backups.seal,
                clock=clock,
                files=files,
                left_out=unread,
                progress=progress,
            )
        except TargetInUse:
            raise  # what the other program does is noted by it
        except ZajilError as error:
            with suppress(StoreUnavailable):
                failed = FailedBackup(place, clock.now_ms(), str(error))
                store.write_now(record_failed, failed)
            raise
        run = BackupRun(
            place=place,
            tried_ms=clock.now_ms(),
            done_ms=made.manifest.taken_ms,
            snapshot=made.name,
            left_out=len(made.manifest.left_out),
            error="",
        )
        store.write_now(record_backup, run)
        return made


def last_backup(configuration: Configuration) -> BackupRun | None:
    """Return what became of the last backups to the configured target.

    Raises:
        WrongUser, StoreUnavailable: as ``open_admin_store``.
    """
    place = configuration.backup.target
    if place is None:
        return None
    with open_admin_store(configuration) as store:
        return store.read_now(lambda conn: load_run(conn, place))


def _require_other_place(configuration: Configuration) -> None:
    """Refuse a target in the data folder: what destroys the store would destroy its backups.

    Raises:
        NoBackupTarget: it is there.
    """
    place, data_dir = configuration.backup.target, configuration.server.data_dir
    if place is None or is_s3(place):
        return
    if not Path(place).resolve().is_relative_to(data_dir.resolve()):
        return
    raise NoBackupTarget(
        f"{place} is in the data folder: whatever destroys the store would destroy its backups; "
        "use another disk, another machine or S3"
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
    renews_validity: bool = False,
) -> RestoredStore:
    """Restore the whole store into an empty data folder and database.

    Args:
        configuration: says where the store and the backups are.
        wanted: the beginning of the name of a snapshot; ``None``: the last one.
        clock: for times.
        progress: told of the bytes that are done, and of all.
        holds_queue: mail that waited is held.
        renews_validity: mailboxes get a new UIDVALIDITY.

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
            renews_validity=renews_validity,
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
