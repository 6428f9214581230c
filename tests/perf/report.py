"""The output of the benchmark: the machine and the interpreter, and one row for each server."""

from __future__ import annotations

import os
import platform
import random
import shlex
import statistics
import sys
import sysconfig
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pysqlite3 import dbapi2 as sqlite

from measuring import Run, median
from questions import Cell

HEADER = (
    "| question | size | sessions | mails a connection | generator | server | mails/s (min..max) "
    "| ratio of medians | ratios of rounds: median (min..max) | quickest, slowest round "
    "| CPU µs a mail: user + system | loop, writer | generator | p50, p99 ms | resumed | others |\n"
    f"|{'---|' * 16}"
)
_OPTIMIZED = ("--enable-optimizations", "--with-lto")


@dataclass(frozen=True, slots=True)
class Ratios:
    """The rate of a server divided by the rate of the reference."""

    of_medians: float
    rounds: tuple[float, ...]
    """Of each round, in which both ran directly one after the other."""
    quickest: float
    """Of the round in which the reference was quickest."""
    slowest: float
    """Of the round in which the reference was slowest."""

    @property
    def median(self) -> float:
        """Return the median of the rounds."""
        return statistics.median(self.rounds)


def compare(rates: Sequence[float], reference: Sequence[float]) -> Ratios:
    """Compare the rates of a server with those of the reference, both in the order of rounds."""
    rounds = tuple(rate / base for rate, base in zip(rates, reference, strict=True))
    return Ratios(
        of_medians=statistics.median(rates) / statistics.median(reference),
        rounds=rounds,
        quickest=rounds[reference.index(max(reference))],
        slowest=rounds[reference.index(min(reference))],
    )


def machine_lines() -> list[str]:
    """Return what the figures depend on: machine, kernel, interpreter, SQLite, speed."""
    return [
        f"{_processor()}, {os.cpu_count()} processors, kernel {platform.release()}",
        f"Python {platform.python_version()}, {Path(sys.executable).resolve()}, "
        f"{platform.python_compiler()}, {_build()}",
        f"SQLite {sqlite.sqlite_version}",
        speed_line(),
    ]


def speed_line() -> str:
    """Return how busy and how fast the machine is now.

    The first piece of work fits into the caches of the processor, the second one does not: it is
    slower where other programs or other virtual machines use the same caches and memory.
    """
    numbers = [str(number) for number in range(500_000)]
    random.Random(1).shuffle(numbers)
    loop = _cpu_ms(lambda: {number % 1000: f"{number}:" for number in range(100_000)})
    memory = _cpu_ms(lambda: sum(len(number) for number in numbers))
    return (
        f"load average {os.getloadavg()[0]:.2f}; CPU of a loop in the cache {loop:.1f} ms, "
        f"of a walk through 500,000 objects {memory:.0f} ms"
    )


def _cpu_ms(work: Callable[[], object]) -> float:
    """Return the median CPU time of five runs."""
    costs = []
    for _ in range(5):
        begin = time.process_time()
        work()
        costs.append(time.process_time() - begin)
    return statistics.median(costs) * 1000


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _build() -> str:
    """Return whether the interpreter was built with PGO and LTO.

    Debian builds with both, by its own rules, and does not record it in ``CONFIG_ARGS``.
    """
    options = shlex.split(str(sysconfig.get_config_var("CONFIG_ARGS") or ""))
    found = [option for option in _OPTIMIZED if option in options]
    if found:
        return f"built with {' '.join(found)}"
    if Path(sys.executable).resolve().is_relative_to("/usr/bin") and _is_debian():
        return "built by Debian, which uses PGO and LTO"
    return f"built without {' and '.join(_OPTIMIZED)}"


def _is_debian() -> bool:
    return Path("/etc/debian_version").exists()


def rows(cell: Cell, runs: Mapping[str, Sequence[Run]], reference: str | None) -> list[str]:
    """Return one row for each server.

    Args:
        cell: the load.
        runs: of each server, in the order of rounds.
        reference: the server that the others are compared with; ``None``: there is none.
    """
    return [_row(cell, name, taken, runs.get(reference or "")) for name, taken in runs.items()]


def _row(cell: Cell, name: str, taken: Sequence[Run], base: Sequence[Run] | None) -> str:
    plan, rates = cell.plan, _rates(taken)
    user, system = median(taken, "user_us"), median(taken, "system_us")
    threads = f"{median(taken, 'loop_us'):.0f}, {median(taken, 'writer_us'):.0f}"
    waits = taken[len(taken) // 2].milliseconds
    ratios = None if base is None or base is taken else compare(rates, _rates(base))
    columns = (
        *(cell.question, f"{plan.size / 1024:g} KB", plan.sessions, cell.mode, cell.generator),
        *(
            name,
            f"**{median(taken, 'mails_per_second'):.0f}** ({min(rates):.0f}..{max(rates):.0f})",
        ),
        *(_ratio_columns(ratios)),
        f"{user + system:.0f}: {user:.0f} + {system:.0f}",
        threads if name.startswith("zajil") else "",
        f"{median(taken, 'generator_us'):.0f}",
        f"{waits[0]:.0f}, {waits[1]:.0f}" if waits else "",
        f"{median(taken, 'resumed'):.0%}" if plan.tls != "none" else "",
        f"{median(taken, 'other_cpus'):.2f}",
    )
    return f"| {' | '.join(map(str, columns))} |"


def _ratio_columns(ratios: Ratios | None) -> tuple[str, str, str]:
    if ratios is None:
        return ("", "", "")
    low, high = min(ratios.rounds), max(ratios.rounds)
    return (
        f"{ratios.of_medians:.2f}",
        f"**{ratios.median:.2f}** ({low:.2f}..{high:.2f})",
        f"{ratios.quickest:.2f}, {ratios.slowest:.2f}",
    )


def _rates(runs: Sequence[Run]) -> list[float]:
    return [run.mails_per_second for run in runs]
