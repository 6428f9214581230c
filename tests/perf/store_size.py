"""What the store costs for one accepted mail: CPU, write-ahead log, and bytes on disk.

``python tests/perf/store_size.py [--sizes 0,20000,200000] [--waiting 20000] [--accounts 1]``

A store is filled through ``write_intakes``, with mails as a session with all checks makes them. At
each size it prints the CPU of commits of 4 and 32 mails (they are not synced: the disk is not
measured) and the pages of the write-ahead log that commits of 1, 4, 10 and 32 mails write. Then it
fills a store of its own and prints the bytes of each table and index for each mail, before and
after the summaries of the indexer, and the CPU of these. ``--waiting`` first puts recipients into
the queue. ``--postgres`` prints the CPU of this process alone, and bytes after VACUUM. ``--words``
gives each mail a text of its own: PostgreSQL compresses what it stores, and one line again and
again becomes nearly nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the kit

import sqlalchemy as sa

from kit.store import PostgresServer, make_account, make_intake, open_test_store
from kit.talk import HOSTNAME, acceptance_context
from plan import Plan
from stages import InstantStore, accept_all, packets, run_session
from zajil.core.directory import AccountEntry
from zajil.core.ids import ID_RANDOM_SIZE, BlobId, new_blob_id, new_mail_id, new_session_id
from zajil.read.indexer import BATCH, make_summary
from zajil.smtp.extensions import Capabilities
from zajil.store.engine.open import Store
from zajil.store.mail.intake import Intake
from zajil.store.mail.summaries import find_waiting, write_summaries
from zajil.tracking.events import MessageReceived, SessionOpened

_NOW_MS = 1_764_000_000_000
_AT_ONCE = 500
"""Mails of a commit that fills the store."""
_COMMITS = (4, 32)
"""Mails of the commits whose CPU is measured."""
_WAL_COMMITS = (1, 4, 10, 32)


@dataclass(slots=True)
class Mails:
    """Makes mails that differ as real ones do: ids, times, ports, mailboxes."""

    template: Intake
    entries: Sequence[AccountEntry]
    now_ms: int = _NOW_MS
    count: int = 0
    has_words: bool = False
    """Whether each has a text of its own, which is as long."""

    def make(self, count: int) -> list[Intake]:
        """Return so many new mails, each a little later than the one before."""
        return [self._one() for _ in range(count)]

    def _one(self) -> Intake:
        self.count += 1
        self.now_ms += self.count & 1
        now_ms, rest = self.now_ms, f"{random.randrange(1 << 32):x}@client.x.test>"
        entry = random.choice(self.entries)
        (copy,) = self.template.local
        place = replace(copy.places[0], mailbox_id=entry.inbox)
        own = replace(copy, recipient=entry.address, account_id=entry.account_id, places=(place,))
        name = str(entry.address)
        events = []
        for event in self.template.events:
            changed = {"recipient": name} if getattr(event, "recipient", None) else {}
            if isinstance(event, SessionOpened):
                changed = {"peer": f"192.0.2.1:{random.randrange(1 << 16)}"}
            elif isinstance(event, MessageReceived):
                changed = {"message_id": f"<{rest}"}
            events.append(replace(event, at_ms=now_ms, **changed))
        content = self.template.content
        if self.has_words and content.content:
            content = replace(content, content=_with_words(content.content))
        return replace(
            self.template,
            mail_id=new_mail_id(now_ms, os.urandom(ID_RANDOM_SIZE)),
            session_id=new_session_id(now_ms, os.urandom(ID_RANDOM_SIZE)),
            received_at_ms=now_ms,
            message_id=f"<{rest}",
            content=replace(content, blob_id=self._blob_id()),
            local=(own,),
            events=tuple(events),
        )

    def waiting(self, count: int) -> list[Intake]:
        """Return mails for elsewhere that wait in the queue."""
        content = self.template.content
        made = []
        for _ in range(count):
            blob = replace(content, blob_id=self._blob_id())
            remote = [f"c{random.randrange(1 << 30)}@z{random.randrange(9)}.test"]
            made.append(make_intake(blob, remote=remote, at_ms=self.now_ms))
        return made

    def _blob_id(self) -> BlobId:
        return new_blob_id(self.now_ms, os.urandom(ID_RANDOM_SIZE))


def _with_words(message: bytes) -> bytes:
    """Return a message with the header section of another, and a new text of the same length."""
    head, _, body = message.partition(b"\r\n\r\n")
    # About as many different words, and as few common ones, as people write.
    words = [f"{int(20_000 ** random.random()):x}y" for _ in range(len(body) // 4)]
    lines = [" ".join(words[at : at + 12]) for at in range(0, len(words), 12)]
    return b"%s\r\n\r\n%s\r\n" % (head, "\r\n".join(lines).encode()[: len(body) - 2])


async def accepted_mail(store: Store, size: int) -> Intake:
    """Return what a session with all checks hands to the store for one mail to ``b@y.test``."""
    instant = InstantStore(store)
    services = acceptance_context(cast(Store, instant))
    await store.directory.load()
    offer = Capabilities(hostname=HOSTNAME, max_message_size=1 << 26)
    await run_session(packets(Plan(mails=1, size=size)), offer, services)
    if instant.intake is None:
        raise RuntimeError("the session took no mail")
    return instant.intake


def new_store(url: str, folder: Path, arguments: argparse.Namespace) -> tuple[Store, Mails]:
    """Make a store that syncs nothing, with its accounts."""
    store = open_test_store(url, folder)
    entries = [make_account(store, "b@y.test")]
    entries += [make_account(store, f"b{number}@y.test") for number in range(1, arguments.accounts)]

    async def template() -> Intake:
        store.reader.start()
        try:
            return await accepted_mail(store, arguments.size)
        finally:
            await store.reader.close()

    return store, Mails(asyncio.run(template()), entries, has_words=arguments.words)


def fill(store: Store, make: Callable[[int], list[Intake]], count: int) -> None:
    """Write so many mails in large commits."""
    for start in range(0, count, _AT_ONCE):
        store.write_now(accept_all, make(min(_AT_ONCE, count - start)))


def commit_cost(store: Store, mails: Mails, batch: int, repeats: int) -> float:
    """Return the microseconds of CPU for each mail of commits of this size, best of repeats."""
    costs = []
    for _ in range(repeats):
        waiting = [mails.make(batch) for _ in range(512 // batch)]
        start = time.process_time()
        for some in waiting:
            store.write_now(accept_all, some)
        costs.append((time.process_time() - start) / (len(waiting) * batch) * 1e6)
    return min(costs)


def log_pages(store: Store, mails: Mails, batch: int) -> float:
    """Return how many pages of the write-ahead log one commit of so many mails writes."""
    count, pages = 20, 0
    for _ in range(count):
        checkpoint(store)
        store.write_now(accept_all, mails.make(batch))
        pages += checkpoint(store, "NOOP")
    return pages / count


def checkpoint(store: Store, mode: str = "TRUNCATE") -> int:
    """Run a checkpoint; return the pages of the log."""
    with store._dialect.writer.connect() as conn:
        driver: Any = conn.connection.driver_connection  # outside of a transaction
        return int(driver.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()[1])


def write_all_summaries(store: Store) -> float:
    """Do the indexer's work; return the microseconds of CPU for each mail."""
    count, start = 0, time.process_time()
    while waiting := store.read_now(lambda conn: find_waiting(conn, BATCH)):
        new = store.read_now(
            lambda conn: [
                make_summary(one.blob_id, store.blobs.read(conn, one.blob_id)) for one in waiting
            ]
        )
        store.write_now(write_summaries, new)
        count += len(waiting)
    return (time.process_time() - start) / count * 1e6


def table_bytes(store: Store, path: Path) -> dict[str, tuple[int, int]]:
    """Return bytes of the pages of each table and index, and how many of them are unused.

    In PostgreSQL nobody counts the latter: 0.
    """
    if not path.exists():
        with store._dialect.writer.connect() as conn:
            conn = conn.execution_options(isolation_level="AUTOCOMMIT")
            conn.execute(sa.text("VACUUM"))
            return {row.name: (int(row.size), 0) for row in conn.execute(_SIZES)}
    checkpoint(store)
    # The interpreter's own SQLite reads a copy: the driver of the store has no table dbstat, and
    # two libraries that open one file in one process release each other's locks.
    copy = shutil.copy(path, path.with_suffix(".copy"))
    reader = sqlite3.connect(copy)
    rows = reader.execute("SELECT name, sum(pgsize), sum(unused) FROM dbstat GROUP BY name")
    found = {name: (size, unused) for name, size, unused in rows}
    reader.close()
    return found


_SIZES = sa.text("""
    SELECT coalesce(owner.relname || ' (TOAST)', one.relname) AS name,
        sum(pg_table_size(one.oid)) - sum(coalesce(pg_total_relation_size(
            nullif(one.reltoastrelid, 0)), 0)) + sum(CASE WHEN one.relkind = 't' THEN
            pg_indexes_size(one.oid) ELSE 0 END) AS size
    FROM pg_class AS one LEFT JOIN pg_class AS owner ON owner.reltoastrelid = one.oid
    WHERE one.relkind IN ('r', 'i', 't') AND coalesce(owner.relnamespace, one.relnamespace)
        = to_regnamespace(current_schema()) GROUP BY 1
""")


def measure_cpu(url: str, folder: Path, arguments: argparse.Namespace) -> None:
    """Print what commits cost at each size of the store."""
    store, mails = new_store(url, folder, arguments)
    try:
        fill(store, mails.waiting, arguments.waiting)
        written = 0
        cpu = [f"CPU µs a mail, {batch} a commit" for batch in _COMMITS]
        pages = [f"pages of a commit of {batch}" for batch in _WAL_COMMITS]
        columns = ["mails in the store", *cpu, *(pages if url == "sqlite" else [])]
        print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)
        for size in arguments.sizes:
            fill(store, mails.make, size - written)
            written = max(size, written)
            costs = [commit_cost(store, mails, one, arguments.repeats) for one in _COMMITS]
            told = [f"{cost:.1f}" for cost in costs]
            if url == "sqlite":
                told += [f"{log_pages(store, mails, one):.1f}" for one in _WAL_COMMITS]
            print(f"| {size} | {' | '.join(told)} |", flush=True)
            written += 512 * len(_COMMITS) * arguments.repeats
    finally:
        store.close_now()


def measure_bytes(url: str, folder: Path, arguments: argparse.Namespace) -> None:
    """Print the bytes of each table and index for each mail, in commits of four."""
    store, mails = new_store(url, folder, arguments)
    path = folder / "store.sqlite"
    try:
        empty = table_bytes(store, path)
        for _ in range(arguments.mails // 4):
            store.write_now(accept_all, mails.make(4))
        accepted = table_bytes(store, path)
        cpu = write_all_summaries(store)
        indexed = table_bytes(store, path)
    finally:
        store.close_now()
    print(f"\nsummaries, threads: {cpu:.1f} µs of CPU a mail\n")
    print("| bytes a mail | accepted | with its summary | of these unused |\n|---|---|---|---|")
    count = arguments.mails // 4 * 4
    names = sorted(indexed, key=lambda name: -indexed[name][0])
    rows = [
        [
            (table.get(name, (0, 0))[part] - empty.get(name, (0, 0))[part]) / count
            for table, part in ((accepted, 0), (indexed, 0), (indexed, 1))
        ]
        for name in names
    ]
    for name, row in zip(names, rows, strict=True):
        if any(row):
            print(f"| {name} | {' | '.join(f'{value:.0f}' for value in row)} |")
    total = [sum(column) for column in zip(*rows, strict=True)]
    print(f"| **all** | {' | '.join(f'{value:.0f}' for value in total)} |", flush=True)
    print(f"| the message itself | {mails.template.size} | | |", flush=True)


def main() -> int:
    """Measure; give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    add = parser.add_argument
    add("--size", type=int, default=5120, help="of the body, in bytes")
    add("--sizes", default="0,20000", help="mails in the store at which CPU is measured; '': none")
    add("--mails", type=int, default=2000, help="of which the bytes are counted; 0: none")
    add("--waiting", type=int, default=0, help="recipients in the queue")
    add("--accounts", type=int, default=1, help="whose mailboxes get the mails")
    add("--repeats", type=int, default=5, help="of which the best counts")
    add("--postgres", action="store_true", help="measure a PostgreSQL")
    add("--words", action="store_true", help="give each mail a text of its own")
    add("--dir", type=Path, help="on the disk that is meant; default: temporary")
    arguments = parser.parse_args()
    arguments.sizes = [int(size) for size in arguments.sizes.split(",") if size]
    random.seed(7)
    gc.freeze()
    with tempfile.TemporaryDirectory(prefix="zajil-store-", dir=arguments.dir) as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user
        postgres = PostgresServer(folder / "postgres") if arguments.postgres else None
        if arguments.sizes:
            measure_cpu(postgres.new_url() if postgres else "sqlite", folder / "cpu", arguments)
        if arguments.mails:
            url = postgres.new_url() if postgres else "sqlite"
            measure_bytes(url, folder / "bytes", arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
