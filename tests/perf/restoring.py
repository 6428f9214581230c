"""How long the restore of one account takes, and how much memory.

``python tests/perf/restoring.py [--messages 100000] [--folder FOLDER]``

An account gets messages of 3 KB in its INBOX, a backup is made, all messages are removed for good,
and ``backup restore-account`` restores them, in a process of its own whose peak memory is read at
its end. Then it runs a second time: nothing is missing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the kit

from kit.backups import back_up, look_into
from kit.operations import runner
from kit.store import NOW_MS, make_account, open_test_store
from zajil.core.directory import AccountEntry
from zajil.operations.restore_account import RestoreWanted, account_in_backup, restore_account
from zajil.store.engine.open import Store
from zajil.store.mail.append import Append, append_messages
from zajil.store.mail.blob_rows import write_blobs
from zajil.store.mail.deleted import Chosen, purge_deleted
from zajil.store.mail.message_changes import ExpungeMessages, expunge_messages
from zajil.store.schema import deleted_message

_AT_ONCE = 1000


def fill(store: Store, owner: AccountEntry, messages: int) -> None:
    """Put messages into an INBOX."""

    def put(tx: Any, items: Sequence[int]) -> list[None]:
        staged = [
            store.blobs.stage([b"Subject: %d\r\n\r\n" % at, os.urandom(1500).hex().encode()])
            for at in range(items[0], min(messages, items[0] + _AT_ONCE))
        ]
        write_blobs(tx, staged)
        appends = [
            Append(
                mailbox_id=owner.inbox, blob_id=one.blob_id, size=one.size, received_at_ms=NOW_MS
            )
            for one in staged
        ]
        append_messages(tx, appends)
        return [None]

    for start in range(0, messages, _AT_ONCE):
        store.write_now(put, start)


def lose_all(store: Store, owner: AccountEntry) -> None:
    """Remove all messages of an INBOX for good."""
    every = ExpungeMessages(owner.account_id, owner.inbox, deleted_only=False)
    store.write_now(expunge_messages, every)
    ids = store.read_now(lambda conn: conn.scalars(sa.select(deleted_message.c.id)).all())
    store.write_now(purge_deleted, Chosen(owner.account_id, tuple(ids)))


def peak_mib() -> int:
    """Return the most memory that this process has had."""
    status = Path("/proc/self/status").read_text("ascii")
    (line,) = (one for one in status.splitlines() if one.startswith("VmHWM:"))
    return int(line.split()[1]) // 1024


def restore(folder: Path) -> None:
    """Restore everything, twice, and print what it took."""
    store = open_test_store("sqlite", folder / "data", worker=None, synced=True)
    name = sorted(os.listdir(folder / "target" / "snapshots"))[-1]
    before = peak_mib()
    for run in ("first run", "second run"):
        begun = time.monotonic()
        wanted = RestoreWanted()
        with account_in_backup(store, look_into(folder / "target", name), "amal", wanted) as source:
            loaded = time.monotonic() - begun
            done = runner(store).run(restore_account, source, wanted)
        seconds = time.monotonic() - begun
        more = peak_mib() - before
        print(
            f"{run}: {done.messages} messages in {seconds:.1f} s, of which reading the rows "
            f"{loaded:.1f} s; {more} MiB more memory",
            flush=True,
        )
    store.close_now()


def main() -> None:
    """Do all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary folder")
    parser.add_argument("--restore", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.restore is not None:
        restore(given.restore)
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as made:
        folder = Path(made)
        store = open_test_store("sqlite", folder / "data")
        owner = make_account(store, "amal@north.test")
        fill(store, owner, given.messages)
        back_up(store, folder / "target")
        lose_all(store, owner)
        store.close_now()
        subprocess.run([sys.executable, __file__, "--restore", str(folder)], check=True)


if __name__ == "__main__":
    main()
