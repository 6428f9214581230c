"""How fast the server and a command start, and how much memory the server takes at rest.

``python tests/perf/resting.py [--rounds 5] [--workers 2] [--accounts 10] [--rest SECONDS]
[--python FILE]``

- *greeting*: from the start of ``zajil serve`` to the first 220 of port 25;
- *command*: ``zajil account list`` from its start to its end;
- *at rest*: the proportional set (PSS, proc(5)) of each process of the server some seconds later:
  what it has for itself and its part of what it shares. Pages of files (programs, libraries) are
  also shared with other servers of this machine that run meanwhile, so stop those first.

The interpreter is the one that runs this, or the one that is named; what it imports is taken from
this one's path. Its compiled files are kept in a folder of their own and made before the first
round: an installed package has them. CPU is of the process and its ended children, so it moves
less than the time on a busy machine.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the kit

from kit.load import descendants, tree_cpu

_SERVICES = ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "web")
_POLL_SECONDS = 0.002
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Zajil:
    """A server that is set up, and how to call its program."""

    configuration: Path
    program: tuple[str, ...]
    environment: Mapping[str, str]

    def arguments(self, *more: str) -> list[str]:
        """Give the arguments of a command for this server."""
        return [*self.program, "--config", str(self.configuration), *more]


@dataclass(frozen=True, slots=True)
class Process:
    """Memory of one process in KiB."""

    anonymous: int
    """Its part of what is not in a file: objects, stacks."""
    files: int
    """Its part of mapped files: programs and libraries."""
    threads: int


@dataclass(frozen=True, slots=True)
class Start:
    """One start of the server. Seconds."""

    greeting: float
    cpu: float
    processes: tuple[Process, ...]
    """The supervisor, then the workers."""


def set_up(folder: Path, python: str, accounts: int) -> Zajil:
    """Set up a server, and compile everything that it and a command import."""
    environment = {
        name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
    }
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
    environment["PYTHONPATH"] = os.pathsep.join(filter(_is_ours, sys.path[1:]))
    program = (python, "-m", "zajil")
    made = [*program, "setup", "y.test", "--dir", str(folder / "mail"), "--admin", "b@y.test"]
    subprocess.run(made, check=True, env=environment, stdout=subprocess.DEVNULL)
    zajil = Zajil(folder / "mail" / "zajil.toml", program, environment)
    for number in range(1, accounts):
        subprocess.run(
            zajil.arguments("account", "add", f"person{number}@y.test"),
            check=True,
            env=environment,
            stdout=subprocess.DEVNULL,
        )
    return zajil


def _is_ours(folder: str) -> bool:
    """Whether it is no part of this interpreter: another one has a standard library of its own."""
    return not Path(folder).is_relative_to(sys.base_prefix) or "-packages" in folder


def time_command(zajil: Zajil) -> tuple[float, float]:
    """Give the time and the CPU of one command, in seconds."""
    before, begin = _ended_cpu(), time.perf_counter()
    subprocess.run(
        zajil.arguments("account", "list"),
        check=True,
        env=zajil.environment,
        stdout=subprocess.DEVNULL,
    )
    return time.perf_counter() - begin, _ended_cpu() - before


def start_once(zajil: Zajil, workers: int, rest_seconds: float) -> Start:
    """Start the server, wait for its greeting, let it rest, look, and stop it."""
    port = _free_port()
    settings = [f"server.workers={workers}", "log.level=warning"]
    settings += [f'listen.{service}=["127.0.0.1:0"]' for service in _SERVICES[1:]]
    settings += ["listen.http=[]", "listen.https=[]"]
    settings.append(f'listen.smtp=["127.0.0.1:{port}"]')
    options = [part for setting in settings for part in ("--set", setting)]
    begin = time.perf_counter()
    with _running(zajil.arguments(*options, "serve"), zajil.environment) as server:
        _wait_for_greeting(server, port)
        greeting = time.perf_counter() - begin
        cpu = tree_cpu([server.pid]).total
        time.sleep(rest_seconds)
        processes = tuple(map(look, descendants([server.pid])))
    return Start(greeting, cpu, processes)


def look(pid: int) -> Process:
    """Give the memory of a process now."""
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value, *_ = line.split()
        found[name.rstrip(":")] = int(value)
    threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    return Process(found["Pss_Anon"], found["Pss"] - found["Pss_Anon"], threads)


@contextmanager
def _running(
    arguments: list[str], environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    server = subprocess.Popen(arguments, env=environment)
    try:
        yield server
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(_PATIENCE_SECONDS)


def _wait_for_greeting(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise SystemExit(f"the server ended with status {server.returncode}")
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_SECONDS) as client:
                if client.recv(512).startswith(b"220 "):
                    return
        except OSError:
            time.sleep(_POLL_SECONDS)
    raise SystemExit("the server did not greet in time")


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as sock:
        return int(sock.getsockname()[1])


def _ended_cpu() -> float:
    used = os.times()
    return used.children_user + used.children_system


def _spread(seconds: list[float]) -> str:
    return f"**{statistics.median(seconds):.2f} s** ({min(seconds):.2f}..{max(seconds):.2f})"


def _mib(values: list[int]) -> float:
    return statistics.median(values) / 1024


def report(commands: list[tuple[float, float]], starts: list[Start]) -> None:
    """Print two tables of medians."""
    print("| what | time | CPU |")
    print("|---|---|---|")
    greeting, cpu = [one.greeting for one in starts], [one.cpu for one in starts]
    print(f"| `zajil serve` until the first greeting | {_spread(greeting)} | {_spread(cpu)} |")
    seconds, cpu = [one for one, _ in commands], [one for _, one in commands]
    print(f"| `zajil account list` | {_spread(seconds)} | {_spread(cpu)} |")
    print()
    print("| process at rest | PSS MiB | of objects and stacks | of mapped files | threads |")
    print("|---|---|---|---|---|")
    for number, looks in enumerate(zip(*(start.processes for start in starts), strict=True)):
        name = f"worker {number}" if number else "supervisor"
        objects, files = _mib([p.anonymous for p in looks]), _mib([p.files for p in looks])
        threads = statistics.median(p.threads for p in looks)
        print(f"| {name} | {objects + files:.1f} | {objects:.1f} | {files:.1f} | {threads:.0f} |")
    objects = _mib([sum(p.anonymous for p in start.processes) for start in starts])
    files = _mib([sum(p.files for p in start.processes) for start in starts])
    print(f"| all | **{objects + files:.1f}** | {objects:.1f} | {files:.1f} | |")


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description="start and rest of a server; see the file")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--accounts", type=int, default=10)
    parser.add_argument("--rest", type=float, default=5.0, metavar="SECONDS")
    parser.add_argument("--python", default=sys.executable, metavar="FILE")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="zajil-resting-") as folder:
        zajil = set_up(Path(folder), wanted.python, wanted.accounts)
        time_command(zajil)  # compiles
        start_once(zajil, wanted.workers, 0)
        commands, starts = [], []
        for _ in range(wanted.rounds):
            commands.append(time_command(zajil))
            starts.append(start_once(zajil, wanted.workers, wanted.rest))
        report(commands, starts)


if __name__ == "__main__":
    main()
