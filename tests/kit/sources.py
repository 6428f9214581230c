"""Our own sources, as tests of the tree read them: each file is parsed once in a process."""

from __future__ import annotations

import ast
import functools
from pathlib import Path

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "zajil"
FILES = sorted(SRC.rglob("*.py"))


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax of a file."""
    return ast.parse(path.read_text("utf-8"))
