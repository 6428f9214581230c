"""Each parser meets some hundred made-up inputs, always the same, and every find of the past."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.fuzz import Target, fuzz, is_linear, try_input
from kit.fuzz_targets import all_targets

HERE = Path(__file__).parent
TARGETS = {target.name: target for target in all_targets()}
CASES = sorted((HERE / "cases").glob("*.bin"))
RUNS = 400


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_no_input_makes_it_raise(target: Target) -> None:
    find = fuzz(target, seed=1, runs=target.runs(RUNS))
    assert find is None, f"{find.data!r} raises {find.error!r}"


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_an_old_find_stays_mended(case: Path) -> None:
    target = TARGETS[case.stem.rpartition("-")[0]]
    find = try_input(target, case.read_bytes())
    assert find is None, f"{find.error!r}"


def test_a_find_is_made_small_and_kept(tmp_path: Path) -> None:
    def check(data: bytes) -> None:
        if b"x" in data:
            raise ZeroDivisionError

    find = fuzz(Target("toy", check, (b"hello world",), (b"x",)), seed=1, seconds=10)
    assert find is not None
    assert find.data == b"x"
    assert find.save(tmp_path).read_bytes() == b"x"


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_it_takes_time_that_grows_with_its_input(target: Target) -> None:
    """Attack list H: no input of eight times the size takes more than 32 times the time."""
    for piece in {*target.seeds[:4], *target.words, b"(", b"<", b'"', b"\r\n ", b"=?", b","} - {
        b""
    }:
        assert is_linear(target, piece), piece
