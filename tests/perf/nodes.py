"""What a mail costs on SQLite and on PostgreSQL, on one node and on several.

``python tests/perf/nodes.py [--mails 2000] [--rounds 5] [--nodes 1,2,4] [--accounts 100]``

The clusters of ``clusters.py`` take the same load in turns; what counts is CPU, not time.
``accept`` ends with the last 250; ``relay`` when the last mail is at the next server. ``apart`` is
``accept`` with one node at work after the other, each with its part of the mails: what it costs
more than one node alone is the price of sharing a store, and what ``accept`` costs more than
``apart`` is what more busy processes than processors cost. CPU of the
nodes and of the server of PostgreSQL, with all of its processes, are told apart. Of both, "whole"
counts what follows too: the indexer, and a checkpoint of PostgreSQL. The ratio is to SQLite in the
same round: to one worker, and to as many workers as there are nodes, because on few processors
more processes make each mail dearer, whatever the database. In the end the clusters rest, and it
is told what that costs a second.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the kit

from clusters import AWAY, Clocks, Cluster, Counters, postgres_cluster, sqlite_cluster
from plan import Plan
from report import machine_lines, speed_line
from sending import send_to_all
from zajil.core.units import parse_size

_SECONDS = 120.0
_WARM_UP = 300
"""Mails that each cluster takes before the first round."""
_QUIET_SECONDS = 5.0
"""What is left to do after a load has ended by then."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one load cost a cluster; CPU in microseconds a mail."""

    nodes_us: float
    database_us: float
    whole_us: float
    """Of both, until nothing was left to do."""
    mails_per_second: float
    other_cpus: float
    switches: float
    """How often a thread of the nodes lost its processor, for each mail."""
    counted: Counters

    @property
    def total_us(self) -> float:
        """Return what nodes and database took until the load had ended."""
        return self.nodes_us + self.database_us


def measure(cluster: Cluster, plan: Plan, load: str) -> Cost:
    """Send a load to all nodes in equal parts, and wait until it has ended.

    Args:
        cluster: that takes it.
        plan: mails of all nodes together, and sessions of each.
        load: ``accept``, ``apart`` or ``relay``.
    """
    begun: list[Clocks] = []
    used, sent_us, mails = Clocks(), 0.0, 0
    before, sunk = cluster.counters(), cluster.sunk()
    groups = [(one,) for one in cluster.addresses] if load == "apart" else [cluster.addresses]
    for group in groups:
        part = replace(plan, mails=plan.mails // len(groups), sessions=plan.sessions * len(group))
        sent = send_to_all(part, group, lambda: begun.append(cluster.read_clocks()))
        mails, sent_us = mails + sent.mails, sent_us + sent.cpu_us
        if load == "relay":
            _wait(lambda: cluster.sunk() - sunk >= plan.mails)
        used += cluster.read_clocks() - begun[-1]
    if load != "relay":
        _wait(cluster.is_indexed)
    cluster.checkpoint()
    whole = cluster.read_clocks() - begun[0]
    others = used.machine - used.nodes - used.database - sent_us / 1e6
    scale = 1e6 / mails
    return Cost(
        nodes_us=used.nodes * scale,
        database_us=used.database * scale,
        whole_us=(whole.nodes + whole.database) * scale,
        mails_per_second=mails / used.time,
        other_cpus=max(0.0, others / used.time),
        switches=used.switches / mails,
        counted=cluster.counters() - before,
    )


def _wait(is_done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not is_done():
        if time.monotonic() > deadline:
            raise TimeoutError("the load did not end")
        time.sleep(0.2)


def in_turns(
    clusters: Sequence[Cluster], plan: Plan, rounds: int, load: str
) -> dict[str, list[Cost]]:
    """Give all clusters the load in each round, in every other one in the opposite order."""
    found: dict[str, list[Cost]] = {cluster.name: [] for cluster in clusters}
    for number in range(rounds):
        for cluster in clusters if number % 2 == 0 else reversed(clusters):
            found[cluster.name].append(measure(cluster, plan, load))
    return found


HEADER = (
    "| load | accounts | database, processes | CPU µs a mail: ours + database "
    "| to SQLite with one worker: median (min..max) | to SQLite with as many "
    "| whole µs | to SQLite with one worker | to SQLite with as many "
    "| transactions, syncs, KB of WAL a mail | involuntary switches a mail | mails/s | others |\n"
    f"{'|---' * 13}|"
)


def rows(load: str, plan: Plan, found: dict[str, list[Cost]]) -> list[str]:
    """Return one row for each cluster; the first is SQLite with one worker."""
    first = next(iter(found.values()))
    made = []
    for name, costs in found.items():
        alike = found.get(f"SQLite, {name.rpartition(' ')[2]}", first)
        nodes, database = _median(costs, "nodes_us"), _median(costs, "database_us")
        counted = [one.counted for one in costs]
        count = plan.mails * len(costs)
        made.append(
            f"| {load} | {plan.accounts} | {name}"
            f" | {nodes:.0f} + {database:.0f} = {nodes + database:.0f}"
            f" | {_ratio(costs, first, 'total_us')} | {_ratio(costs, alike, 'total_us')}"
            f" | {_median(costs, 'whole_us'):.0f}"
            f" | {_ratio(costs, first, 'whole_us')} | {_ratio(costs, alike, 'whole_us')}"
            f" | {sum(one.commits for one in counted) / count:.2f},"
            f" {sum(one.wal_syncs for one in counted) / count:.2f},"
            f" {sum(one.wal_bytes for one in counted) / count / 1000:.1f}"
            f" | {_median(costs, 'switches'):.1f}"
            f" | {_median(costs, 'mails_per_second'):.0f} | {_median(costs, 'other_cpus'):.2f} |"
        )
    return made


def rest(clusters: Sequence[Cluster], seconds: float) -> list[str]:
    """Leave all clusters alone; return a table of what they use meanwhile."""
    time.sleep(_QUIET_SECONDS)
    before = [(one.read_clocks(), one.counters()) for one in clusters]
    time.sleep(seconds)
    made = [
        "| at rest | ms of CPU a second: nodes, database | for each node | transactions a second |",
        "|---|---|---|---|",
    ]
    for cluster, (clocks, counters) in zip(clusters, before, strict=True):
        used, counted = cluster.read_clocks() - clocks, cluster.counters() - counters
        nodes, database = used.nodes * 1000 / used.time, used.database * 1000 / used.time
        each = (nodes + database) / len(set(cluster.addresses))
        commits = counted.commits / used.time
        made.append(
            f"| {cluster.name} | {nodes:.1f}, {database:.1f} | {each:.1f} | {commits:.1f} |"
        )
    return made


def _ratio(costs: Sequence[Cost], base: Sequence[Cost], name: str) -> str:
    ratios = [getattr(one, name) / getattr(of, name) for one, of in zip(costs, base, strict=True)]
    return f"**{statistics.median(ratios):.2f}** ({min(ratios):.2f}..{max(ratios):.2f})"


def _median(costs: Sequence[Cost], name: str) -> float:
    return statistics.median(float(getattr(one, name)) for one in costs)


def ask(clusters: Sequence[Cluster], arguments: argparse.Namespace) -> None:
    """Measure all loads, and print a row for each cluster as soon as it is known."""
    for load in arguments.loads.split(","):
        is_relay = load == "relay"
        for accounts in (1,) if is_relay else map(int, arguments.accounts.split(",")):
            for sessions in map(int, arguments.sessions.split(",")):
                plan = Plan(
                    mails=arguments.mails,
                    sessions=sessions,
                    size=parse_size(arguments.size),
                    per_connection=0,
                    recipient=AWAY if is_relay else Plan(1).recipient,
                    accounts=accounts,
                )
                warm = replace(plan, mails=_WARM_UP)
                for cluster in clusters:
                    measure(cluster, warm, load)
                found = in_turns(clusters, plan, arguments.rounds, load)
                print("\n".join(rows(load, plan, found)), flush=True)


def main() -> int:
    """Measure; give the exit status."""
    arguments = _arguments()
    print("\n".join(machine_lines()), flush=True)
    # So that everything that was started is ended and removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    most = max(map(int, arguments.accounts.split(",")))
    with (
        tempfile.TemporaryDirectory(prefix="zajil-nodes-", dir=arguments.dir) as name,
        ExitStack() as stack,
    ):
        base = Path(name)
        base.chmod(0o755)  # PostgreSQL runs as another user
        clusters = []
        for workers in map(int, arguments.workers.split(",")):
            started = sqlite_cluster(base / f"sqlite{workers}", most, arguments.set, workers)
            clusters.append(stack.enter_context(started))
        for nodes in map(int, arguments.nodes.split(",")):
            folder = base / f"postgresql{nodes}"
            started = postgres_cluster(folder, nodes, most, arguments.set, arguments.pg)
            clusters.append(stack.enter_context(started))
        print(HEADER, flush=True)
        ask(clusters, arguments)
        print("\n".join(rest(clusters, arguments.rest)), flush=True)
    print(f"at the end: {speed_line()}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    add = parser.add_argument
    add("--mails", type=int, default=2000, help="of each run")
    add("--rounds", type=int, default=5, help="whose median is reported")
    add("--nodes", default="1,2,4", help="of PostgreSQL")
    add("--workers", default="1,2,4", help="of one node on SQLite, beside as many nodes")
    add("--accounts", default="100", help="that the mails are for; 1 is the worst case")
    add("--sessions", default="20", help="at a time, of each node")
    add("--loads", default="accept,apart,relay")
    add("--rest", type=float, default=30.0, help="seconds of rest that are measured in the end")
    add("--size", default="5KiB", help="of the body")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="an option of the nodes")
    add("--pg", action="append", default=[], metavar="NAME=VALUE", help="a setting of PostgreSQL")
    add("--dir", type=Path, help="on the disk that is meant; default: temporary")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
