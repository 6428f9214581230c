"""How fast a store goes from SQLite to PostgreSQL (``zajil store copy``), part by part.

``python tests/perf/copying.py [--messages 20000] [--size 5KiB] [--dir FOLDER]``

A store is filled with messages in one mailbox, and copied to a PostgreSQL server from the wheel,
which waits for the disk as always. Mail is deferred while rows are copied, not while messages are.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the kit

from filling import fill_mailbox
from kit.store import PostgresServer, make_account, open_test_store
from plan import Plan
from report import machine_lines
from zajil.core.units import parse_size
from zajil.store.copy.move import move_store
from zajil.store.engine.dialect import Progress


def main() -> int:
    """Measure; give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--size", default="5KiB", help="of the body of each")
    parser.add_argument("--dir", type=Path, help="on the disk that is meant; default: temporary")
    arguments = parser.parse_args()
    print("\n".join(machine_lines()), flush=True)
    size = parse_size(arguments.size)
    seconds: dict[str, float] = {}

    @contextmanager
    def stage(name: str) -> Iterator[Progress]:
        began = time.monotonic()
        yield lambda _done, _all: None
        seconds[name] = time.monotonic() - began

    with tempfile.TemporaryDirectory(prefix="zajil-copy-", dir=arguments.dir) as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL runs as another user
        url = PostgresServer(folder / "postgres", synced=True).new_url()
        store = open_test_store("sqlite", folder / "data", None, synced=True)
        make_account(store, Plan(1).recipient)
        fill_mailbox(store, arguments.messages, size)
        store.close_now()
        moved = move_store(store._options, store.data_dir, url, random=os.urandom, stage=stage)
    print("| part | seconds | a second |\n|---|---|---|")
    megabytes = f"{arguments.messages * size / seconds['copying the messages'] / 1e6:.0f} MB"
    rates = {
        "copying the messages": megabytes,
        "copying the rows": f"{moved.rows / seconds['copying the rows']:,.0f} rows",
    }
    for part, took in seconds.items():
        print(f"| {part} | {took:.1f} | {rates.get(part, '')} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
