"""Equal worker processes under one supervisor.

Laws:
- The supervisor holds no store, no thread and no event loop: it forks at any time.
- A worker that dies is replaced at once if it had served; one that dies before it serves is
  replaced more and more slowly.
- Workers end when the supervisor does, however it ended: they watch a pipe whose other end only
  the supervisor holds.
- Everything is told to the supervisor by one byte on a pipe; it never waits for a worker.
- SIGHUP never ends anything: it asks for a reload, and the supervisor passes it on to the workers.
"""

from __future__ import annotations

import os
import select
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

_SLOWEST_RESTART_SECONDS = 30.0
_STEADY_SECONDS = 1.0
_SHORT_LIFE_PAUSE_SECONDS = 0.1
"""Between the death of a worker that served for less than ``_STEADY_SECONDS`` and the next: a
worker that dies of every mail must not take the whole machine."""

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class WorkerPipes:
    """What a worker gets from its supervisor."""

    stop_fd: int
    """End of file: the supervisor is gone, or wants the worker to end."""
    ready_fd: int
    """The worker's number as one byte, written when it serves."""


@dataclass(slots=True)
class _Worker:
    pid: int
    started: float
    failures: int
    """Starts in a row before this one that came to nothing."""
    served: bool = False


class Supervisor:
    """Starts workers, restarts them, ends with them."""

    def __init__(
        self,
        run_worker: Callable[[int, WorkerPipes], int],
        count: int,
        *,
        on_ready: Callable[[], None],
        on_death: Callable[[int, int, str], None],
        on_stop: Callable[[], None],
        on_reload: Callable[[], bool] = lambda: False,
        parent_fd: int | None = None,
        grace_seconds: float = 20.0,
    ) -> None:
        """Prepare; nothing is forked before ``run``.

        Args:
            run_worker: runs in the child with its number; its return value is the exit status.
            count: workers to keep alive.
            on_ready: called once, when every worker has said that it serves.
            on_death: told the number, process id and how it ended, of each that was not asked to.
            on_stop: called once, before the workers are told to end.
            on_reload: called at SIGHUP; returns whether the workers shall get the signal too. It
                is blocked in a new worker, which handles it before it unblocks it.
            parent_fd: end of file on it stops everything; a lab that dies takes its servers along.
            grace_seconds: time to end after SIGTERM, then SIGKILL.
        """
        self._run_worker = run_worker
        self._count = count
        self._on_ready = on_ready
        self._on_death = on_death
        self._on_stop = on_stop
        self._on_reload = on_reload
        self._parent_fd = parent_fd
        self._grace_seconds = grace_seconds
        self._workers: dict[int, _Worker] = {}
        self._due: dict[int, tuple[float, int]] = {}
        self._stopping = False
        self._reload_wanted = False
        self._gave_up = False
        self._waiting_for = set(range(count))
        self._stop_read, self._stop_write = os.pipe()
        self._ready_read, self._ready_write = os.pipe()

    def run(self) -> int:
        """Keep workers alive until a signal; return 0, or 1 if one never served."""
        with _woken_by_signals(self._begin_stop, self._ask_for_reload) as wake_fd:
            for number in range(self._count):
                self._start(number, 0)
            while not self._stopping:
                self._wait(wake_fd)
            self._stop_all(wake_fd)
        return 1 if self._gave_up else 0

    def _wait(self, wake_fd: int) -> None:
        watched = [wake_fd, self._ready_read]
        if self._parent_fd is not None:
            watched.append(self._parent_fd)
        timeout = None
        if self._due:
            timeout = max(0.0, min(due for due, _ in self._due.values()) - time.monotonic())
        readable, _, _ = select.select(watched, [], [], timeout)
        if wake_fd in readable:
            os.read(wake_fd, 512)
        if self._parent_fd is not None and self._parent_fd in readable:
            self._stopping = not os.read(self._parent_fd, 512)
        if self._ready_read in readable:
            self._note_ready(os.read(self._ready_read, 512))
        self._bury()
        if self._reload_wanted and not self._stopping:
            self._reload()
        self._start_due()

    def _reload(self) -> None:
        self._reload_wanted = False
        if self._on_reload():
            for worker in self._workers.values():
                os.kill(worker.pid, signal.SIGHUP)  # not buried yet, so the id is still its own

    def _note_ready(self, numbers: bytes) -> None:
        for number in numbers:
            if number in self._workers:
                self._workers[number].served = True
        waited = bool(self._waiting_for)
        self._waiting_for.difference_update(numbers)
        if waited and not self._waiting_for:
            self._on_ready()

    def _start_due(self) -> None:
        now = time.monotonic()
        for number, (due, failures) in list(self._due.items()):
            if due <= now and not self._stopping:
                del self._due[number]
                self._start(number, failures)

    def _start(self, number: int, failures: int) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        pid = os.fork()
        if pid:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
            self._workers[number] = _Worker(pid, time.monotonic(), failures)
            return
        status = 1
        try:
            os.close(self._stop_write)  # else this child would keep its siblings alive
            os.close(self._ready_read)
            for name in (*_STOP_SIGNALS, signal.SIGCHLD, signal.SIGHUP):
                signal.signal(name, signal.SIG_DFL)
            signal.set_wakeup_fd(-1)
            status = self._run_worker(number, WorkerPipes(self._stop_read, self._ready_write))
        except BaseException:
            traceback.print_exc()  # nobody above us is left to tell it
        finally:
            # Not sys.exit: the child must not unwind into the supervisor's frames.
            os._exit(status)

    def _bury(self) -> None:
        for number, worker in list(self._workers.items()):
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if not pid:
                continue
            del self._workers[number]
            if self._stopping:
                continue
            lived = time.monotonic() - worker.started
            failures = 0 if worker.served else worker.failures + 1
            pause = min(_SLOWEST_RESTART_SECONDS, 0.05 * 2 ** min(failures, 10))
            if worker.served:
                pause = _SHORT_LIFE_PAUSE_SECONDS if lived < _STEADY_SECONDS else 0.0
            self._due[number] = (time.monotonic() + pause, failures)
            self._on_death(number, pid, _how_it_ended(status))
            if self._waiting_for and failures >= 3:
                self._gave_up = self._stopping = True  # it never served; a restart mends nothing

    def _begin_stop(self) -> None:
        self._stopping = True

    def _ask_for_reload(self) -> None:
        self._reload_wanted = True

    def _stop_all(self, wake_fd: int) -> None:
        self._on_stop()
        os.close(self._stop_write)
        end = time.monotonic() + self._grace_seconds
        while self._workers and (left := end - time.monotonic()) > 0:
            select.select([wake_fd], [], [], min(left, 0.5))
            with suppress(BlockingIOError):
                os.read(wake_fd, 512)
            self._bury()
        for worker in self._workers.values():
            os.kill(worker.pid, signal.SIGKILL)
        for worker in self._workers.values():
            os.waitpid(worker.pid, 0)


def _how_it_ended(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"ended with status {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


@contextmanager
def _woken_by_signals(stop: Callable[[], None], reload: Callable[[], None]) -> Iterator[int]:
    """Return a descriptor that becomes readable with every signal we care for."""
    read_fd, write_fd = os.pipe()
    os.set_blocking(read_fd, False)
    os.set_blocking(write_fd, False)
    before = {
        name: signal.getsignal(name) for name in (*_STOP_SIGNALS, signal.SIGCHLD, signal.SIGHUP)
    }
    for name in _STOP_SIGNALS:
        signal.signal(name, lambda number, frame: stop())
    signal.signal(signal.SIGHUP, lambda number, frame: reload())
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    previous = signal.set_wakeup_fd(write_fd, warn_on_full_buffer=False)
    try:
        yield read_fd
    finally:
        signal.set_wakeup_fd(previous)
        for name, handler in before.items():
            signal.signal(name, handler)
        os.close(read_fd)
        os.close(write_fd)
