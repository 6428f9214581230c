"""Backup of a large store: time, memory, and what the second one costs.

    python tests/perf/backups.py [--messages 100000] [--database sqlite]

Prints one line for each step: seconds, bytes added to the target, and the most memory that the
process took more than an idle one that has opened the store.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from kit.store import make_account, make_intake, open_test_store, small_store_options
from zajil.net.system import SystemClock
from zajil.store.backup.create import create_snapshot
from zajil.store.backup.read import choose_snapshot, open_snapshot
from zajil.store.backup.restore import restore_store
from zajil.store.backup.seal import BackupSeal
from zajil.store.backup.target import FolderTarget
from zajil.store.backup.verify import BackupVerifier
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes

_WORDS = ["mail", "server", "message", "queue", "address", "account", "folder", "sender"]
_LARGE_EVERY = 200
_LARGE_BYTES = 2_000_000


def main() -> None:
    """Fill a store, and measure each step in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measured("fill", lambda: fill(folder, options.messages, 0))
        measured("first backup", lambda: back_up(folder))
        measured("second backup, nothing new", lambda: back_up(folder))
        measured("100 messages more", lambda: fill(folder, 100, options.messages))
        measured("third backup", lambda: back_up(folder))
        measured("verify", lambda: verify(folder))
        measured("restore", lambda: restore(folder))
        size = sum(path.stat().st_size for path in (folder / "data").rglob("*") if path.is_file())
        kept = sum(path.stat().st_size for path in (folder / "to").rglob("*") if path.is_file())
        print(f"store {size / 1e6:.0f} MB, target {kept / 1e6:.0f} MB")


def measured(title: str, work: Callable[[], str]) -> None:
    """Do something in a child process; print its result, time and memory."""
    sys.stdout.flush()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    said = work()
    seconds = time.monotonic() - began
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{title:28} {seconds:7.1f} s  {more:6.0f} MiB more  {said}", flush=True)
    os._exit(0)


def opened(folder: Path) -> Store:
    """Open the store that is measured."""
    return open_test_store("sqlite", folder / "data")


def fill(folder: Path, messages: int, start: int) -> str:
    """Write messages of 1 to 40 KB, and a large one now and then."""
    store = opened(folder)
    chance = random.Random(start)
    owner = make_account(store, f"person{start}@north.test")
    for number in range(messages):
        size = int(chance.paretovariate(1.2) * 1000) % 40_000
        large = number % _LARGE_EVERY == 0
        if large:
            parts = [b"Subject: large\r\n\r\n", os.urandom(_LARGE_BYTES)]
            content = store.blobs.stage_now(parts)
        else:
            text = " ".join(chance.choices(_WORDS, k=size // 7 + 5))
            content = store.blobs.stage([f"Subject: {number}\r\n\r\n{text}\r\n".encode()])
        store.write_now(write_intakes, make_intake(content, local=[owner]))
    store.close_now()
    return f"{messages} messages"


def back_up(folder: Path) -> str:
    """Make a snapshot."""
    store = opened(folder)
    made = create_snapshot(
        store, FolderTarget(folder / "to"), BackupSeal(bytes(32)), clock=SystemClock()
    )
    return f"{made.manifest.added_bytes / 1e6:.1f} MB added"


def verify(folder: Path) -> str:
    """Read all snapshots."""
    target = FolderTarget(folder / "to")
    done = BackupVerifier(target, BackupSeal(bytes(32)), (1, 1), lambda done, total: None).run()
    return f"{len(done.faults)} faults in {done.objects} objects"


def restore(folder: Path) -> str:
    """Restore everything into a new folder."""
    target, seal = FolderTarget(folder / "to"), BackupSeal(bytes(32))
    snapshot = open_snapshot(target, seal, choose_snapshot(target, None))
    new = folder / "new"
    done = restore_store(snapshot, small_store_options("sqlite"), new, clock=SystemClock())
    return f"{done.manifest.messages} messages"


if __name__ == "__main__":
    main()
