"""ARCHITECTURE.md says what is so: its layers, files, functions and documents."""

from __future__ import annotations

import ast
import re

from kit.sources import ROOT, SRC, tree_of
from test_layers import LAYERS

PAGE = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
_ROW = re.compile(r"^\| (\d+) \| ([^|]+) \|", re.MULTILINE)
_FILE = re.compile(r"`([a-z_]+(?:/[a-z_0-9]+)+\.(?:py|md))`")
_FUNCTION = re.compile(r"`((?:[a-z_]+\.)+)([a-z_]+)\(\)`")


def test_the_table_of_layers_is_that_of_the_layer_test() -> None:
    rows = [set(re.findall(r"`(\w+)`", packages)) for _, packages in _ROW.findall(PAGE)]
    assert rows == LAYERS


def test_its_files_exist() -> None:
    for name in _FILE.findall(PAGE):
        assert (ROOT / name).is_file() or (SRC / name).is_file(), name


def test_its_functions_exist() -> None:
    names = _FUNCTION.findall(PAGE)
    assert names
    for module, function in names:
        path = SRC / f"{module.rstrip('.').replace('.', '/')}.py"
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
        found = {node.name for node in ast.walk(tree_of(path)) if isinstance(node, kinds)}
        assert function in found, f"{module}{function}"


def test_every_package_is_on_the_page() -> None:
    packages = {path.name for path in SRC.iterdir() if (path / "__init__.py").exists()}
    assert packages <= set(re.findall(r"`(\w+)`", PAGE)) | {"app"}


def test_reading_orders_name_what_is_there() -> None:
    """A word in double backticks in a package docstring is a file or folder of it, or a package."""
    packages = {path.name for path in SRC.iterdir()}
    for page in sorted(SRC.rglob("__init__.py")):
        text = ast.get_docstring(tree_of(page)) or ""
        order = text.partition("eading order")[2]
        here = {path.stem for path in page.parent.rglob("*.py")} | {
            path.name for path in page.parent.iterdir() if path.is_dir()
        }
        names = set(re.findall(r"``([a-z_0-9]+)``", order))
        assert names <= here | packages, f"{page}: {sorted(names - here - packages)}"
