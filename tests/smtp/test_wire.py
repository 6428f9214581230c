"""All wire scripts, whole, byte by byte, and cut at random."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from kit.wire import Chop, WireMismatch, example_policy, load_script, run_script

SCRIPTS = sorted((Path(__file__).parent.parent / "wire" / "smtp").glob("*.wire"))


def whole(data: bytes) -> Sequence[bytes]:
    return [data]


def byte_by_byte(data: bytes) -> Sequence[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


def random_cuts(data: bytes) -> Sequence[bytes]:
    chance = random.Random(data)
    cuts = sorted({0, len(data), *(chance.randrange(len(data)) for _ in range(6))})
    return [data[start:end] for start, end in pairwise(cuts)]


@pytest.mark.parametrize("chop", [whole, byte_by_byte, random_cuts])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_script(script: Path, chop: Chop) -> None:
    run_script(load_script(script), example_policy, chop)


def test_a_script_that_wants_something_else_fails(tmp_path: Path) -> None:
    script = tmp_path / "wrong.wire"
    script.write_text("S: 220 mx.example.org ESMTP\nC: NOOP\nS: 251 other\n")
    with pytest.raises(WireMismatch, match=r"wrong.wire:3: wanted '251 other', got '250 2.0.0 ok'"):
        run_script(load_script(script), example_policy, whole)
