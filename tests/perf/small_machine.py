"""Whether a server with ten accounts works on a machine with 512 MB: rest, large mail, import.

``python tests/perf/small_machine.py [--limit-mib 400] [--messages 100000] [--dir FOLDER]``

The server with two workers and each command run in one memory control group of the kernel (version
1 or 2; needs root) with ``--limit-mib``: what a machine of 512 MB leaves beside its kernel and its
other programs. There is no swap. The kernel ends a process that needs more, and this script then
fails. For each step it prints the seconds, and the peak of the memory that programs of the group
have for themselves (sampled; pages of files can be dropped at any time and are not counted).
"""

from __future__ import annotations

import argparse
import imaplib
import os
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the kit

from kit.certificates import TestAuthority
from kit.installation import Installation, serving, set_up
from large_mail import send
from made_mailbox import made_messages

_GROUP_V1 = Path("/sys/fs/cgroup/memory")
_GROUP_V2 = Path("/sys/fs/cgroup")
_SAMPLE_SECONDS = 0.05
_LARGE = 50_000_000
_ACCOUNTS = 10


class Group:
    """A memory control group of its own."""

    def __init__(self, limit: int) -> None:
        self._is_first = (_GROUP_V1 / "memory.limit_in_bytes").exists()
        parent = _GROUP_V1 if self._is_first else _GROUP_V2
        self.folder = parent / f"zajil-small-{os.getpid()}"
        self.folder.mkdir()
        name = "memory.limit_in_bytes" if self._is_first else "memory.max"
        (self.folder / name).write_text(str(limit))
        if not self._is_first:
            (self.folder / "memory.swap.max").write_text("0")

    @property
    def prefix(self) -> tuple[str, ...]:
        """Return the words before a command that run it in the group."""
        enter = f'echo $$ > {self.folder}/cgroup.procs; exec "$@"'
        return ("sh", "-c", enter, "sh")

    def used(self) -> int:
        """Give the bytes that processes of the group have for themselves now."""
        wanted = "rss" if self._is_first else "anon"
        for line in (self.folder / "memory.stat").read_text().splitlines():
            name, value = line.split()
            if name == wanted:
                return int(value)
        raise RuntimeError("the kernel does not count memory of groups")

    def remove(self) -> None:
        """Remove the group; its processes have ended."""
        self.folder.rmdir()


@contextmanager
def watched(group: Group, name: str) -> Iterator[None]:
    """Print the seconds and the peak of what is done meanwhile."""
    peak, is_done = group.used(), threading.Event()

    def watch() -> None:
        nonlocal peak
        while not is_done.wait(_SAMPLE_SECONDS):
            peak = max(peak, group.used())

    thread = threading.Thread(target=watch)
    thread.start()
    begin = time.perf_counter()
    try:
        yield
    finally:
        seconds = time.perf_counter() - begin
        is_done.set()
        thread.join()
    print(f"| {name} | {seconds:.1f} s | {peak / 2**20:.0f} MiB |", flush=True)


class Machine:
    """The server, and what is done with it."""

    def __init__(self, group: Group, ours: Installation, folder: Path) -> None:
        self._group = group
        self._ours = ours
        self._folder = folder

    def command(self, *arguments: str, typed: str = "") -> None:
        """Run a command of Zajil in the group."""
        program = [sys.executable, "-m", "zajil", "--config", str(self._ours.configuration)]
        subprocess.run(
            [*self._group.prefix, *program, *arguments],
            check=True,
            input=typed.encode(),
            stdout=subprocess.DEVNULL,
        )

    def add_accounts(self) -> None:
        """Add the accounts beside the one that setup created."""
        for number in range(1, _ACCOUNTS):
            self.command("account", "add", f"person{number}@y.test", typed="correct horse 7391\n")

    def send_large(self, way: str) -> Callable[[], None]:
        """Return what sends a large mail."""

        def act() -> None:
            answer = send(self._ours, way, _LARGE)
            if not answer.startswith("250"):
                raise SystemExit(f"the server answered: {answer}")

        return act

    def read_large(self) -> None:
        """Read the newest message over IMAP, and search in all texts."""
        host, port = self._ours.address("imap")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with imaplib.IMAP4(host, port, timeout=600) as client:
            client.starttls(context)
            client.login(self._ours.login, self._ours.password)
            client.select("INBOX", readonly=True)
            read = sum(
                len(part[1])
                for part in client.fetch("*", "(BODY.PEEK[])")[1]
                if isinstance(part, tuple)
            )
            client.search(None, "TEXT", "pigeon")
        if read < _LARGE * 0.99:
            raise SystemExit(f"only {read} bytes were read")

    def write_mbox(self, count: int) -> Path:
        """Write the messages of the perf mailbox to an mbox file."""
        path = self._folder / "old.mbox"
        with path.open("wb") as out:
            for message in made_messages(count):
                out.write(b"From a@x.test Mon Nov 30 06:00:00 2026\n")
                out.write(message.data.replace(b"\r\n", b"\n").replace(b"\nFrom ", b"\n>From "))
                out.write(b"\n")
        return path


def steps(machine: Machine, messages: int) -> Iterator[tuple[str, Callable[[], None]]]:
    """Yield what is measured."""
    backup = machine._folder / "backup"
    mbox = machine.write_mbox(messages)
    yield f"{_ACCOUNTS - 1} accounts added", machine.add_accounts
    yield "rest", lambda: time.sleep(10)
    for way in ("DATA on port 25", "BDAT on port 25", "DATA on submission"):
        yield f"mail of 50 MB, {way}", machine.send_large(way)
    yield "the mail of 50 MB read over IMAP, texts searched", machine.read_large
    arguments = ("import", "mbox", "b@y.test", str(mbox))
    yield f"`import mbox` of {messages:,} messages", lambda: machine.command(*arguments)
    yield "`import mbox` again", lambda: machine.command(*arguments)
    yield "`backup create`", lambda: machine.command("backup", "create", "--target", str(backup))
    yield "`backup verify`", lambda: machine.command("backup", "verify", "--target", str(backup))
    yield "rest", lambda: time.sleep(10)


def measure(group: Group, folder: Path, messages: int) -> None:
    """Run all steps, and print a table."""
    tls = TestAuthority(folder).issue("mx.y.test")
    made = set_up(folder / "zajil")
    print("| step | time | peak of memory |\n|---|---|---|")
    with serving(made, tls, prefix=group.prefix) as ours:
        machine = Machine(group, ours, folder)
        for name, act in steps(machine, messages):
            with watched(group, name):
                act()


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure; a step that fails ends it."""
    parser = argparse.ArgumentParser(description="a server on a machine of 512 MB; see the file")
    parser.add_argument("--limit-mib", type=int, default=400)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--dir", type=Path, help="on the disk that is meant; default: temporary")
    wanted = parser.parse_args(arguments)
    group = Group(wanted.limit_mib * 2**20)
    try:
        with tempfile.TemporaryDirectory(prefix="zajil-small-", dir=wanted.dir) as name:
            measure(group, Path(name), wanted.messages)
    finally:
        group.remove()


if __name__ == "__main__":
    main()
