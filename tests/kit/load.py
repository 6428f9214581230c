"""What a load costs a server: processor time by thread, syncs, the sink behind it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TypeVar

from kit.foreign import need_program

T = TypeVar("T")

_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
_SYNCS = ("fsync", "fdatasync", "sync", "syncfs", "sync_file_range", "msync")
_TRACER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class CpuTime:
    """Processor time in seconds."""

    user: float = 0.0
    system: float = 0.0

    @property
    def total(self) -> float:
        """Return both together."""
        return self.user + self.system

    def __add__(self, other: CpuTime) -> CpuTime:
        return CpuTime(self.user + other.user, self.system + other.system)

    def __sub__(self, other: CpuTime) -> CpuTime:
        return CpuTime(self.user - other.user, self.system - other.system)


def count_calls(work: Callable[[], T]) -> tuple[T, int]:
    """Run ``work``; give its result and the number of function calls that it took in this thread.

    Unlike time, the number is the same on every machine.
    """
    calls = 0

    def note(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        result = work()
    finally:
        sys.setprofile(before)
    return result, calls


def tree_cpu(roots: Iterable[int]) -> CpuTime:
    """Add up the processor time of processes and all their descendants, ended ones included."""
    total = CpuTime()
    for pid in descendants(roots):
        fields = _stat(Path(f"/proc/{pid}/stat"))
        if fields:
            # utime, stime, and those of children that were waited for (proc(5)).
            user, system, ended_user, ended_system = fields
            total += CpuTime(user + ended_user, system + ended_system)
    return total


def thread_cpu(roots: Iterable[int]) -> dict[tuple[int, int], CpuTime]:
    """Return the processor time of each thread, by process and thread id.

    The thread whose id is the process's is the one it began with.
    """
    found: dict[tuple[int, int], CpuTime] = {}
    for pid in descendants(roots):
        for task in Path(f"/proc/{pid}/task").glob("*"):
            fields = _stat(task / "stat")
            if fields:
                found[pid, int(task.name)] = CpuTime(*fields[:2])
    return found


def machine_cpu_seconds() -> float:
    """Add up the processor time of everything on this machine, interrupts included."""
    line = Path("/proc/stat").read_text().partition("\n")[0]
    times = [int(word) for word in line.split()[1:9]]
    idle, waiting = times[3], times[4]
    return (sum(times) - idle - waiting) * _TICK_SECONDS


def descendants(roots: Iterable[int]) -> list[int]:
    """Return the processes and all their descendants."""
    found = list(roots)
    for pid in found:
        tasks: list[str] = []
        with suppress(OSError):  # it has ended
            tasks = os.listdir(f"/proc/{pid}/task")
        for task in tasks:
            found += map(int, _read(Path(f"/proc/{pid}/task/{task}/children")).split())
    return found


@dataclass(frozen=True, slots=True)
class Syncs:
    """How durable an accepted mail is, as strace saw it."""

    per_mail: dict[str, float]
    """Calls for each mail while several sessions send; a group commit needs less than one."""
    before_reply: int | None
    """Calls between 354 and 250 of a mail that came alone; ``None``: the order was not seen."""


def count_syncs(
    roots: Iterable[int], many: Callable[[], int], one: Callable[[], object]
) -> Syncs | None:
    """Watch a server write; ``None`` where strace is missing or may not.

    Args:
        roots: its first processes.
        many: sends mails, and gives their number.
        one: sends a single mail.
    """
    roots = list(roots)
    sent = 0

    def send_many() -> None:
        nonlocal sent
        sent = many()

    trace = _trace(roots, _SYNCS, send_many)
    if trace is None:
        return None
    calls = Counter(re.findall(rf"\b({'|'.join(_SYNCS)})\(", trace))
    per_mail = {name: count / sent for name, count in sorted(calls.items())}
    alone = _trace(roots, (*_SYNCS, "write", "writev", "sendto", "sendmsg"), one) or ""
    return Syncs(per_mail, _between(alone))


def _between(trace: str) -> int | None:
    """Count the syncs that ended between the lines that say 354 and 250."""
    found: int | None = None
    for line in trace.splitlines():
        if re.search(r'"354[ -]', line):
            found = 0
        elif found is not None and re.search(r'"250[ -]', line):
            return found
        elif found is not None and re.search(rf"\b({'|'.join(_SYNCS)})\b.*= 0", line):
            found += 1
    return None


def _trace(roots: list[int], calls: Iterable[str], act: Callable[[], object]) -> str | None:
    """Return what strace wrote while ``act`` ran."""
    with tempfile.TemporaryDirectory(prefix="zajil-trace-") as folder:
        output = Path(folder) / "trace"
        command = [need_program("strace"), "-f", "-s", "40", "-o", str(output)]
        command += ["-e", f"trace={','.join(calls)}"]
        for pid in descendants(roots):
            command += ["-p", str(pid)]
        tracer = subprocess.Popen(command, stderr=subprocess.PIPE)
        try:
            if not _attached(tracer, descendants(roots)):
                return None
            act()
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.communicate()
        return output.read_text(errors="replace")


def _attached(tracer: subprocess.Popen[bytes], pids: Iterable[int]) -> bool:
    """Wait until all processes are traced; false: they will not be."""
    deadline = time.monotonic() + _TRACER_SECONDS
    while tracer.poll() is None and time.monotonic() < deadline:
        states = [_read(Path(f"/proc/{pid}/status")) for pid in pids]
        if all("TracerPid:\t0\n" not in state for state in states):
            return True
        time.sleep(0.01)
    return False


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
        """Return the number of mails it has taken so far."""
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


def _stat(path: Path) -> tuple[float, float, float, float] | None:
    """Return utime, stime, cutime, cstime of a process or thread; ``None``: it is gone."""
    text = _read(path)
    if not text:
        return None
    user, system, ended_user, ended_system = text.rpartition(")")[2].split()[11:15]
    return (
        int(user) * _TICK_SECONDS,
        int(system) * _TICK_SECONDS,
        int(ended_user) * _TICK_SECONDS,
        int(ended_system) * _TICK_SECONDS,
    )


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
