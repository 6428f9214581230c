"""Workers of one configuration, as their supervisor sees them, and what they get from it."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Protocol

_REPORT = struct.Struct("=BI")
"""A ``WorkerState``, and the process id."""


STOP_SERVER = 3
"""Exit status of a worker that knows that none may serve any more: the server ends, too."""


class WorkerState(IntEnum):
    """What a worker says of itself."""

    STARTING = 0
    SERVES = 1
    LEFT = 2
    """It accepts no more connections."""


@dataclass(frozen=True, slots=True)
class WorkerPipes:
    """How a worker and its supervisor hear of each other."""

    stop_fd: int
    """End of file: the supervisor is gone, or wants all workers to end."""
    retire_fd: int
    """End of file: other workers have taken over; accept no more, and end with the last session."""
    report_fd: int

    def report(self, state: WorkerState) -> None:
        """Tell the supervisor that we are alive, and what we do; never waits."""
        with suppress(BlockingIOError):  # it is stopped, and does not count silence meanwhile
            os.write(self.report_fd, _REPORT.pack(state, os.getpid()))


@dataclass(frozen=True, slots=True)
class WorkerPlace:
    """Which of the workers one is."""

    slot: int
    """No two living workers have the same, of whichever generation; below ``limits.SLOTS``."""
    index: int
    """Among those of its generation, from 0."""
    generation: int
    pipes: WorkerPipes


@dataclass(frozen=True, slots=True)
class GenerationPlan:
    """What a generation is to be."""

    run_worker: Callable[[WorkerPlace], int]
    """Runs in the child; its return value is the exit status."""
    workers: int
    silence_seconds: float = 0.0
    """A worker that reports nothing for so long is killed and replaced; 0: never."""
    grace_seconds: float = 20.0
    """Time to end after the request to stop; then workers are killed."""


@dataclass(slots=True, eq=False, kw_only=True)
class ChildProcess:
    """One worker."""

    pid: int
    slot: int
    index: int
    generation: Generation
    started: float
    failures: int
    """Starts in a row before this one that came to nothing."""
    heard: float
    """When it reported last."""
    state: WorkerState = WorkerState.STARTING
    kill_at: float | None = None
    """It was told to end, and has time until then."""
    fault: str = ""
    """Why we killed it."""

    @property
    def served(self) -> bool:
        """Whether it was ready once."""
        return self.state is not WorkerState.STARTING


@dataclass(slots=True, eq=False, kw_only=True)
class Generation:
    """The workers of one configuration."""

    number: int
    plan: GenerationPlan
    retire_read: int
    retire_write: int
    workers: dict[int, ChildProcess] = field(default_factory=dict)
    """By process id."""
    due: dict[int, tuple[float, int]] = field(default_factory=dict)
    """Starts that wait: index to time and failures before."""
    is_retired: bool = False

    @classmethod
    def planned(cls, number: int, plan: GenerationPlan) -> Generation:
        """Make one that has no workers yet; all of them are due."""
        read, write = os.pipe()
        now = time.monotonic()
        due = {one: (now, 0) for one in range(plan.workers)}
        return cls(number=number, plan=plan, retire_read=read, retire_write=write, due=due)

    @property
    def serves(self) -> bool:
        """Whether each of its workers has said that it serves."""
        served = {one.index for one in self.workers.values() if one.served}
        return len(served) == self.plan.workers

    @property
    def has_left(self) -> bool:
        """Whether none of its workers accepts connections any more."""
        return all(one.state is WorkerState.LEFT for one in self.workers.values())

    def retire(self) -> None:
        """Have the workers accept no more, and end with their last sessions; none is replaced."""
        if not self.is_retired:
            self.is_retired = True
            self.due.clear()
            os.close(self.retire_write)
            os.close(self.retire_read)

    def silent(self, now: float) -> Iterator[ChildProcess]:
        """Return the workers that have reported nothing for too long."""
        seconds = self.plan.silence_seconds
        for worker in self.workers.values():
            if seconds and worker.served and now - worker.heard > seconds:
                yield worker


@dataclass(frozen=True, slots=True)
class Reload:
    """What is to be done for a reload."""

    in_place: bool = False
    """The workers get SIGHUP. It is blocked in a new worker, which handles it before it unblocks
    it."""
    plan: GenerationPlan | None = None
    """A new generation takes over."""


class Owner(Protocol):
    """What runs under the supervisor; it is called in the supervisor's process."""

    def serving(self) -> None:
        """Every worker of the first generation serves; called once."""

    def reload(self) -> Reload:
        """A reload was asked for: say what is to be done."""

    def switched(self, generation: int) -> None:
        """The new generation serves, and the old one retires."""

    def not_switched(self, reason: str) -> None:
        """The new generation was given up; the old one stays."""

    def worker_ended(self, place: WorkerPlace, pid: int, how: str, *, is_replaced: bool) -> None:
        """A worker ended that was not asked to."""

    def cannot_start_worker(self, reason: str) -> None:
        """The system gives no process for a worker; the supervisor tries again."""

    def retired(self, generation: int) -> None:
        """The last worker of an old generation has ended."""

    def takes_slot(self, slot: int) -> None:
        """A worker will be started in this slot."""

    def left_slot(self, slot: int) -> None:
        """No worker has this slot any more."""

    def stopping(self) -> None:
        """Stop listening: the workers will be told to end."""

    def descriptors(self) -> Sequence[int]:
        """Return further descriptors to wait for."""

    def readable(self, descriptor: int) -> None:
        """Something can be read from one of them."""

    def leave(self) -> None:
        """Close them, in a child."""


def unpack_reports(data: bytes) -> Iterator[tuple[int, WorkerState]]:
    """Return process id and state, of each report in what was read from the pipe."""
    for state, pid in _REPORT.iter_unpack(data):
        yield pid, WorkerState(state)


REPORTS_BYTES = _REPORT.size * 200
"""What is read at once: whole reports, because each is written at once."""
