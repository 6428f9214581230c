"""Delete old snapshots, and objects that no snapshot needs any more.

Laws:
- It has the lock of the target, so no backup is under way that counts on an object.
- A manifest goes before its objects: what is interrupted leaves objects without a snapshot, never a
  snapshot without objects.
- If one manifest cannot be read, no object is deleted: it may need any of them.
"""

from __future__ import annotations

from zajil.core.clock import Clock
from zajil.core.moment import utc_datetime
from zajil.core.value_class import value_class
from zajil.store.backup.lock import TargetLock
from zajil.store.backup.manifest import (
    OBJECTS,
    SNAPSHOTS,
    is_object_name,
    object_path,
    read_manifest,
    require_marker,
    snapshot_names,
)
from zajil.store.backup.seal import BackupSeal
from zajil.store.backup.target import BackupTarget, DamagedBackup
from zajil.store.backup.write import short_name
from zajil.store.engine.dialect import Progress

_DAY_MS = 86_400_000
_RENEW_EVERY = 500
"""Objects that are deleted between two renewals of the lock."""


@value_class(frozen=True, slots=True)
class Pruned:
    """What was deleted."""

    kept: tuple[str, ...]
    """Names of snapshots that are left."""
    snapshots: tuple[str, ...]
    objects: int
    size: int
    """Bytes of them."""
    unreadable: tuple[str, ...]
    """Snapshots that are damaged: because of them no object was deleted."""


def prune_target(
    target: BackupTarget,
    seal: BackupSeal,
    *,
    clock: Clock,
    keep: int,
    keep_days: int,
    dry_run: bool = False,
    progress: Progress = lambda done, total: None,
) -> Pruned:
    """Delete snapshots that are too old, and what only they needed.

    Args:
        target: where.
        seal: of the target.
        clock: for times.
        keep: number of latest snapshots that stay; at least 1.
        keep_days: number of days, in UTC, of which the last snapshot stays.
        dry_run: delete nothing.
        progress: told of the objects that are deleted, and of all that will be.

    Raises:
        TargetInUse: another program writes to the target.
        NotABackup, WrongKey, TargetUnavailable: it cannot be read.
    """
    require_marker(target, seal)
    with TargetLock(target, clock) as lock:
        names = snapshot_names(target)
        kept = choose_kept(names, clock.now_ms(), keep, keep_days)
        gone = tuple(name for name in names if name not in kept)
        needed: set[bytes] = set()
        unreadable = []
        for name in kept:
            try:
                manifest = read_manifest(target, seal, name)
            except DamagedBackup:
                unreadable.append(name)
                continue
            needed.update(short_name(one) for one in manifest.objects())
            lock.renew()
        if not dry_run:
            for name in gone:
                target.delete(SNAPSHOTS + name)
        doomed = []
        if not unreadable:
            for path, size in target.names(OBJECTS):
                name = path.rpartition("/")[2]
                # A file of another program, such as of a file manager, is not ours to delete.
                if is_object_name(name) and short_name(name) not in needed:
                    doomed.append((name, size))
        for number, (name, _) in enumerate(doomed):
            if dry_run:
                break
            if number % _RENEW_EVERY == 0:
                lock.renew()
            target.delete(object_path(name))
            progress(number + 1, len(doomed))
    sizes = sum([size for _, size in doomed])
    return Pruned(tuple(kept), gone, len(doomed), sizes, tuple(unreadable))


def choose_kept(names: list[str], now_ms: int, keep: int, keep_days: int) -> list[str]:
    """Return the snapshots that stay: the last ones, and the last one of each of the last days.

    Args:
        names: in the order of their times.
        now_ms: the time.
        keep: number of the last ones.
        keep_days: number of days.
    """
    first_day = f"{utc_datetime(now_ms - (keep_days - 1) * _DAY_MS):%Y%m%d}"
    last_of_day = {name[:8]: name for name in names} if keep_days else {}
    chosen = {name for day, name in last_of_day.items() if day >= first_day}
    chosen.update(names[-max(keep, 1) :])
    return [name for name in names if name in chosen]
