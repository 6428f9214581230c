"""Group commit: what waits together is written together.

Laws:
- ``await write(...)`` returns after the commit that holds the item is on disk, never before.
- Every item gets an answer: its result, its own error, or ``StoreUnavailable``.
- If COMMIT itself fails, nothing is tried again here: it may be on disk. Nobody gets a 250; the
  peer sends again: a duplicate, never a loss.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.errors import InternalError
from zajil.store.engine.batch import Batch, Topic, begin_batch, seal_batch
from zajil.store.engine.dialect import Dialect, Fault
from zajil.store.engine.errors import StoreFull, StoreUnavailable, one_line
from zajil.store.mail.caps import Caps

T = TypeVar("T")
R = TypeVar("R")

Transaction: TypeAlias = Connection
"""What a unit of work is given: for those that combine units without SQL."""

Unit = Callable[[Connection, Sequence[T]], list[R]]
"""Runs inside the transaction on all items that wait for it; gives one result per item. It does
no other I/O, and may run a second time."""

GATHER_SECONDS = 0.001
"""How long the first of several mails waits for others; a commit takes 0.2 to 4 ms on a disk."""
_RUNS = 7
"""How often a batch is run when another node's locks are in its way, or its connection is lost."""
_IMPATIENT_RUNS = 3
"""The first runs of a batch that wait for a lock only for a moment."""
_PAUSE_SECONDS = 0.02
"""At most so long between the first two runs; twice as long each time: 1.3 seconds in all."""


@dataclass(frozen=True, slots=True)
class _Job:
    unit: Unit[Any, Any]
    item: Any
    future: asyncio.Future[Any] | None
    """``None``: nobody waits."""
    alone: bool = False
    """It shares its commit with no other job."""


_Outcome = tuple[_Job, Any, Exception | None]
"""A job, and its result or its error."""


@dataclass(slots=True)
class _Done:
    """What came of some jobs."""

    outcomes: list[_Outcome] = field(default_factory=list)
    touched: set[Topic] = field(default_factory=set)
    notes: list[Any] = field(default_factory=list)


class Writer:
    """Runs units of work in batches, in a thread of its own, one commit for all that wait."""

    def __init__(
        self,
        dialect: Dialect,
        *,
        max_batch: int,
        caps: Caps,
        require_space: Callable[[], None],
        now_ms: Callable[[], int],
        after_commit: Callable[[Connection, Batch], None],
        announce: Callable[[Set[Topic]], None],
        observe: Callable[[Sequence[Any]], None],
        lose: Callable[[Unit[Any, Any], Any, Exception], None],
    ) -> None:
        self._dialect = dialect
        self._max_batch = max_batch
        self._caps = caps
        self._require_space = require_space
        self._now_ms = now_ms
        self._after_commit = after_commit
        """Called in the thread that committed."""
        self._announce = announce
        """Called in the event loop, before the callers go on."""
        self._observe = observe
        """Called in the event loop, after the callers were woken, with the notes of the commits."""
        self._lose = lose
        """Called in the event loop for each job that failed and that nobody waits for."""
        self._waiting: deque[_Job] = deque()
        """The loop puts jobs in; the thread takes them out, once it has the turn."""
        self._signals: queue.SimpleQueue[bool] = queue.SimpleQueue()
        """To the thread: true, there are jobs; false, end."""
        self._busy = False
        """The thread was signalled and has not answered yet. Known to the loop alone."""
        self._gathering: asyncio.Handle | None = None
        """When the thread will be signalled. Known to the loop alone."""
        self._last_size = 0
        self._closed: str | None = "the store is not started"
        self._thread: threading.Thread | None = None
        self._kept: Connection | None = None
        """The thread's connection between two commits. Known to the thread alone."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self.commits = 0
        """Transactions committed so far, for tests."""
        self.watch: Callable[[float, Sequence[_Outcome]], None] = lambda _seconds, _outcomes: None
        """For metrics: told in the thread how long a batch took, and what came of it."""

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the thread; callers wait in ``loop``."""
        self._loop, self._closed = loop, None
        self._thread = threading.Thread(target=self._work, name="zajil-writer", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Write what waits, then end the thread. Later writes raise ``StoreUnavailable``."""
        self._end("the store is closed")
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    async def write(self, unit: Unit[T, R], item: T, *, alone: bool = False) -> R:
        """Run ``unit(tx, [item, ...])`` in the next batch; give this item's result.

        Waits for the commit. Cancelled, the item is written all the same.

        Args:
            unit: the unit of work.
            item: what it takes.
            alone: it may take long or be refused, and shall cost no other item anything.

        Raises:
            StoreUnavailable: it may or may not be on disk: answer 4yz.
        """
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._put(_Job(unit, item, future, alone))
        return await future

    def write_later(self, unit: Unit[T, R], item: T) -> None:
        """Run a unit in the next batch and let nobody wait for it; of a failure, ``lose`` hears."""
        try:
            self._put(_Job(unit, item, None))
        except StoreUnavailable as error:
            self._lose(unit, item, error)

    def write_now(self, unit: Unit[T, R], item: T) -> R:
        """Run a unit in this thread, in a commit of its own: for the command line.

        Raises:
            StoreUnavailable: it may or may not be on disk.
        """
        done = self._run([_Job(unit, item, None)])
        self._answer(replace(done, outcomes=[]))
        ((_, result, error),) = done.outcomes
        if error is not None:
            raise error
        return cast("R", result)

    # ---- the thread -----------------------------------------------------------------------------

    def _put(self, job: _Job) -> None:
        if self._closed is not None:
            raise StoreUnavailable(self._closed)
        self._waiting.append(job)
        if self._closed is not None and job in self._waiting:
            # The thread died in between, and has answered all it found; this one it did not see.
            self._waiting.remove(job)
            raise StoreUnavailable(self._closed)
        if not self._busy and self._gathering is None:
            self._gather()

    def _gather(self) -> None:
        """Signal the thread soon: at once for one caller, a little later where several wait.

        A commit costs half a millisecond of CPU, however many mails it holds, and beside a busy
        loop every signal to the thread costs a change of the GIL. So where mails come together,
        those that are nearly here are worth waiting for: until as many wait as shared the last one.
        """
        if self._loop is None:
            raise RuntimeError("a job before start")
        enough = min(self._last_size, self._max_batch)
        if enough > 1 and len(self._waiting) < enough:
            self._gathering = self._loop.call_later(GATHER_SECONDS, self._signal)
        else:
            self._gathering = self._loop.call_soon(self._signal)

    def _signal(self) -> None:
        self._gathering = None
        self._busy = True
        self._signals.put(True)

    def _end(self, reason: str) -> None:
        if self._closed is None:
            self._closed = reason
            self._signals.put(False)

    def _work(self) -> None:
        jobs: list[_Job] = []
        try:
            go_on = True
            while go_on or self._waiting:
                go_on = go_on and self._signals.get()
                # The turn first: what comes while another process has it shares this commit.
                with self._dialect.turn:
                    jobs = self._take()
                    began = time.perf_counter()
                    done = self._run(jobs) if jobs else _Done()
                if jobs:
                    self.watch(time.perf_counter() - began, done.outcomes)
                    self._last_size = self._last_size if jobs[0].alone else len(jobs)
                jobs = []
                self._answer(done)
        except BaseException as error:
            # Nothing may end this thread silently: whoever waits would wait for ever.
            self._closed = f"the writer failed: {error!r}"
            jobs += self._waiting
            self._answer(_Done([(job, None, StoreUnavailable(repr(error))) for job in jobs]))
            raise
        finally:
            kept, self._kept = self._kept, None
            if kept is not None:
                kept.close()

    def _take(self) -> list[_Job]:
        """Take what waits, up to ``max_batch``; what shall be alone, alone."""
        jobs: list[_Job] = []
        while self._waiting and len(jobs) < self._max_batch:
            if jobs and (jobs[0].alone or self._waiting[0].alone):
                break
            jobs.append(self._waiting.popleft())
        return jobs

    def _answer(self, done: _Done) -> None:
        """Wake all callers with one call into their loop."""
        lost: list[tuple[_Job, Exception]] = []

        def settle() -> None:
            try:
                self._announce(done.touched)
            finally:  # a subscriber's bug must not cost a caller its answer
                for job, result, error in done.outcomes:
                    if job.future is None and error is not None:
                        lost.append((job, error))
                    if job.future is None or job.future.done():
                        continue
                    if error is None:
                        job.future.set_result(result)
                    else:
                        job.future.set_exception(error)
                self._busy = False
                if self._waiting and self._gathering is None and self._loop is not None:
                    self._gather()
            if self._loop is None or self._loop.is_closed():
                tell()
            elif done.notes or lost:
                self._loop.call_soon(tell)  # behind the callers, who have a 250 to send

        def tell() -> None:
            self._observe(done.notes)
            for job, error in lost:
                self._lose(job.unit, job.item, error)

        if self._loop is None or self._loop.is_closed():
            settle()  # nobody waits here
        else:
            self._loop.call_soon_threadsafe(settle)

    # ---- one batch ------------------------------------------------------------------------------

    def _run(self, jobs: Sequence[_Job]) -> _Done:
        try:
            results, batch = self._commit_stubbornly(jobs)
            outcomes: list[_Outcome] = [(job, result, None) for job, result in results]
            return _Done(outcomes, batch.touched, batch.notes)
        except _UnitFailed as failed:
            if len(jobs) == 1:
                return _Done([(jobs[0], None, failed.reason)])
        except StoreUnavailable as error:
            return _Done([(job, None, type(error)(str(error))) for job in jobs])
        # A unit refused, and nothing is on disk: find the guilty, spare the others. No savepoint
        # per unit instead: it would double the cost of every batch for the sake of a rare one.
        done = _Done()
        for job in jobs:
            alone = self._run([job])
            done.outcomes += alone.outcomes
            done.touched |= alone.touched
            done.notes += alone.notes
        return done

    def _commit_stubbornly(self, jobs: Sequence[_Job]) -> tuple[_Results, Batch]:
        for run in range(_RUNS - 1):
            with contextlib.suppress(_Again):
                return self._commit(jobs, is_patient=run >= _IMPATIENT_RUNS)
            # Two processes whose batches wait for each other would do so again at once.
            time.sleep(random.uniform(0, _PAUSE_SECONDS * 2**run))  # noqa: S311 (no secret)
        try:
            return self._commit(jobs, is_patient=True)
        except _Again as again:
            raise StoreUnavailable(f"the database rejected the write: {again}") from again

    def _commit(self, jobs: Sequence[_Job], *, is_patient: bool) -> tuple[_Results, Batch]:
        batch = Batch(self._require_space, self._now_ms(), self._caps)
        asked = False  # whether COMMIT may have been sent
        try:
            with self._dialect.turn, self._connected() as conn:
                self._dialect.tidy(conn)
                with conn.begin():
                    if is_patient:
                        self._dialect.be_patient(conn)
                    begin_batch(conn, batch)
                    results = _run_units(conn, jobs)
                    seal_batch(conn, batch)
                    asked = True
                self.commits += 1
                self._after_commit(conn, batch)
        except sa.exc.DBAPIError as error:
            raise self._judge(error, asked) from error
        except (_UnitFailed, StoreUnavailable):
            raise
        except Exception as error:  # no lock, no folder, a bug: it may be on disk or not
            raise StoreUnavailable(f"the commit failed: {error!r}") from error
        return results, batch

    @contextlib.contextmanager
    def _connected(self) -> Iterator[Connection]:
        """Return the connection of the writer's thread, which keeps it until something fails.

        To take one from the pool and give it back costs as much as a statement or two.
        """
        if threading.current_thread() is not self._thread:
            with self._dialect.writer.connect() as conn:
                yield conn
            return
        kept, self._kept = self._kept, None
        conn = kept or self._dialect.writer.connect()
        try:
            yield conn
        except BaseException:
            conn.close()
            raise
        if conn.invalidated or conn.in_transaction():
            conn.close()
        else:
            self._kept = conn

    def _judge(self, error: sa.exc.DBAPIError, asked: bool) -> Exception:
        fault, text = self._dialect.fault(error), one_line(error.orig)
        if fault is Fault.FULL and (asked or error.statement is None):
            return StoreFull(f"the disk of the database is full: {text}")
        if asked or fault is Fault.ILL or error.statement is None:
            return StoreUnavailable(f"the database failed: {text}")
        if fault in (Fault.PASSING, Fault.LOST):
            return _Again(text)
        if fault is Fault.FULL:
            return _UnitFailed(StoreFull(f"the disk of the database is full: {text}"))
        return _UnitFailed(error)


_Results = list[tuple[_Job, Any]]


def _run_units(tx: Connection, jobs: Sequence[_Job]) -> _Results:
    by_unit: dict[Unit[Any, Any], list[_Job]] = {}
    for job in jobs:
        by_unit.setdefault(job.unit, []).append(job)
    results: _Results = []
    for unit, group in by_unit.items():
        try:
            given = unit(tx, [job.item for job in group])
        except sa.exc.DBAPIError:
            raise
        except Exception as error:
            raise _UnitFailed(error) from error
        results += zip(group, given, strict=True)
    return results


class _UnitFailed(InternalError):
    """A unit raised before COMMIT was sent, so the whole batch was rolled back."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


class _Again(InternalError):
    """Nothing is on disk, and the same batch may work the next time."""
