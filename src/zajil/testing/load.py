"""Load on one server, and what it costs: smtp-source, smtp-sink, processor time of a tree."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from zajil.testing.foreign import need_program

_POLL_SECONDS = 0.005
_DEADLINE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Load:
    """What smtp-source sends."""

    mails: int
    sessions: int = 20
    size: int = 5120
    keep: bool = False
    """All mails of a session on one connection; else one connection for each mail."""
    sender: str = "a@x.test"
    recipient: str = "b@y.test"

    def send(self, address: str) -> None:
        """Send all of it; smtp-source ends with an error at the first refusal."""
        command = [need_program("smtp-source"), "-4", "-M", "client.x.test"]
        command += ["-s", str(self.sessions), "-m", str(self.mails), "-l", str(self.size)]
        command += ["-f", self.sender, "-t", self.recipient, *(["-d"] if self.keep else [])]
        subprocess.run([*command, address], check=True, timeout=_DEADLINE_SECONDS)


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run."""

    mails_per_second: float
    cpu_us_per_mail: float
    """Of the server's whole process tree, kernel included, the load generator not."""


def measure(
    load: Load, address: str, roots: Iterable[int], arrived: Callable[[], int] | None = None
) -> Run:
    """Send a load, and wait until it has arrived.

    Args:
        load: what is sent.
        address: of the server, ``HOST:PORT``.
        roots: the server's first processes; all their descendants count.
        arrived: number of mails at the far end; ``None``: a 250 is all that is asked for.

    Raises:
        TimeoutError: not all of it arrived.
    """
    roots = list(roots)
    base = arrived() if arrived else 0
    cpu, start = tree_cpu_seconds(roots), time.perf_counter()
    load.send(address)
    deadline = start + _DEADLINE_SECONDS
    while arrived and (missing := base + load.mails - arrived()) > 0:
        if time.perf_counter() > deadline:
            raise TimeoutError(f"{missing} of {load.mails} mails did not arrive")
        time.sleep(_POLL_SECONDS)
    seconds = time.perf_counter() - start
    used = tree_cpu_seconds(roots) - cpu
    return Run(load.mails / seconds, used / load.mails * 1_000_000)


def tree_cpu_seconds(roots: Iterable[int]) -> float:
    """Add up the processor time of processes and all their descendants, ended ones included."""
    ticks = 0
    for pid in descendants(roots):
        stat = _read(Path(f"/proc/{pid}/stat"))
        if stat:
            # utime, stime, and those of children that were waited for (proc(5)).
            ticks += sum(map(int, stat.rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def descendants(roots: Iterable[int]) -> list[int]:
    """Give the processes and all their descendants."""
    found = list(roots)
    for pid in found:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            found += map(int, _read(task).split())
    return found


class Sink:
    """smtp-sink, and its running count of mails."""

    def __init__(self, port: int) -> None:
        self.address = f"127.0.0.1:{port}"
        self._output = tempfile.TemporaryFile()  # noqa: SIM115
        # It refuses to run as root.
        user = ["-u", "nobody"] if os.geteuid() == 0 else []
        self._process = subprocess.Popen(
            [need_program("smtp-sink"), "-4", "-c", "-m", "1000", *user, self.address, "1024"],
            stdout=self._output,
            stderr=subprocess.DEVNULL,
        )

    def count(self) -> int:
        """Give the number of mails it has taken so far."""
        size = os.fstat(self._output.fileno()).st_size
        tail = os.pread(self._output.fileno(), 200, max(0, size - 200))
        numbers = re.findall(rb"mesg=(\d+)\r", tail)
        return int(numbers[-1]) if numbers else 0

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()
        self._output.close()


@contextmanager
def running_sink(port: int) -> Iterator[Sink]:
    """Run a sink on a port of 127.0.0.1."""
    sink = Sink(port)
    try:
        yield sink
    finally:
        sink.close()


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
