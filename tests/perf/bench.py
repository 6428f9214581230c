"""Zajil beside Postfix, in turns, on this machine: `./test perf` or `python tests/perf/bench.py`.

Three questions, each answered by both servers in every round:
- accept: how many durable mails a second; Postfix puts them on hold, its best mode;
- relay: until the mails are at the next server, an smtp-sink;
- deliver: until they lie in the mailbox: Zajil's are counted by IMAP, Postfix's in a maildir.

Compare only the ratios: the figures belong to the machine and the minute. Needs root and Debian's
package postfix.
"""

from __future__ import annotations

import argparse
import asyncio
import imaplib
import json
import os
import platform
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from zajil.lab.dns_server import DnsServer
from zajil.lab.zones import Record, Zone
from zajil.testing.foreign import find_program
from zajil.testing.load import Load, Run, measure, running_sink
from zajil.testing.postfix import HOLD, maildirs, relay_to, running_postfix

_ZAJIL = [sys.executable, "-m", "zajil"]
_WARM_UP = 100


@dataclass(frozen=True, slots=True)
class Server:
    """One of the two, started and ready."""

    name: str
    address: str
    pid: int
    recipient: str
    arrived: Callable[[], int] | None = None

    def run(self, load: Load) -> Run:
        """Take one load."""
        return measure(load, self.address, [self.pid], self.arrived)


@dataclass(frozen=True, slots=True)
class Installation:
    """A real installation of ours that runs."""

    configuration: Path
    services: dict[str, list[str]]
    pid: int
    login: str
    password: str


@contextmanager
def zajil(folder: Path, *settings: str) -> Iterator[Installation]:
    """Set up and serve, with two workers."""
    setup = ["setup", "y.test", "--dir", str(folder), "--admin", "b@y.test", "--json"]
    done = subprocess.run([*_ZAJIL, *setup], check=True, stdout=subprocess.PIPE)
    made = json.loads(done.stdout)
    services = ("smtp", "submission", "submissions", "imap", "imaps", "web")
    options = ["server.workers=2", "limits.sessions_per_address=0", "log.level=warning"]
    options += [f'listen.{service}=["127.0.0.1:0"]' for service in services]
    arguments = [part for option in [*options, *settings] for part in ("--set", option)]
    read, write = os.pipe()
    server = subprocess.Popen(
        [*_ZAJIL, "--config", made["config"], *arguments, "serve", "--ready-fd", str(write)],
        pass_fds=(write,),
    )
    os.close(write)
    try:
        with open(read) as ready:
            line = ready.readline()
        if not line:
            raise RuntimeError("zajil did not start")
        account = made["account"]
        yield Installation(
            configuration=Path(made["config"]),
            services=json.loads(line),
            pid=server.pid,
            login=account["login"],
            password=account["password"],
        )
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


@contextmanager
def zajil_accept(folder: Path) -> Iterator[Server]:
    """Accepts for a mailbox of its own: that is one commit, and the delivery."""
    with zajil(folder) as ours:
        yield Server("zajil", ours.services["smtp"][0], ours.pid, "b@y.test")


@contextmanager
def zajil_relay(folder: Path, sink: str, sunk: Callable[[], int]) -> Iterator[Server]:
    """Passes on what comes for an alias that stands for an address elsewhere."""
    port = sink.rpartition(":")[2]
    with running_name_server() as nameserver:
        options = [f'dns.nameservers=["{nameserver}"]', f"deliver.port={port}"]
        with zajil(folder, *options) as ours:
            alias = ["alias", "add", "away@y.test", "c@z.test"]
            command = [*_ZAJIL, "--config", str(ours.configuration), *alias]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            yield Server("zajil", ours.services["smtp"][0], ours.pid, "away@y.test", sunk)


@contextmanager
def zajil_deliver(folder: Path) -> Iterator[Server]:
    """Delivers; IMAP says how many messages are there."""
    with zajil(folder) as ours:
        host, _, port = ours.services["imap"][0].rpartition(":")
        tls = ssl.create_default_context()
        tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE  # self-signed, on loopback
        with imaplib.IMAP4(host, int(port)) as client:
            client.starttls(tls)
            client.login(ours.login, ours.password)

            def count() -> int:
                _, answer = client.status("INBOX", "(MESSAGES)")
                return int(bytes(answer[0]).rpartition(b"MESSAGES ")[2].rstrip(b")"))

            yield Server("zajil", ours.services["smtp"][0], ours.pid, "b@y.test", count)


@contextmanager
def postfix(
    folder: Path, settings: dict[str, str], arrived: Callable[[], int] | None = None
) -> Iterator[Server]:
    """A private instance of Postfix."""
    with running_postfix(folder, free_port(), settings) as running:
        name = f"postfix {running.version}"
        yield Server(name, running.address, running.master_pid, "b@y.test", arrived)


@contextmanager
def running_name_server() -> Iterator[str]:
    """A name server for z.test, in a thread of its own."""
    zone = Zone(
        "",
        (
            Record("", "SOA", "ns.test. postmaster.test. 1 1 1 1 5"),
            Record("z.test", "MX", "10 mx.z.test."),
            Record("mx.z.test", "A", "127.0.0.1"),
        ),
    )
    loop = asyncio.new_event_loop()
    server = DnsServer([zone])
    loop.run_until_complete(server.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.address
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(server.close())
        loop.close()


def free_port() -> int:
    """Give a port that is free now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def in_turns(servers: Sequence[Server], mails: int, rounds: int) -> dict[str, list[list[Run]]]:
    """Measure both servers in turns; the runs of each, by mode."""
    results: dict[str, list[list[Run]]] = {}
    for server in servers:
        server.run(Load(_WARM_UP, recipient=server.recipient, keep=True))
    for _ in range(rounds):
        for keep, mode in ((False, "one a connection"), (True, "many a connection")):
            runs = results.setdefault(mode, [[] for _ in servers])
            for server, taken in zip(servers, runs, strict=True):
                taken.append(server.run(Load(mails, recipient=server.recipient, keep=keep)))
    return results


def report(question: str, servers: Sequence[Server], results: dict[str, list[list[Run]]]) -> None:
    """Print medians, spreads and the ratio of one question."""
    for mode, runs in results.items():
        medians = []
        for server, taken in zip(servers, runs, strict=True):
            rates = [run.mails_per_second for run in taken]
            cpu = statistics.median(run.cpu_us_per_mail for run in taken)
            medians.append(statistics.median(rates))
            print(
                f"{question:8} {mode:18} {server.name:16} {medians[-1]:7.0f} mails/s "
                f"({min(rates):.0f} to {max(rates):.0f})  {cpu:6.0f} us CPU a mail"
            )
        print(f"{question:8} {mode:18} {'ratio':16} {medians[0] / medians[1]:7.2f}", flush=True)


def ask(question: str, base: Path, mails: int, rounds: int) -> None:
    """Start both servers for one question, measure, report."""
    with ExitStack() as stack:
        enter = stack.enter_context
        ours, theirs = base / f"{question}-zajil", base / f"{question}-postfix"
        if question == "accept":
            servers = [enter(zajil_accept(ours)), enter(postfix(theirs, HOLD))]
        elif question == "relay":
            first, second = enter(running_sink(free_port())), enter(running_sink(free_port()))
            servers = [
                enter(zajil_relay(ours, first.address, first.count)),
                enter(postfix(theirs, relay_to(second.address), second.count)),
            ]
        else:
            box = theirs / "mail" / "b" / "new"
            maildir = postfix(theirs, maildirs(theirs / "mail"), lambda: count_files(box))
            servers = [enter(zajil_deliver(ours)), enter(maildir)]
        report(question, servers, in_turns(servers, mails, rounds))


def count_files(folder: Path) -> int:
    """Count what lies in a maildir's folder."""
    return sum(1 for _ in os.scandir(folder)) if folder.exists() else 0


def main() -> int:
    """Run the benchmark; give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("questions", nargs="*", default=["accept", "relay", "deliver"])
    parser.add_argument("--mails", type=int, default=3000, help="of each run")
    parser.add_argument("--rounds", type=int, default=5, help="runs of which the median counts")
    parser.add_argument("--dir", type=Path, help="on the disk that is meant; default: temporary")
    arguments = parser.parse_args()
    if os.geteuid() != 0 or find_program("smtp-source") is None:
        print("the benchmark needs root and Postfix: apt-get install postfix", file=sys.stderr)
        return 1
    print(f"{platform.platform()}, {os.cpu_count()} processors, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory(prefix="zajil-bench-", dir=arguments.dir) as folder:
        # Users postfix and mail must reach their instance below it.
        Path(folder).chmod(0o755)
        for question in arguments.questions:
            ask(question, Path(folder), arguments.mails, arguments.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
