"""One run: a load, what it cost the server by thread, and how busy the machine was with others."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kit.load import CpuTime, machine_cpu_seconds, thread_cpu, tree_cpu
from peers import Peer
from plan import Plan, Sent

_POLL_SECONDS = 0.005
_MAX_POLL_SECONDS = 0.5
_ARRIVAL_SECONDS = 120.0

Send = Callable[[Plan, str], Sent]


@dataclass(frozen=True, slots=True)
class Run:
    """What one peer did with one load. Times are microseconds of CPU for each mail."""

    mails_per_second: float
    user_us: float
    system_us: float
    """Of the whole tree of the server's processes; the generator is not in it."""
    loop_us: float
    """Of the threads that the processes began with: for Zajil, the event loops."""
    writer_us: float
    """Of the busiest other thread of each process: for Zajil, the one that commits."""
    generator_us: float
    other_cpus: float
    """Processors that were busy with anything else, on average."""
    resumed: float
    """Part of the connections that resumed a TLS session."""
    milliseconds: tuple[float, ...]
    """Waits at 50 %, 99 % and 100 %; empty where the generator does not report them."""


def measure(peer: Peer, plan: Plan, send: Send) -> Run:
    """Send a load, and wait until it has arrived.

    Raises:
        SendingFailed: not every mail got its 250.
        TimeoutError: not all of it arrived.
    """
    base = peer.arrived() if peer.arrived else 0
    threads, cpu, machine = thread_cpu(peer.pids), tree_cpu(peer.pids), machine_cpu_seconds()
    own, start = _own_cpu(), time.monotonic()
    sent = send(plan, peer.address)
    end = sent.end
    if peer.arrived:
        end = _wait(peer.arrived, base, plan.mails, sent.begin)
    seconds = time.monotonic() - start
    used, everything = tree_cpu(peer.pids) - cpu, machine_cpu_seconds() - machine
    loop, writer = _by_thread(threads, thread_cpu(peer.pids))
    others = everything - used.total - (_own_cpu() - own)
    scale = 1e6 / plan.mails
    return Run(
        mails_per_second=plan.mails / (end - sent.begin),
        user_us=used.user * scale,
        system_us=used.system * scale,
        loop_us=loop * scale,
        writer_us=writer * scale,
        generator_us=sent.cpu_us / sent.mails,
        other_cpus=max(0.0, others / seconds),
        resumed=sent.resumed / sent.connections,
        milliseconds=tuple(sent.milliseconds),
    )


def median(runs: Sequence[Run], name: str) -> float:
    """Return the median of one figure."""
    return statistics.median(float(getattr(run, name)) for run in runs)


def _wait(arrived: Callable[[], int], base: int, count: int, begin: float) -> float:
    """Wait until ``count`` mails more than ``base`` have arrived; return the time.

    While many are missing the server is asked rarely: counting costs it time, too.
    """
    deadline = time.monotonic() + _ARRIVAL_SECONDS
    while (missing := count + base - arrived()) > 0:
        now = time.monotonic()
        if now > deadline:
            raise TimeoutError(f"{missing} mails did not arrive")
        expected = (now - begin) * missing / max(1, count - missing)
        time.sleep(min(_MAX_POLL_SECONDS, max(_POLL_SECONDS, expected / 2)))
    return time.monotonic()


def _by_thread(
    before: dict[tuple[int, int], CpuTime], after: dict[tuple[int, int], CpuTime]
) -> tuple[float, float]:
    """Return seconds of the first threads, and of the busiest other thread of each process."""
    used = {key: (cpu - before.get(key, CpuTime())).total for key, cpu in after.items()}
    loop = sum(seconds for (pid, thread), seconds in used.items() if pid == thread)
    busiest: dict[int, float] = {}
    for (pid, thread), seconds in used.items():
        if pid != thread:
            busiest[pid] = max(seconds, busiest.get(pid, 0.0))
    return loop, sum(busiest.values())


def _own_cpu() -> float:
    """Seconds of this process and of the generators that have ended."""
    return sum(os.times()[:4])
