"""``docs/interop.md`` lists what the code does otherwise than an RFC: no less, and no more."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "src" / "zajil"

_MARK = re.compile(r'^\s*(?:#|"""|)\s*Deviation:', re.M)
_ROW = re.compile(r"^\| \[?`([\w/]+\.py)`\]?[^|]*\|(.*)\|$", re.M)


def test_every_deviation_has_its_row() -> None:
    """As many rows for a file as it has comments that begin with ``Deviation:``."""
    marked = Counter(
        {
            path.relative_to(SOURCES).as_posix(): count
            for path in SOURCES.rglob("*.py")
            if (count := len(_MARK.findall(path.read_text("utf-8"))))
        }
    )
    page = (ROOT / "docs" / "interop.md").read_text("utf-8")
    assert Counter(file for file, _ in _ROW.findall(page)) == marked


def test_every_row_says_all_of_it() -> None:
    """Who sends what, what we do, since when."""
    page = (ROOT / "docs" / "interop.md").read_text("utf-8")
    rows = _ROW.findall(page)
    assert rows
    for file, rest in rows:
        who, what, since = (cell.strip() for cell in rest.split("|"))
        assert who, file
        assert what, file
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", since), file
