"""Zajil beside other mail servers, in turns, on this machine.

``./test perf`` is short; ``python tests/perf/bench.py QUESTION...`` takes its time. Questions:

- accept: durable mails a second; the others only queue, Postfix on hold: their best mode;
- starttls-fresh, starttls-resumed: the same, encrypted, with a new TLS session or a resumed one;
- relay: until the mails are at the next server, an smtp-sink;
- deliver: until they lie in the mailbox: Zajil's are counted by IMAP, Postfix's in a maildir.

Compare ratios of one run only: the figures belong to the machine and the minute. Needs root and
Debian's package postfix; docs/performance.md says how to get the other peers, and what it means.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the kit

import peers
from kit.certificates import TestAuthority
from kit.foreign import find_program
from kit.load import count_syncs, running_sink
from kit.postfix import maildirs, relay_to
from measuring import Run, Send, measure, median
from peers import ACCEPTING, NotInstalled, Peer, Place, free_port
from plan import Plan
from sending import SendingFailed, send, send_by_smtp_source
from zajil.core.units import parse_size

_QUESTIONS = ("accept", "starttls-fresh", "starttls-resumed", "relay", "deliver")
_MODES = {"one": 1, "many": 0}
"""Mails on one connection."""
_WARM_UP = 200
_TRACED = 100
_COLUMNS = (
    "| question | size | sessions | a connection | peer | mails/s (min..max) | to Postfix "
    "| CPU µs a mail: user + system | loop, writer | generator | p50, p99 ms | resumed | others |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True, slots=True)
class Cell:
    """One load that all peers of a question take in turns."""

    question: str
    plan: Plan
    mode: str


def cells(question: str, arguments: argparse.Namespace) -> list[Cell]:
    """Give the loads of a question, in the order of the options."""
    tls = "starttls" if question.startswith("starttls") else "none"
    found = []
    for size in arguments.sizes.split(","):
        for sessions in arguments.sessions.split(","):
            for mode in arguments.modes.split(","):
                plan = Plan(
                    mails=arguments.mails,
                    sessions=int(sessions),
                    size=parse_size(size),
                    per_connection=_MODES[mode],
                    tls=tls,
                    resume=question == "starttls-resumed",
                    tls_version=arguments.tls_version,
                    pipeline=arguments.pipeline,
                )
                found.append(Cell(question, plan, mode))
    return found


@contextmanager
def servers(question: str, names: Sequence[str], base: Place) -> Iterator[list[Peer]]:
    """Start who can answer a question; who cannot is named and left out."""
    with ExitStack() as stack:
        running: list[Peer] = []
        for name in names:
            place = replace(base, folder=base.folder / f"{question}-{name}")
            try:
                if question in ("relay", "deliver"):
                    running += stack.enter_context(_at_work(question, name, place))
                else:
                    running.append(stack.enter_context(ACCEPTING[name](place)))
            except (NotInstalled, RuntimeError) as error:
                print(f"left out of {question}: {error}", flush=True)
        yield running


@contextmanager
def _at_work(question: str, name: str, place: Place) -> Iterator[list[Peer]]:
    """Start one that does something with the mails; an empty list: it is not asked to."""
    with ExitStack() as stack:
        enter = stack.enter_context
        if name not in ("zajil", "postfix"):
            yield []
        elif question == "relay":
            sink = enter(running_sink(free_port()))
            if name == "zajil":
                yield [enter(peers.zajil_relay(place, sink.address, sink.count))]
            else:
                yield [enter(peers.postfix(place, relay_to(sink.address), sink.count))]
        elif name == "zajil":
            yield [enter(peers.zajil_deliver(place))]
        else:
            mail = place.folder / "mail"
            count = functools.partial(_count_files, mail / "b" / "new")
            yield [enter(peers.postfix(place, maildirs(mail), count))]


def _count_files(folder: Path) -> int:
    return sum(1 for _ in os.scandir(folder)) if folder.exists() else 0


def in_turns(cell: Cell, running: Sequence[Peer], rounds: int, how: Send) -> dict[str, list[Run]]:
    """Let all peers take one load in turns, every other round in the opposite order."""
    runs: dict[str, list[Run]] = {peer.name: [] for peer in running}
    for number in range(rounds):
        for peer in running if number % 2 == 0 else reversed(running):
            plan = replace(cell.plan, recipient=peer.recipient)
            runs[peer.name].append(measure(peer, plan, how))
    return runs


def warm_up(cell: Cell, running: Sequence[Peer], how: Send) -> list[Peer]:
    """Give those that take a load of this kind; who does not is named."""
    able = []
    for peer in running:
        try:
            measure(peer, replace(cell.plan, recipient=peer.recipient, mails=_WARM_UP), how)
        except SendingFailed as error:
            print(f"left out of {cell.question}: {peer.name}: {error}", flush=True)
        else:
            able.append(peer)
    return able


def tell_durability(peer: Peer) -> None:
    """Print how often a peer syncs, as strace sees it."""
    plan = Plan(mails=_TRACED, sessions=4, per_connection=0, recipient=peer.recipient)
    one = replace(plan, mails=1, sessions=1)
    syncs = count_syncs(
        peer.pids, lambda: send(plan, peer.address).mails, lambda: send(one, peer.address)
    )
    if syncs is None:
        print(f"syncs of {peer.name}: not known, strace is missing or may not")
        return
    calls = ", ".join(f"{count:.2f} {name}" for name, count in syncs.per_mail.items()) or "none"
    print(f"syncs of {peer.name}: {calls} for each mail of 4 sessions; ", end="")
    print(f"a mail alone: {syncs.before_reply} between 354 and 250", flush=True)


def tell(cell: Cell, runs: dict[str, list[Run]]) -> None:
    """Print one row for each peer."""
    plan = cell.plan
    base = [median(taken, "mails_per_second") for name, taken in runs.items() if "postfix" in name]
    for name, taken in runs.items():
        rates = [run.mails_per_second for run in taken]
        rate = median(taken, "mails_per_second")
        user, system = median(taken, "user_us"), median(taken, "system_us")
        loop, writer = median(taken, "loop_us"), median(taken, "writer_us")
        threads = f"{loop:.0f}, {writer:.0f}" if name == "zajil" else ""
        waits = taken[len(taken) // 2].milliseconds
        columns = (
            *(cell.question, f"{plan.size / 1024:g} KB", plan.sessions, cell.mode, name),
            f"**{rate:.0f}** ({min(rates):.0f}..{max(rates):.0f})",
            f"{rate / base[0]:.2f}" if base else "",
            f"{user + system:.0f}: {user:.0f} + {system:.0f}",
            threads,
            f"{median(taken, 'generator_us'):.0f}",
            f"{waits[0]:.0f}, {waits[1]:.0f}" if waits else "",
            f"{median(taken, 'resumed'):.0%}" if plan.tls != "none" else "",
            f"{median(taken, 'other_cpus'):.2f}",
        )
        print(f"| {' | '.join(map(str, columns))} |", flush=True)


def ask(question: str, arguments: argparse.Namespace, base: Place) -> list[dict[str, object]]:
    """Start all peers for one question, measure, print; give the runs."""
    how: Send = functools.partial(send, processes=arguments.processes)
    if arguments.generator == "smtp-source" and not question.startswith("starttls"):
        how = send_by_smtp_source
    found: list[dict[str, object]] = []
    with servers(question, arguments.peers.split(","), base) as running:
        loads = cells(question, arguments)
        able = warm_up(loads[0], running, how)
        if arguments.syncs and question == "accept":
            for peer in able:
                tell_durability(peer)
        print(f"\n{_COLUMNS}", flush=True)
        for cell in loads:
            runs = in_turns(cell, able, arguments.rounds, how)
            tell(cell, runs)
            for name, taken in runs.items():
                load = {"question": question, "mode": cell.mode, "plan": asdict(cell.plan)}
                found.append({**load, "peer": name, "runs": [asdict(run) for run in taken]})
    print()
    return found


def main() -> int:
    """Run the benchmark; give the exit status."""
    arguments = _arguments()
    if os.geteuid() != 0 or find_program("smtp-source") is None:
        print("the benchmark needs root and Postfix: apt-get install postfix", file=sys.stderr)
        return 1
    # So that everything that was started is ended and removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    load = os.getloadavg()[0]
    print(f"{platform.platform()}, {os.cpu_count()} processors, Python {platform.python_version()}")
    print(f"load average at the begin {load:.2f}; generator: {arguments.generator}")
    found = []
    with tempfile.TemporaryDirectory(prefix="zajil-bench-", dir=arguments.dir) as name:
        folder = Path(name)
        # Users of the peers must reach their folders below it.
        folder.chmod(0o755)
        tls = TestAuthority(folder).issue("mx.y.test")
        base = Place(folder, tls, arguments.packages, tuple(arguments.set))
        try:
            for question in arguments.questions or _QUESTIONS:
                found += ask(question, arguments, base)
        except KeyboardInterrupt:
            return 130
        finally:
            # An impatient second signal must not leave half of the folder behind.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    add = parser.add_argument
    add("questions", nargs="*", metavar="QUESTION", help=f"of: {', '.join(_QUESTIONS)}; all")
    add("--short", action="store_true", help="one size, 20 sessions, 3 rounds of 1000 mails")
    add("--peers", default="zajil,postfix", help=f"of: {','.join(ACCEPTING)}")
    add("--packages", type=Path, help="the folder that fetch_peers.py filled")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="an option of Zajil")
    add("--mails", type=int, default=3000, help="of each run")
    add("--rounds", type=int, default=5, help="runs of which the median counts")
    add("--sizes", default="5KiB,50KiB", help="of the body")
    add("--sessions", default="20,100", help="at a time")
    add("--modes", default="one,many", help="mails on a connection")
    add("--generator", choices=("own", "smtp-source"), default="own", help="for plain text")
    add("--processes", type=int, default=1, help="of our generator")
    add("--pipeline", action="store_true", help="MAIL, RCPT, DATA in one packet; own generator")
    add("--tls-version", choices=("1.2", "1.3"), default="1.3")
    add("--no-syncs", dest="syncs", action="store_false", help="do not count syncs")
    add("--dir", type=Path, help="on the disk that is meant; default: temporary")
    add("--json", type=Path, help="write every run there")
    arguments = parser.parse_args()
    for question in arguments.questions:
        if question not in _QUESTIONS:
            parser.error(f"no such question: {question}")
    if arguments.short:
        arguments.mails, arguments.rounds = 1000, 3
        arguments.sizes, arguments.sessions = "5KiB", "20"
    return arguments


if __name__ == "__main__":
    sys.exit(main())
