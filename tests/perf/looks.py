"""What it costs to look once a second at the mailboxes of clients that wait for mail.

``python tests/perf/looks.py [--mailboxes 100,1000,10000]``

On SQLite and on PostgreSQL: CPU of this process and of the database server for one look of
``store.engine.changes``, which finds what a lost hint would have told.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the kit

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kit.load import tree_cpu
from kit.store import PostgresServer, make_account, open_test_store, running
from report import machine_lines
from zajil.core.ids import MailboxId
from zajil.store.engine.batch import mailbox_topic
from zajil.store.engine.open import Store
from zajil.store.schema import mailbox

_FIRST = 1_000_000
_LOOKS = 20


def make_mailboxes(tx: Connection, counts: Sequence[int]) -> list[None]:
    """Unit of work: make mailboxes of as many accounts, like one that is there."""
    like = dict(tx.execute(sa.select(mailbox).limit(1)).mappings().one())
    for count in counts:
        numbers = range(_FIRST, _FIRST + count)
        rows = [{**like, "id": n, "account_id": n, "uid_validity": n} for n in numbers]
        tx.execute(sa.insert(mailbox), rows)
    return [None] * len(counts)


async def measure(store: Store, name: str, counts: Sequence[int], pids: Sequence[int]) -> None:
    """Print a row for each number of mailboxes."""
    make_account(store, "b@y.test")
    store.write_now(make_mailboxes, max(counts))
    async with running(store):
        for count in counts:
            for number in range(_FIRST, _FIRST + count):
                store.changes.subscribe(mailbox_topic(MailboxId(number)), lambda: None)
            await store.changes.look()
            own, database = time.process_time(), tree_cpu(pids).total
            for _ in range(_LOOKS):
                await store.changes.look()
            own, database = time.process_time() - own, tree_cpu(pids).total - database
            scale = 1000 / _LOOKS
            print(f"| {name} | {count} | {own * scale:.1f} | {database * scale:.1f} |", flush=True)


def main() -> int:
    """Measure; give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--mailboxes", default="100,1000,10000")
    counts = sorted(map(int, parser.parse_args().mailboxes.split(",")))
    print("\n".join(machine_lines()), flush=True)
    print("| database | mailboxes | ms of CPU for a look: worker | PostgreSQL |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="zajil-looks-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user
        postgres = PostgresServer(folder / "postgres")
        for title, url in (("SQLite", "sqlite"), ("PostgreSQL", postgres.new_url())):
            store = open_test_store(url, folder / title)
            asyncio.run(measure(store, title, counts, (postgres.pid,)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
