"""The dialog of ``zajil setup`` on a terminal: questions, tests of the machine, next steps.

Nothing is written before the last question was answered with yes.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from zajil.cli.asking import TIMEOUT_SECONDS, run_with_resolver
from zajil.cli.probe import print_probes
from zajil.core.errors import ZajilError

if TYPE_CHECKING:
    from zajil.operations.dns_check import CheckedRecord
    from zajil.operations.probe import Probe
    from zajil.operations.setup import SetupResult
    from zajil.operations.setup_answers import Machine
    from zajil.operations.setup_plan import SetupPlan
    from zajil.operations.setup_questions import SetupQuestion


def run_dialog(
    given: dict[str, str], data_dir: Path | None, login: str | None, more: Sequence[str] = ()
) -> tuple[SetupPlan, SetupResult]:
    """Ask, test, set up, and print the DNS records with their state.

    Args:
        given: answers of options, not checked yet.
        data_dir: as ``plan_of``.
        login: as ``plan_of``.
        more: as ``plan_of``.

    Raises:
        typer.Exit: the operator ended the dialog; nothing was written.
    """
    from zajil.net.system import SystemClock, system_random
    from zajil.operations.probe import has_problem
    from zajil.operations.setup import set_up
    from zajil.operations.setup_answers import this_machine
    from zajil.operations.setup_questions import plan_of

    print("This sets up a mail server. Press Enter for the answer in brackets, Ctrl+C to end.")
    machine = this_machine()
    answers: dict[str, str] = {}
    try:
        while True:
            _ask_all(answers, given, machine)
            plan = plan_of(answers, data_dir, login, more)
            print("\nTesting this machine; this takes up to half a minute ...\n")
            found = probe_plan(plan)
            print_probes(found)
            print()
            _confirm(is_risky=has_problem(found), folder=plan.folder)
            try:
                result = set_up(plan, SystemClock(), system_random)
                break
            except ZajilError as error:
                # Whatever was wrong, the answers stay as the defaults of the next round.
                print(f"\n{error}\n\nPlease check your answers.")
                given, answers = dict(answers), {}
                given = {name: value for name, value in given.items() if "password" not in name}
    except (EOFError, KeyboardInterrupt):
        print("\nEnded; nothing was written.", file=sys.stderr)
        raise typer.Exit(1) from None
    print()
    _print_ticks(result)
    return plan, result


def probe_plan(plan: SetupPlan) -> list[Probe]:
    """Test the machine for a server that is not set up yet."""
    from zajil.operations.probes import probe_all
    from zajil.operations.setup_plan import preview

    configuration = preview(plan)
    folder = configuration.server.data_dir
    while not folder.is_dir():
        folder = folder.parent
    return run_with_resolver(
        lambda resolve: probe_all(configuration, folder, resolve),
        None,
        TIMEOUT_SECONDS,
        configuration.dns.nameservers,
    )


def _ask_all(answers: dict[str, str], given: dict[str, str], machine: Machine) -> None:
    """Ask each question that applies; what an option answered is checked, and asked if wrong."""
    from zajil.operations.setup_questions import QUESTIONS, check_answer, given_folder

    for question in QUESTIONS:
        if not question.condition(answers, machine):
            if question.name == "folder":
                answers["folder"] = given_folder()
            continue
        typed = given.get(question.name)
        if typed is not None:
            try:
                answers[question.name] = check_answer(question, typed, answers)
                print(f"\n{question.text}: {'' if question.secret else answers[question.name]}")
                continue
            except ZajilError as error:
                print(f"\n{question.option}: {error}")
        answers[question.name] = _ask(question, answers, machine)


def _ask(question: SetupQuestion, answers: dict[str, str], machine: Machine) -> str:
    """Ask until the answer is usable."""
    from zajil.operations.setup_questions import check_answer

    default = question.default(answers, machine)
    print()
    if question.help:
        print(question.help)
    for number, (value, text) in enumerate(question.choices, 1):
        print(f"  {number}. {text} ({value})")
    while True:
        typed = _read(question, default)
        if question.choices and typed.isdigit() and 0 < int(typed) <= len(question.choices):
            typed = question.choices[int(typed) - 1][0]
        try:
            return check_answer(question, typed or default, answers)
        except ZajilError as error:
            print(f"  {error}")


def _read(question: SetupQuestion, default: str) -> str:
    from getpass import getpass

    prompt = f"{question.text}{f' [{default}]' if default else ''}: "
    if not question.secret:
        return input(prompt)
    while True:
        typed = getpass(prompt)
        if not typed or getpass("Once more: ") == typed:
            return typed
        print("  These were two different passwords.")


def _confirm(*, is_risky: bool, folder: Path) -> None:
    """Ask before anything is written.

    Raises:
        EOFError: the operator does not want it.
    """
    if is_risky:
        print("There are problems. You can solve them now and repeat this, or later.")
    default = "n" if is_risky else "y"
    while True:
        typed = input(f"Set up the server in {folder}? (y/n) [{default}]: ").strip() or default
        if typed.casefold() in ("y", "yes"):
            return
        if typed.casefold() in ("n", "no"):
            raise EOFError
        print("  Answer y or n.")


def _print_ticks(result: SetupResult) -> None:
    """Print the records to publish, with what DNS says of each."""
    from zajil.cli.dns_check import WORDS
    from zajil.operations.dns_check import check_dns, is_good

    checked: Sequence[CheckedRecord] = run_with_resolver(
        lambda resolve: check_dns(result.records, resolve), None, TIMEOUT_SECONDS
    )
    print("DNS records to publish, and what is there already:\n")
    for one in checked:
        print(f"  {WORDS[one.state]:<10} {one.record.line}")
    missing = sum(not is_good(one) for one in checked)
    print(f"\n{len(checked) - missing} of {len(checked)} are right already.\n")
