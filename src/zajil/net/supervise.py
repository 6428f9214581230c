"""Equal worker processes under one supervisor, in generations.

A reload starts a generation with the new configuration beside the old one, on the same sockets.
When all of its workers serve, the old ones retire: they accept no more, and end with their last
sessions. If one of the new ones ends before that, or they take too long, the old generation stays.

Laws:
- The supervisor holds no store, no thread and no event loop: it forks at any time.
- A worker of the current generation that dies is replaced at once if it had served; one that dies
  before it serves is replaced more and more slowly, and one that does not come to serve is killed.
  Others are not replaced.
- What the system refuses, such as a process, is asked for again: the workers that serve go on.
- Workers end when the supervisor does, however it ended: they watch a pipe whose other end only
  the supervisor holds.
- Workers tell the supervisor everything by a pipe; it never waits for a worker.
- SIGHUP never ends anything: it asks for a reload. Those that come while one is going on make one
  more together.
"""

from __future__ import annotations

import os
import signal
import time
import traceback
from contextlib import suppress

from zajil.net.generation import (
    REPORTS_BYTES,
    STOP_SERVER,
    ChildProcess,
    Generation,
    GenerationPlan,
    Owner,
    WorkerPipes,
    WorkerPlace,
    unpack_reports,
)
from zajil.net.process_signals import STOP_SIGNALS, how_it_ended, wait_readable, woken_by_signals
from zajil.net.service_manager import notify_service_manager, watchdog_seconds

_SLOWEST_RESTART_SECONDS = 30.0
_STEADY_SECONDS = 1.0
_SHORT_LIFE_PAUSE_SECONDS = 0.1
"""Between the death of a worker that served for less than ``_STEADY_SECONDS`` and the next: a
worker that dies of every mail must not take the whole machine."""
_NO_PROCESS_SECONDS = 5.0
"""After the system refused a process."""
_SWITCH_SECONDS = 120.0
"""For a new generation to serve, and for a worker that takes the place of one that ended."""
_LEAVE_SECONDS = 5.0
"""For old workers to stop accepting connections."""
_MAX_RETIRED = 4
"""Generations whose sessions go on; the oldest ends for one more: each takes memory."""
_OVERSLEPT_SECONDS = 5.0
"""Later than that, we were stopped or had no processor: the workers probably, too."""


class Supervisor:
    """Starts workers, replaces them, ends with them."""

    def __init__(
        self, owner: Owner, plan: GenerationPlan, *, slots: int, parent_fd: int | None = None
    ) -> None:
        """Prepare; nothing is forked before ``run``.

        Args:
            owner: is told of everything.
            plan: of the first generation.
            slots: how many workers may live at a time; at least twice as many as a plan has.
            parent_fd: end of file on it stops everything; a lab that dies takes its servers along.
        """
        self._owner = owner
        self._parent_fd = parent_fd
        self._free_slots = set(range(slots))
        self._stop_read, self._stop_write = os.pipe()
        self._report_read, self._report_write = os.pipe()
        os.set_blocking(self._report_write, False)
        os.set_blocking(self._report_read, False)
        self._number = 1  # of the newest generation
        self._current = Generation.planned(self._number, plan)
        self._next: Generation | None = None
        self._next_until = 0.0
        self._planned: GenerationPlan | None = None  # waits for room
        self._retired: list[Generation] = []  # the oldest first
        self._leaving: Generation | None = None  # retired, and may still accept connections
        self._leaving_until = 0.0
        self._is_up = False
        self._stopping = False
        self._reload_wanted = False
        self._gave_up = False
        self._watchdog = watchdog_seconds()
        self._watchdog_due = 0.0

    def run(self) -> int:
        """Keep workers alive until a signal; return 0, or 1 if one never served."""
        with woken_by_signals(self._begin_stop, self.ask_for_reload) as wake_fd:
            while not self._stopping:
                self._start_due()
                self._wait(wake_fd)
            self._stop_all(wake_fd)
        return 1 if self._gave_up else 0

    def ask_for_reload(self) -> None:
        """Reload soon."""
        self._reload_wanted = True

    @property
    def generations(self) -> list[Generation]:
        """Those that have workers: retired ones, the oldest first, the current one, the next."""
        return [*self._retired, self._current, *([self._next] if self._next else [])]

    def _workers(self) -> list[ChildProcess]:
        return [one for generation in self.generations for one in generation.workers.values()]

    def _starting(self) -> list[ChildProcess]:
        """Return the workers of a running server that take the place of others, and do not serve
        yet."""
        workers = self._current.workers.values() if self._is_up else ()
        return [one for one in workers if not (one.served or one.fault or one.kill_at)]

    # ---- the loop ----------------------------------------------------------------------------

    def _wait(self, wake_fd: int) -> None:
        own = [wake_fd, self._report_read]
        if self._parent_fd is not None:
            own.append(self._parent_fd)
        timeout = self._timeout()
        before = time.monotonic()
        readable = wait_readable([*own, *self._owner.descriptors()], timeout)
        overslept = time.monotonic() - before - (timeout or 0.0)
        if timeout is not None and overslept > _OVERSLEPT_SECONDS:
            for worker in self._workers():
                worker.heard += overslept
        with suppress(BlockingIOError):
            os.read(wake_fd, 512)
        if self._parent_fd is not None and self._parent_fd in readable:
            self._stopping = self._stopping or not os.read(self._parent_fd, 512)
        self._read_reports()
        self._bury()
        self._kill_late()
        for descriptor in readable - set(own):
            self._owner.readable(descriptor)
        if not self._stopping:
            self._go_on()

    def _timeout(self) -> float | None:
        """Return how long nothing has to be done, in seconds; ``None``: until something comes."""
        now = time.monotonic()
        times = [due for one in self.generations for due, _ in one.due.values()]
        times += [one.kill_at for one in self._workers() if one.kill_at is not None]
        times += [
            one.heard + one.generation.plan.silence_seconds
            for one in self._workers()
            if one.served and one.generation.plan.silence_seconds and one.kill_at is None
        ]
        times += [one.heard + _SWITCH_SECONDS for one in self._starting()]
        times += [self._next_until] if self._next is not None else []
        times += [self._leaving_until] if self._leaving is not None else []
        if self._watchdog is not None:
            times.append(self._watchdog_due)
        return max(0.01, min(times) - now) if times else None

    def _go_on(self) -> None:
        """Take the next step of whatever is under way."""
        if not self._is_up and self._current.serves:
            self._is_up = True
            self._owner.serving()
        if self._leaving is not None:
            if self._leaving.has_left or time.monotonic() > self._leaving_until:
                self._leaving = None
                self._owner.switched(self._current.number)
                self._forget_ended()
        elif self._next is not None:
            if self._next.serves:
                self._switch(self._next)
            elif time.monotonic() > self._next_until:
                seconds = round(_SWITCH_SECONDS)
                self._abandon(self._next, f"the new workers did not serve within {seconds} seconds")
        elif self._planned is not None:
            self._launch(self._planned)
        elif self._reload_wanted and self._is_up:
            self._reload_wanted = False
            reload = self._owner.reload()
            if reload.in_place:
                for worker in self._workers():
                    os.kill(worker.pid, signal.SIGHUP)  # not buried yet, so the id is its own
            self._planned = reload.plan
            if self._planned is not None:
                self._launch(self._planned)
        now = time.monotonic()
        if self._watchdog is not None and now >= self._watchdog_due:
            self._watchdog_due = now + self._watchdog
            if not any(worker.fault for worker in self._workers()):  # it cannot be killed
                notify_service_manager("WATCHDOG=1")

    def _read_reports(self) -> None:
        workers = {worker.pid: worker for worker in self._workers()}
        now = time.monotonic()
        with suppress(BlockingIOError):
            while data := os.read(self._report_read, REPORTS_BYTES):
                for pid, state in unpack_reports(data):
                    if (worker := workers.get(pid)) is not None:
                        worker.state = state
                        worker.heard = now

    # ---- generations -------------------------------------------------------------------------

    def _launch(self, plan: GenerationPlan) -> None:
        """Start the next generation, or first make room for it."""
        is_crowded = len(self._retired) >= _MAX_RETIRED
        has_slots = len(self._free_slots) >= plan.workers + len(self._current.due)
        if self._retired and (is_crowded or not has_slots):
            self._end(self._retired[0])
        if not has_slots:
            return
        self._planned = None
        self._number += 1
        self._next = Generation.planned(self._number, plan)
        self._next_until = time.monotonic() + _SWITCH_SECONDS

    def _switch(self, new: Generation) -> None:
        old, self._current, self._next = self._current, new, None
        old.retire()
        self._retired.append(old)
        self._leaving, self._leaving_until = old, time.monotonic() + _LEAVE_SECONDS

    def _abandon(self, new: Generation, reason: str) -> None:
        """Keep the old generation; what the new one accepted already may end by itself."""
        self._next = None
        new.retire()
        self._retired.append(new)
        for worker in new.workers.values():
            if not worker.served:
                os.kill(worker.pid, signal.SIGKILL)
        self._owner.not_switched(reason)
        self._forget_ended()

    def _end(self, generation: Generation) -> None:
        """Have the workers of an old generation end their sessions."""
        for worker in generation.workers.values():
            if worker.kill_at is None:
                worker.kill_at = time.monotonic() + generation.plan.grace_seconds
                os.kill(worker.pid, signal.SIGTERM)

    def _forget_ended(self) -> None:
        for generation in list(self._retired):
            if not generation.workers and generation is not self._leaving:
                self._retired.remove(generation)
                self._owner.retired(generation.number)

    # ---- workers -----------------------------------------------------------------------------

    def _start_due(self) -> None:
        now = time.monotonic()
        for generation in self.generations:
            for index, (due, failures) in list(generation.due.items()):
                if due <= now and not self._stopping:
                    del generation.due[index]
                    self._start(generation, index, failures)

    def _start(self, generation: Generation, index: int, failures: int) -> None:
        slot = min(self._free_slots)
        self._owner.takes_slot(slot)
        pipes = WorkerPipes(self._stop_read, generation.retire_read, self._report_write)
        place = WorkerPlace(slot, index, generation.number, pipes)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        try:
            pid = os.fork()
        except OSError as error:  # no more processes, or no memory
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
            self._owner.left_slot(slot)
            self._owner.cannot_start_worker(str(error))
            generation.due[index] = (time.monotonic() + _NO_PROCESS_SECONDS, failures)
            return
        if pid:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
            now = time.monotonic()
            self._free_slots.discard(slot)
            generation.workers[pid] = ChildProcess(
                pid=pid,
                slot=slot,
                index=index,
                generation=generation,
                started=now,
                failures=failures,
                heard=now,
            )
            return
        status = 1
        try:
            self._leave_to_the_supervisor()
            for name in (*STOP_SIGNALS, signal.SIGCHLD, signal.SIGHUP):
                signal.signal(name, signal.SIG_DFL)
            signal.set_wakeup_fd(-1)
            status = generation.plan.run_worker(place)
        except BaseException:
            traceback.print_exc()  # nobody above us is left to tell it
        finally:
            # Not sys.exit: the child must not unwind into the supervisor's frames.
            os._exit(status)

    def _leave_to_the_supervisor(self) -> None:
        """Close in a child what only the supervisor may hold, or others would not see its end."""
        os.close(self._stop_write)
        os.close(self._report_read)
        for generation in self.generations:
            if not generation.is_retired:
                os.close(generation.retire_write)
        self._owner.leave()

    def _bury(self) -> None:
        for worker in self._workers():
            pid, status = os.waitpid(worker.pid, os.WNOHANG)
            if not pid:
                continue
            generation = worker.generation
            del generation.workers[pid]
            self._free_slots.add(worker.slot)
            self._owner.left_slot(worker.slot)
            if not self._stopping:
                how = worker.fault or how_it_ended(status)
                if os.waitstatus_to_exitcode(status) == STOP_SERVER:
                    self._gave_up = self._stopping = True
                self._take_note(worker, how, is_orderly=status == 0 or worker.kill_at is not None)
        if not self._stopping:
            self._forget_ended()

    def _take_note(self, worker: ChildProcess, how: str, *, is_orderly: bool) -> None:
        """Replace a worker that ended, if it is of the current generation."""
        generation = worker.generation
        pipes = WorkerPipes(self._stop_read, generation.retire_read, self._report_write)
        place = WorkerPlace(worker.slot, worker.index, generation.number, pipes)
        if generation.is_retired:
            if not is_orderly and worker.served:
                self._owner.worker_ended(place, worker.pid, how, is_replaced=False)
            return
        is_current = generation is self._current
        self._owner.worker_ended(place, worker.pid, how, is_replaced=is_current)
        if not is_current:
            self._abandon(generation, f"a new worker {how}")
            return
        lived = time.monotonic() - worker.started
        failures = 0 if worker.served else worker.failures + 1
        pause = min(_SLOWEST_RESTART_SECONDS, 0.05 * 2 ** min(failures, 10))
        if worker.served:
            pause = _SHORT_LIFE_PAUSE_SECONDS if lived < _STEADY_SECONDS else 0.0
        generation.due[worker.index] = (time.monotonic() + pause, failures)
        if not self._is_up and failures >= 3:
            self._gave_up = self._stopping = True  # it never served; a restart mends nothing

    def _kill_late(self) -> None:
        """Kill workers that do not end in time, and those that show no sign of life."""
        now = time.monotonic()
        for generation in self.generations:
            for worker in generation.silent(now):
                if worker.kill_at is None:
                    seconds = round(generation.plan.silence_seconds)
                    worker.fault = f"did not respond for {seconds} seconds and was killed"
                    os.kill(worker.pid, signal.SIGKILL)
                    worker.heard = now
        for worker in self._starting():
            if now - worker.heard > _SWITCH_SECONDS:
                seconds = round(_SWITCH_SECONDS)
                worker.fault = f"did not serve within {seconds} seconds and was killed"
                os.kill(worker.pid, signal.SIGKILL)
        for worker in self._workers():
            if worker.kill_at is not None and now > worker.kill_at:
                os.kill(worker.pid, signal.SIGKILL)
                worker.kill_at = now + _SLOWEST_RESTART_SECONDS

    # ---- the end -----------------------------------------------------------------------------

    def _begin_stop(self) -> None:
        self._stopping = True

    def _stop_all(self, wake_fd: int) -> None:
        self._owner.stopping()
        os.close(self._stop_write)
        grace = max(one.plan.grace_seconds for one in self.generations)
        end = time.monotonic() + grace
        while self._workers() and (left := end - time.monotonic()) > 0:
            wait_readable([wake_fd], min(left, 0.5))
            with suppress(BlockingIOError):
                os.read(wake_fd, 512)
            self._bury()
        for worker in self._workers():
            os.kill(worker.pid, signal.SIGKILL)
        for worker in self._workers():
            os.waitpid(worker.pid, 0)
