"""Measure everything that has a goal, in one run of less than ten minutes, and print two tables.

``/usr/bin/python3 tests/perf/goals.py``: first one row for each server as ``bench.py`` prints them,
then one row for each goal, with the ratio that was reached. The other goals (memory, bytes on disk,
start) have scripts of their own; docs/performance.md names them.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the kit

from bench import Measured, Setting, ask, can_run, workplace
from measuring import median
from plan import Plan
from questions import MODES, Cell, Fill
from report import HEADER, Ratios, compare, machine_lines, rows, speed_line
from sending import SendingFailed

_SLOW = {"read": 300, "relay": 600, "deliver": 600}
"""Largest number of mails of a run, where mails take longer."""


_HEADER = (
    "| one mail / many mails a connection | goal | reached: median of the ratios of rounds "
    "| smallest..largest | quickest, slowest round | CPU µs a mail |\n|---|---|---|---|---|---|"
)
_BEGIN, _END = "<!-- goals.py: begin -->", "<!-- goals.py: end -->"


@dataclass(frozen=True, slots=True)
class Goal:
    """A ratio to reach, for one mail and for many mails of a connection."""

    text: str
    question: str
    one: float
    many: float
    sessions: int = 20
    size: int = 5120
    generator: str = "smtp-source"


GOALS = (
    Goal("accept, 5 KB, 20 sessions, to Postfix", "accept", 1.5, 1.5),
    Goal("accept, 5 KB, 100 sessions, to Postfix", "accept", 2.5, 2.5, sessions=100),
    Goal("accept, 50 KB, 20 sessions, to Postfix", "accept", 1.5, 1.5, size=51_200),
    Goal("checks without DNS, 20 sessions, to Postfix", "accept-no-dns", 2, 2),
    Goal("checks without DNS, 100 sessions, to Postfix", "accept-no-dns", 3, 3, sessions=100),
    Goal("readable by IMAP, to Postfix + Rspamd + Dovecot", "read", 8, 10),
    Goal("relay to a sink, to Postfix", "relay", 2, 2),
    Goal("STARTTLS resumed, to Postfix", "starttls-resumed", 1.5, 1.5, generator="own"),
    Goal("accept with mails stored, to empty", "filled", 0.97, 0.97),
    Goal("accept with mails waiting, to empty", "waiting", 0.97, 0.97),
)
"""In the order of the output; TLS is measured with our own generator, because smtp-source has
none."""


def cell(goal: Goal, mode: str, mails: int) -> Cell:
    """Return the load of a goal."""
    resumed, tls = goal.question == "starttls-resumed", goal.question.startswith("starttls")
    plan = Plan(
        mails=min(mails, _SLOW.get(goal.question, mails)),
        sessions=goal.sessions,
        size=goal.size,
        per_connection=MODES[mode],
        tls="starttls" if tls else "none",
        resume=resumed,
    )
    return Cell(goal.question, plan, mode, goal.generator)


def measure_all(goals: Iterable[Goal], setting: Setting, mails: int) -> dict[Cell, Measured]:
    """Ask all questions; return what was measured of each load. A failure leaves out a question."""
    loads: dict[str, list[Cell]] = {}
    for goal in goals:
        loads.setdefault(goal.question, []).extend(cell(goal, mode, mails) for mode in MODES)
    found: dict[Cell, Measured] = {}
    for question, cells in loads.items():
        try:
            found |= {measured.cell: measured for measured in ask(question, cells, setting)}
        except (SendingFailed, TimeoutError) as error:
            print(f"left out: {question}: {error}", flush=True)
    return found


@dataclass(frozen=True, slots=True)
class Reached:
    """What Zajil reached of one goal with one load."""

    ratios: Ratios
    cpu_us: tuple[float, float]
    """CPU of a mail: of Zajil, and of the other server."""


def reach(found: Measured | None) -> Reached | None:
    """Compare Zajil with the other server; ``None``: one of them was not measured."""
    if found is None or found.reference is None:
        return None
    reference = found.runs[found.reference]
    ours = next((runs for name, runs in found.runs.items() if name != found.reference), None)
    if ours is None:
        return None
    both = (ours, reference)
    rates = [[run.mails_per_second for run in runs] for runs in both]
    cpu = [median(runs, "user_us") + median(runs, "system_us") for runs in both]
    return Reached(compare(*rates), (cpu[0], cpu[1]))


def goal_row(goal: Goal, reached: Sequence[Reached | None]) -> str:
    """Return the row of a goal, for one mail and for many mails of a connection."""

    def values(form: Callable[[Reached], str]) -> str:
        return " / ".join("not measured" if one is None else form(one) for one in reached)

    columns = (
        goal.text,
        f"{goal.one:g} / {goal.many:g}",
        f"**{values(lambda one: f'{one.ratios.median:.2f}')}**",
        values(lambda one: f"{min(one.ratios.rounds):.2f}..{max(one.ratios.rounds):.2f}"),
        values(lambda one: f"{one.ratios.quickest:.2f}, {one.ratios.slowest:.2f}"),
        values(lambda one: f"{one.cpu_us[0]:.0f} to {one.cpu_us[1]:.0f}"),
    )
    return f"| {' | '.join(columns)} |"


def behind(goal: Goal, reached: Sequence[Reached | None]) -> list[str]:
    """Return the loads of a goal that are behind it."""
    return [
        f"{goal.text}, {mode} ({one.ratios.median:.2f} of {wanted:g})"
        for mode, wanted, one in zip(MODES, (goal.one, goal.many), reached, strict=True)
        if one is not None and one.ratios.median < wanted
    ]


def summary(goals: Sequence[Goal], measured: dict[Cell, Measured], mails: int) -> list[str]:
    """Return the table of goals, and a sentence that names what is behind."""
    lines, missed = [_HEADER], []
    for goal in goals:
        reached = [reach(measured.get(cell(goal, mode, mails))) for mode in MODES]
        lines.append(goal_row(goal, reached))
        missed += behind(goal, reached)
    return [*lines, "", f"Behind the goal: {'; '.join(missed) or 'nothing'}."]


def main() -> int:
    """Measure; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    add = parser.add_argument
    add("--rounds", type=int, default=5, help="number of runs; their median is reported")
    add("--mails", type=int, default=1000, help="of each run; fewer where mails take longer")
    add("--questions", default="", help="names as of bench.py; default: all that have a goal")
    add("--stored", type=int, default=20_000, help="mails in the store of the question filled")
    add("--write", type=Path, metavar="PAGE", help="Markdown page whose tables are replaced")
    add("--dir", type=Path, help="on the disk that is meant; default: temporary")
    arguments = parser.parse_args()
    if not can_run():
        return 1
    begin, names = time.monotonic(), arguments.questions.split(",")
    machine = machine_lines()
    print("\n".join(machine), flush=True)
    goals = [goal for goal in GOALS if not arguments.questions or goal.question in names]
    with workplace(arguments.dir, None, ()) as base:
        setting = Setting(
            base=base,
            names=("zajil", "postfix"),
            rounds=arguments.rounds,
            fill=Fill(stored=arguments.stored),
        )
        measured = measure_all(goals, setting, arguments.mails)
    table = summary(goals, measured, arguments.mails)
    print("\n".join(table))
    end_line = f"at the end, after {time.monotonic() - begin:.0f} s: {speed_line()}"
    print(f"\n{end_line}")
    if arguments.write is not None:
        all_rows = [HEADER]
        for one in measured.values():
            all_rows += rows(one.cell, one.runs, one.reference)
        _replace(
            arguments.write, ["; ".join([*machine, end_line]) + ".", "", *table, "", *all_rows]
        )
    return 0


def _replace(page: Path, lines: Sequence[str]) -> None:
    """Replace what is between the two marks of a Markdown page."""
    text = page.read_text()
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{page} lacks {_BEGIN} or {_END}")
    page.write_text("\n".join([before + begin, "", *lines, "", end + after]))


if __name__ == "__main__":
    sys.exit(main())
