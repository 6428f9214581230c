"""Which statements a mail costs on PostgreSQL, with one node and with several, and what waits.

``python tests/perf/statements.py [--mails 2000] [--nodes 1,2,4] [--accounts 100] [--load accept]``

PostgreSQL logs every statement of one load, which is told by kind: how often for each mail, and how
long they took together. A round trip is one statement. Beside it, every five milliseconds, it is
asked what its backends wait for. Both cost time themselves: ``nodes.py`` measures without them.
With ``--load rest`` nothing is sent for 30 seconds, and the figures are those of a second.
"""

from __future__ import annotations

import argparse
import functools
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the kit

from clusters import AWAY, Cluster, postgres_cluster
from kit.store import PostgresServer
from nodes import Cost, measure
from plan import Plan
from zajil.core.units import parse_size

_LOGGED = (
    "log_min_duration_statement = 0",
    "log_lock_waits = on",
    "log_line_prefix = '%p '",
)
_LINE = re.compile(r"^\d+ LOG:  duration: ([\d.]+) ms  (statement|parse|bind|execute)[^:]*: (.*)")
_LOCKED_OUT = re.compile(r"ERROR: +(canceling statement due to lock timeout|deadlock detected)")
_AGAIN = "(run again)"
_ACCEPTS = "INSERT INTO mail "
_LOOK_SECONDS = 0.005
_REST_SECONDS = 30.0
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
    time.sleep(1)  # until all is written
    with log.open(encoding="utf-8", errors="replace") as file:
        file.seek(start)
        whole = re.sub(r"\n(?!\d+ [A-Z]+: )", " ", file.read())
    for line in whole.splitlines():
        if _LOCKED_OUT.search(line):
            yield _AGAIN, 0.0, True
        match = _LINE.match(line)
        if match and "pg_stat_activity" not in match[3]:
            yield match[3], float(match[1]), match[2] in ("statement", "execute")


@dataclass(slots=True)
class Counted:
    """What PostgreSQL did for one load."""

    units: float
    """Mails, or seconds of rest."""
    counts: Counter[str] = field(default_factory=Counter)
    """Statements of a kind."""
    microseconds: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)
    cost: Cost | None = None

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield figures of the whole load, with their names."""
        commits = sum(self.counts[kind] for kind in self.counts if kind.startswith(_ACCEPTS))
        yield "all: statements, each a round trip; µs", self.cell(*self.counts)
        if commits:
            yield "mails in a commit that accepts some", f"{self.units / commits:.1f}"
        yield "commits that ran again because of a lock", str(self.counts[_AGAIN])
        if self.cost is not None:
            counted = self.cost.counted
            yield "syncs of the log", f"{counted.wal_syncs / self.units:.2f}"
            yield "KB of log", f"{counted.wal_bytes / self.units / 1000:.1f}"
        looks = sum(self.waits.values()) or 1
        for name, count in self.waits.most_common(6):
            yield f"backends that were not idle: {name}", f"{count / looks:.0%}"

    def cell(self, *kinds: str) -> str:
        """Return how often statements of some kinds ran, and their time."""
        count = sum(self.counts[kind] for kind in kinds if kind != _AGAIN)
        spent = sum(self.microseconds[kind] for kind in kinds)
        return f"{count / self.units:.3f}; {spent / self.units:.0f}"


def count(cluster: Cluster, plan: Plan, load: str) -> Counted:
    """Run the load after two others that warm up."""
    assert cluster.postgres is not None
    log, made = cluster.postgres.log, Counted(plan.mails)
    if load == "rest":
        made.units = _REST_SECONDS
        run: Callable[[], object] = functools.partial(time.sleep, _REST_SECONDS)
        time.sleep(5)
    else:
        for _ in range(2):
            measure(cluster, plan, load)

        def run() -> None:
            made.cost = measure(cluster, plan, load)

    with watched(cluster.postgres, made.waits):
        for text, milliseconds, is_whole in logged(log, log.stat().st_size, run):
            made.counts[kind_of(text)] += is_whole
            made.microseconds[kind_of(text)] += int(milliseconds * 1000)
    return made


def tell(found: dict[str, Counted]) -> None:
    """Print a table with a column for each cluster."""
    print("| " + " | ".join(["statement: how often, µs", *found]) + " |")
    print("|---" * (1 + len(found)) + "|")
    every = functools.reduce(lambda one, two: one | two, [one.counts for one in found.values()])
    for kind, _ in every.most_common(45):
        if kind != _AGAIN:
            print(f"| `{kind}` | " + " | ".join(one.cell(kind) for one in found.values()) + " |")
    figures = [dict(one.rows()) for one in found.values()]
    for name in functools.reduce(lambda one, two: {**one, **two}, figures):
        print(f"| **{name}** | " + " | ".join(one.get(name, "") for one in figures) + " |")


def main() -> int:
    """Count; give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    add = parser.add_argument
    add("--mails", type=int, default=2000)
    add("--nodes", default="1,2,4")
    add("--accounts", type=int, default=100)
    add("--sessions", type=int, default=20, help="at a time, of each node")
    add("--load", choices=("accept", "apart", "relay", "rest"), default="accept")
    add("--size", default="5KiB", help="of the body")
    arguments = parser.parse_args()
    is_relay = arguments.load == "relay"
    plan = Plan(
        mails=arguments.mails,
        sessions=arguments.sessions,
        size=parse_size(arguments.size),
        per_connection=0,
        recipient=AWAY if is_relay else Plan(1).recipient,
        accounts=1 if is_relay else arguments.accounts,
    )
    found: dict[str, Counted] = {}
    for nodes in map(int, arguments.nodes.split(",")):
        with tempfile.TemporaryDirectory(prefix="zajil-nodes-") as name:
            base = Path(name)
            base.chmod(0o755)  # PostgreSQL runs as another user
            with postgres_cluster(
                base / "cluster", nodes, arguments.accounts, (), _LOGGED
            ) as cluster:
                found[f"{nodes} node{'s' * (nodes > 1)}"] = count(cluster, plan, arguments.load)
    tell(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
