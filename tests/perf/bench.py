"""Zajil beside other mail servers, in turns, on this machine.

``./test perf`` is short; ``python tests/perf/bench.py QUESTION...`` takes longer, and
``python tests/perf/goals.py`` measures everything that has a goal. The questions are listed by
``--help``. Compare ratios of one run only: rates depend on the machine and the minute.

Needs root and Debian's package postfix; docs/performance.md describes what is measured, and how to
get the other servers.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the kit

from kit.certificates import TestAuthority
from kit.foreign import find_program
from kit.load import count_syncs
from measuring import Run
from peers import ACCEPTING, Peer, Place
from plan import Plan
from questions import GENERATORS, MODES, QUESTIONS, Cell, Fill, in_turns, servers, warm_up
from report import HEADER, machine_lines, rows, speed_line
from sending import send
from zajil.core.units import parse_size

_SHORT = ("accept", "starttls-fresh", "starttls-resumed", "relay", "deliver")
"""What ``--short`` asks where no question is named."""
_TRACED = 100
"""Mails sent while sync calls are counted."""


def cells(question: str, arguments: argparse.Namespace) -> list[Cell]:
    """Return the loads of a question, in the order of the options."""
    tls = "starttls" if question.startswith("starttls") else "none"
    # smtp-source has no TLS.
    generators = arguments.generator.split(",") if tls == "none" else ["own"]
    found = []
    for size in arguments.sizes.split(","):
        for sessions in arguments.sessions.split(","):
            for mode in arguments.modes.split(","):
                plan = Plan(
                    mails=arguments.mails,
                    sessions=int(sessions),
                    size=parse_size(size),
                    per_connection=MODES[mode],
                    tls=tls,
                    resume=question == "starttls-resumed",
                    tls_version=arguments.tls_version,
                    pipeline=arguments.pipeline,
                )
                found += [Cell(question, plan, mode, name) for name in generators]
    return found


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


@dataclass(frozen=True, slots=True)
class Measured:
    """What the servers did with one load."""

    cell: Cell
    runs: dict[str, list[Run]]
    """In the order of rounds, by the name of the server."""
    reference: str | None
    """The server that the others are compared with; ``None``: it is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is the same for all questions of a run."""

    base: Place
    names: Sequence[str]
    rounds: int
    fill: Fill
    processes: int = 1
    syncs: bool = False


def ask(question: str, loads: Sequence[Cell], setting: Setting) -> list[Measured]:
    """Start the servers of one question, measure, and print the rows."""
    with servers(question, setting.names, setting.base, setting.fill) as started:
        able = warm_up(loads[0], started, setting.processes)
        if setting.syncs and question == "accept":
            for peer in able:
                tell_durability(peer)
        taken = in_turns(loads, able, setting.rounds, setting.processes)
        reference = next((peer.name for peer in able if peer.is_reference), None)
        for peer in able:
            if peer.report is not None:
                print(peer.report(), flush=True)
    found = [Measured(cell, runs, reference) for cell, runs in zip(loads, taken, strict=True)]
    print(f"\n{HEADER}")
    for one in found:
        print("\n".join(rows(one.cell, one.runs, one.reference)))
    print(flush=True)
    return found


@contextmanager
def workplace(
    folder: Path | None, packages: Path | None, options: Sequence[str]
) -> Iterator[Place]:
    """Make a folder for all servers, which is removed at the end."""
    # So that everything that was started is ended and removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="zajil-bench-", dir=folder) as name:
        place = Path(name)
        # Users of the peers must reach their folders below it.
        place.chmod(0o755)
        try:
            tls = TestAuthority(place).issue("mx.y.test")
            yield Place(place, tls, packages, tuple(options))
        finally:
            # An impatient second signal must not leave half of the folder behind.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)


def can_run() -> bool:
    """Check whether this is root on a machine with Postfix; print what is missing."""
    if os.geteuid() == 0 and find_program("smtp-source") is not None:
        return True
    print("the benchmark needs root and Postfix: apt-get install postfix", file=sys.stderr)
    return False


def main() -> int:
    """Run the benchmark; return the exit status."""
    arguments = _arguments()
    if not can_run():
        return 1
    print("\n".join(machine_lines()), flush=True)
    fill = Fill(arguments.filled, arguments.waiting, parse_size(arguments.fill_size))
    found: list[Measured] = []
    with workplace(arguments.dir, arguments.packages, arguments.set) as base:
        setting = Setting(
            base=base,
            names=arguments.peers.split(","),
            rounds=arguments.rounds,
            fill=fill,
            processes=arguments.processes,
            syncs=arguments.syncs,
        )
        try:
            for question in arguments.questions:
                found += ask(question, cells(question, arguments), setting)
        except KeyboardInterrupt:
            return 130
    print(f"at the end: {speed_line()}")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(one) for one in found], indent=1))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0] if __doc__ else "",
        epilog="questions: " + "; ".join(f"{name}: {text}" for name, text in QUESTIONS.items()),
    )
    add = parser.add_argument
    add("questions", nargs="*", metavar="QUESTION", help="default: all; listed below")
    add("--short", action="store_true", help="one size, 20 sessions, 3 rounds of 1000 mails")
    add("--peers", default="zajil,postfix", help=f"of: {','.join(ACCEPTING)}")
    add("--packages", type=Path, help="the folder that fetch_peers.py filled")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="an option of Zajil")
    add("--mails", type=int, default=3000, help="of each run")
    add("--rounds", type=int, default=5, help="number of runs; their median is reported")
    add("--sizes", default="5KiB,50KiB", help="of the body")
    add("--sessions", default="20,100", help="at a time")
    add("--modes", default="one,many", help="mails of a connection")
    add("--generator", default="own,smtp-source", help="for plain text: own, smtp-source or both")
    add("--processes", type=int, default=1, help="of our generator")
    add("--pipeline", action="store_true", help="MAIL, RCPT, DATA in one packet; own generator")
    add("--tls-version", choices=("1.2", "1.3"), default="1.3")
    add("--filled", type=int, default=20_000, metavar="MAILS", help="in the store of `filled`")
    add("--waiting", type=int, default=20_000, metavar="MAILS", help="in the queue of `waiting`")
    add("--fill-size", default="5KiB", metavar="SIZE", help="of these mails")
    add("--no-syncs", dest="syncs", action="store_false", help="do not count sync calls")
    add("--dir", type=Path, help="on the disk that is meant; default: temporary")
    add("--json", type=Path, help="write every run to this file")
    arguments = parser.parse_args()
    for name in arguments.questions:
        if name not in QUESTIONS:
            parser.error(f"no such question: {name}")
    for name in arguments.generator.split(","):
        if name not in GENERATORS:
            parser.error(f"no such generator: {name}")
    if arguments.short:
        arguments.mails, arguments.rounds = 1000, 3
        arguments.sizes, arguments.sessions, arguments.generator = "5KiB", "20", "own"
    arguments.questions = arguments.questions or list(_SHORT if arguments.short else QUESTIONS)
    return arguments


if __name__ == "__main__":
    sys.exit(main())
