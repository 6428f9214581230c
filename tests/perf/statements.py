"""Which statements a mail costs on PostgreSQL, and what its backends wait for.

``python tests/perf/statements.py [--mails 2000] [--nodes 1] [--accounts 100] [--load accept]``

PostgreSQL logs every statement of one load, which is told by kind: how often for each mail, and how
long they took together. A round trip is one statement. Beside it, every five milliseconds, it is
asked what its backends wait for. Both cost time themselves: ``nodes.py`` measures without them.
"""

from __future__ import annotations

import argparse
import functools
import re
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the kit

from clusters import AWAY, Cluster, postgres_cluster
from kit.store import PostgresServer
from nodes import measure
from plan import Plan
from zajil.core.units import parse_size

_LOGGED = (
    "log_min_duration_statement = 0",
    "log_lock_waits = on",
    "log_line_prefix = '%p '",
)
_LINE = re.compile(r"^\d+ LOG:  duration: ([\d.]+) ms  (statement|parse|bind|execute)[^:]*: (.*)")
_LOOK_SECONDS = 0.005
_WAITS = """
    SELECT wait_event_type, wait_event FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND state <> 'idle' AND pid <> pg_backend_pid()
"""


def kind_of(statement: str) -> str:
    """Return the statement without its values and lists of parameters."""
    text = re.sub(r"\s+", " ", statement)
    text = re.sub(r"\(\s*\$\d+[^()]*(\([^()]*\)[^()]*)*\)(, \(.*)?", "(...)", text)
    text = re.sub(r"VALUES .*?\)( AS| ON CONFLICT| RETURNING|$)", r"VALUES (...)\1", text)
    return re.sub(r"\$\d+|\d+|'[^']*'", "?", text)[:150]


@contextmanager
def watched(postgres: PostgresServer, waits: Counter[str]) -> Iterator[None]:
    """Count what the backends wait for meanwhile; ``running``: for nothing."""
    ended = threading.Event()

    def watch() -> None:
        with psycopg.connect(postgres.admin_url, autocommit=True) as conn:
            while not ended.wait(_LOOK_SECONDS):
                for kind, name in conn.execute(_WAITS).fetchall():
                    waits["running" if kind is None else f"{kind}: {name}"] += 1

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def logged(log: Path, start: int, run: Callable[[], object]) -> Iterator[tuple[str, float, bool]]:
    """Yield each statement that was logged meanwhile, and its milliseconds.

    A prepared statement has lines for its parts; only ``execute`` counts as a statement.
    """
    run()
    time.sleep(1)
    with log.open(encoding="utf-8", errors="replace") as file:
        file.seek(start)
        whole = re.sub(r"\n(?!\d+ [A-Z]+: )", " ", file.read())
    for line in whole.splitlines():
        match = _LINE.match(line)
        if match and "pg_stat_activity" not in match[3]:
            yield match[3], float(match[1]), match[2] in ("statement", "execute")


def tell(cluster: Cluster, plan: Plan, *, is_relay: bool) -> None:
    """Run the load, and print both tables."""
    assert cluster.postgres is not None
    log, waits = cluster.postgres.log, Counter[str]()
    counts, times = Counter[str](), defaultdict[str, float](float)
    for _ in range(2):
        measure(cluster, plan, is_relay=is_relay)
    with watched(cluster.postgres, waits):
        start = log.stat().st_size
        run = functools.partial(measure, cluster, plan, is_relay=is_relay)
        for text, milliseconds, is_whole in logged(log, start, run):
            counts[kind_of(text)] += is_whole
            times[kind_of(text)] += milliseconds
    print("| statement | a mail | µs a mail |\n|---|---|---|")
    for kind, count in counts.most_common(40):
        print(f"| `{kind}` | {count / plan.mails:.3f} | {times[kind] / plan.mails * 1000:.0f} |")
    every = sum(counts.values()) / plan.mails
    print(f"| **all** | {every:.2f} | {sum(times.values()) / plan.mails * 1000:.0f} |\n")
    print("| backends that were not idle | looks |\n|---|---|")
    for name, count in waits.most_common():
        print(f"| {name} | {count} |")


def main() -> int:
    """Count; give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    add = parser.add_argument
    add("--mails", type=int, default=2000)
    add("--nodes", type=int, default=1)
    add("--accounts", type=int, default=100)
    add("--sessions", type=int, default=20, help="at a time, of each node")
    add("--load", choices=("accept", "relay"), default="accept")
    add("--size", default="5KiB", help="of the body")
    arguments = parser.parse_args()
    is_relay = arguments.load == "relay"
    plan = Plan(
        mails=arguments.mails,
        sessions=arguments.sessions * arguments.nodes,
        size=parse_size(arguments.size),
        per_connection=0,
        recipient=AWAY if is_relay else Plan(1).recipient,
        accounts=1 if is_relay else arguments.accounts,
    )
    with tempfile.TemporaryDirectory(prefix="zajil-nodes-") as name:
        base = Path(name)
        base.chmod(0o755)  # PostgreSQL runs as another user
        with postgres_cluster(
            base / "cluster", arguments.nodes, arguments.accounts, (), _LOGGED
        ) as cluster:
            tell(cluster, plan, is_relay=is_relay)
    return 0


if __name__ == "__main__":
    sys.exit(main())
