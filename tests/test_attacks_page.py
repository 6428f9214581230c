"""docs/attacks.md names tests that exist, and all that try an attack."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "attacks.md").read_text("utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[^`]+\.(?:py|wire))`", PAGE)))


@pytest.mark.parametrize("name", NAMED)
def test_what_is_named_exists(name: str) -> None:
    assert list(ROOT.glob(name))


def test_every_row_names_a_test() -> None:
    header = "| Attack | Tests |"
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and line != header]
    assert len(rows) > 20
    for row in rows:
        assert re.search(r"\| `tests/[^|]+` \|$", row), row


def test_nothing_that_tries_an_attack_is_left_out() -> None:
    """Files of attacks, and the dialogues that are named after an advisory."""
    found = {path for name in NAMED for path in ROOT.glob(name)}
    wanted = {*ROOT.glob("tests/attacks/test_*.py"), *ROOT.glob("tests/wire/*/cve-*.wire")}
    assert wanted <= found, sorted(str(path.relative_to(ROOT)) for path in wanted - found)
