"""The benchmark runs, and computes what it prints; nothing here depends on speed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy as sa

from filling import fill_mailbox, fill_queue
from goals import Goal, Reached, behind, goal_row
from kit.foreign import need_program
from kit.store import make_account, open_test_store
from report import compare
from zajil.core.service import RecipientState
from zajil.store.schema import message, recipient

pytestmark = pytest.mark.interop

PERF = Path(__file__).parent


def run_benchmark(folder: Path, *arguments: str) -> tuple[str, list[dict[str, object]]]:
    """Return what it prints, and what it writes as JSON."""
    if os.geteuid() != 0:
        pytest.skip("Postfix starts as root only")
    need_program("smtp-source")
    result = folder / "result.json"
    # A folder that the users of the other servers can reach.
    command = [sys.executable, str(PERF / "bench.py"), *arguments, "--json", str(result)]
    options = ["--rounds", "2", "--sizes", "1KiB", "--sessions", "2", "--modes", "many"]
    done = subprocess.run(
        [*command, *options, "--no-syncs"], check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout, json.loads(result.read_text())


def names_of_servers(measured: dict[str, object]) -> list[str]:
    runs = measured["runs"]
    assert isinstance(runs, dict)
    assert all(len(rounds) == 2 for rounds in runs.values())
    return list(runs)


@pytest.mark.timeout(300)
@pytest.mark.slow
def test_zajil_and_postfix_take_mails_of_both_generators(tmp_path: Path) -> None:
    output, measured = run_benchmark(tmp_path, "accept", "--mails", "20")
    assert "Python 3." in output
    assert "SQLite 3." in output
    rows = [line.split(" | ") for line in output.splitlines() if line.startswith("| accept")]
    assert [row[4] for row in rows] == ["own", "own", "smtp-source", "smtp-source"]
    assert [row[5].split()[0] for row in rows] == ["zajil", "postfix"] * 2
    assert len(measured) == 2
    for load in measured:
        zajil, postfix = names_of_servers(load)
        assert zajil == "zajil"
        assert load["reference"] == postfix


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_rspamd_scans_every_mail_that_the_chain_delivers(tmp_path: Path) -> None:
    for program in ("rspamd", "dovecot"):
        need_program(program)
    output, (load, _) = run_benchmark(tmp_path, "read", "--mails", "20")
    # One run before the first round, then two rounds with each generator.
    assert "Rspamd scanned 100 of 100 mails" in output
    assert load["reference"] in names_of_servers(load)


@pytest.mark.parametrize(
    ("rates", "reference", "rounds"),
    [
        ([100.0, 300.0, 240.0], [100.0, 200.0, 400.0], (1.0, 1.5, 0.6)),
        ([50.0], [100.0], (0.5,)),
    ],
)
def test_ratios_compare_runs_of_the_same_round(
    rates: Sequence[float], reference: Sequence[float], rounds: tuple[float, ...]
) -> None:
    ratios = compare(rates, reference)
    assert ratios.rounds == pytest.approx(rounds)
    assert ratios.median == pytest.approx(sorted(rounds)[len(rounds) // 2])
    # The reference was slowest in the first round and quickest in the last one.
    assert (ratios.quickest, ratios.slowest) == pytest.approx((rounds[-1], rounds[0]))


def test_the_ratio_of_medians_mixes_rounds() -> None:
    assert compare([100.0, 300.0, 240.0], [100.0, 200.0, 400.0]).of_medians == pytest.approx(1.2)


def test_a_store_is_filled_with_mails_in_a_mailbox_and_in_the_queue(tmp_path: Path) -> None:
    store = open_test_store("sqlite", tmp_path)
    try:
        make_account(store, "b@y.test")
        fill_mailbox(store, 7, 1024)
        fill_queue(store, 5, 1024)
        stored, states = store.read_now(
            lambda conn: (
                conn.scalar(sa.select(sa.func.count()).select_from(message)),
                conn.scalars(sa.select(recipient.c.state)).all(),
            )
        )
    finally:
        store.close_now()
    assert stored == 7
    assert states.count(RecipientState.WAITING) == 5


def test_loads_that_are_behind_their_goal_are_named() -> None:
    goal = Goal("accept", "accept", one=1.5, many=1.5)
    reached = [Reached(compare([rate], [100.0]), (1.0, 1.0)) for rate in (160.0, 140.0)]
    assert behind(goal, reached) == ["accept, many (1.40 of 1.5)"]
    assert goal_row(goal, reached).startswith("| accept | 1.5 / 1.5 | **1.60 / 1.40** |")
    assert behind(goal, [None, None]) == []
