"""What a process without an event loop waits for: signals, descriptors, ends of children."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def wait_readable(descriptors: Sequence[int], timeout: float | None) -> set[int]:
    """Return which can be read. Not select: there may be more than 1024 listening sockets."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    milliseconds = None if timeout is None else int(timeout * 1000) + 1
    return {descriptor for descriptor, _ in poll.poll(milliseconds)}


def how_it_ended(status: int) -> str:
    """Say in words what ``waitpid`` told of a process."""
    code = os.waitstatus_to_exitcode(status)
    return f"ended with status {code}" if code >= 0 else f"killed by {signal.Signals(-code).name}"


@contextmanager
def woken_by_signals(stop: Callable[[], None], reload: Callable[[], None]) -> Iterator[int]:
    """Return a descriptor that becomes readable with every signal we care for."""
    read_fd, write_fd = os.pipe()
    os.set_blocking(read_fd, False)
    os.set_blocking(write_fd, False)
    before = {
        name: signal.getsignal(name) for name in (*STOP_SIGNALS, signal.SIGCHLD, signal.SIGHUP)
    }
    for name in STOP_SIGNALS:
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
