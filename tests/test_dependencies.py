"""What the product imports is what it says it needs."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from kit.sources import FILES, tree_of

ROOT = Path(__file__).parents[1]


def test_every_import_is_a_dependency() -> None:
    """The tests' own packages are installed here, and would hide that a user lacks one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [one for extra in project["optional-dependencies"].values() for one in extra]
    needed = {_normal(line) for line in (*project["dependencies"], *extras)}
    # What comes with another one by that one's promise.
    needed |= {"markupsafe", "pydantic-core", "josepy", "requests", "joserfc"}
    of = packages_distributions()
    missing = {
        (name, str(path))
        for path in FILES
        for name in _imports(path) - sys.stdlib_module_names - {"zajil"}
        if not {_normal(one) for one in of.get(name, [])} & needed
    }
    assert missing == set()


def _imports(path: Path) -> set[str]:
    modules: list[str] = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.append(node.module)
    return {module.partition(".")[0] for module in modules}


def _normal(requirement: str) -> str:
    return re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower().replace("_", "-")
