"""The supervisor by itself, with workers that do nothing: what if they do not start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAM = '''
import os, resource, signal, sys, time
import zajil.net.supervise as supervise
from zajil.net.generation import STOP_SERVER, GenerationPlan, Reload, WorkerState

supervise._SWITCH_SECONDS = 1.0
supervise._NO_PROCESS_SECONDS = 0.1


class Owner:
    """Says on standard output what it is told."""

    def __getattr__(self, name):
        return lambda *arguments, **others: say(name, *arguments, *others.values())

    takes_slot = left_slot = leave = lambda self, slot=0: None

    def descriptors(self):
        return ()

    def reload(self):
        return Reload(plan=plan)


def say(*words):
    # Not print: a signal handler may interrupt it and say something itself.
    os.write(1, " ".join([*map(str, words), os.linesep]).encode())


def work(place):
    try:
        if os.read(int(sys.argv[1]), 1) == b"e":
            return STOP_SERVER
        time.sleep(100)
    except BlockingIOError:
        pass
    place.pipes.report(WorkerState.SERVES)
    os.read(place.pipes.stop_fd, 1)
    return 0


def limit(number, frame):
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    resource.setrlimit(resource.RLIMIT_NPROC, (0 if number == signal.SIGUSR1 else hard, hard))
    say("limited")


signal.signal(signal.SIGUSR1, limit)
signal.signal(signal.SIGUSR2, limit)
if os.geteuid() == 0:
    os.setuid(65534)
plan = GenerationPlan(work, workers=2)
say("pid", os.getpid())
sys.exit(supervise.Supervisor(Owner(), plan, slots=8).run())
'''


class Supervised:
    """A supervisor that runs, and what its owner was told."""

    def __init__(self, process: subprocess.Popen[str], hang_fd: int) -> None:
        self.process = process
        self.hang_fd = hang_fd
        """A byte that is written here makes the next worker hang, or end the server (``e``)."""
        self.told: list[str] = []

    def wait_for(self, word: str) -> str:
        """Wait until the owner is told something that begins with a word."""
        assert self.process.stdout is not None
        while not self.told or not self.told[-1].startswith(word):
            line = self.process.stdout.readline()
            assert line, self.told
            self.told.append(line)
        return self.told[-1]

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        pid = self.process.pid
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def allow_processes(self, allowed: bool) -> None:
        """Let the system give it new processes, or none."""
        self.process.send_signal(signal.SIGUSR2 if allowed else signal.SIGUSR1)
        self.wait_for("limited")


@contextmanager
def supervised(status: int = 0) -> Iterator[Supervised]:
    """Run a supervisor of two workers, which ends with a status."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    command = [sys.executable, "-c", PROGRAM, str(read)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, pass_fds=(read,)) as process:
        running = Supervised(process, write)
        try:
            running.wait_for("serving")
            yield running
        finally:
            if not status:
                process.terminate()
            assert process.wait(60) == status
            os.close(read)
            os.close(write)


def until(happened: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_system_without_processes_ends_no_server() -> None:
    with supervised() as running:
        first, second = running.workers()
        running.allow_processes(False)
        os.kill(first, signal.SIGKILL)
        assert "unavailable" in running.wait_for("cannot_start_worker")
        running.process.send_signal(signal.SIGHUP)
        running.wait_for("cannot_start_worker")
        assert second in running.workers()
        running.allow_processes(True)
        running.wait_for("switched 2")


def test_a_worker_that_hangs_while_it_starts_is_replaced() -> None:
    with supervised() as running:
        first, second = running.workers()
        os.write(running.hang_fd, b"x")
        os.kill(first, signal.SIGKILL)
        assert "SIGKILL" in running.wait_for("worker_ended")
        running.told.clear()
        assert "did not serve within 1 seconds" in running.wait_for("worker_ended")
        until(lambda: len(running.workers()) == 2)
        assert second in running.workers()


def test_a_worker_that_knows_that_none_may_serve_ends_the_server() -> None:
    with supervised(status=1) as running:
        os.write(running.hang_fd, b"e")
        os.kill(running.workers()[0], signal.SIGKILL)
        running.wait_for("stopping")
