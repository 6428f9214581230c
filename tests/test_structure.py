"""The shape of the tree: sizes, one name for one class, wide values by keyword, one log.

Each exception stands in a table here with its reason; an entry goes as soon as it can.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from kit.sources import FILES, SRC, tree_of

MAX_LINES = 400
MAX_STATEMENT_LINES = 50
MAX_METHODS = 25
MAX_POSITIONAL = 6

LONG_FILES = {
    "store/schema.py": "not cut yet",
    "tracking/audit.py": "the closed vocabulary of audit events, one class each",
    "tracking/events.py": "the closed vocabulary of events, one class each",
    "tracking/sentences.py": "not cut yet",
}
WIDE_CLASSES: dict[str, str] = {}
NAMES_USED_TWICE: dict[str, str] = {}
STANDARD_LOGGING = {
    "net/log.py": "libraries log with the standard module; it brings them into ours",
    "net/logger.py": "our own code logs with it",
}


def _place(path: Path) -> str:
    return str(path.relative_to(SRC))


def _classes(path: Path) -> Iterator[ast.ClassDef]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ClassDef):
            yield node


def _fields(node: ast.ClassDef) -> list[str]:
    return [
        one.target.id
        for one in node.body
        if isinstance(one, ast.AnnAssign)
        and isinstance(one.target, ast.Name)
        and "ClassVar" not in ast.unparse(one.annotation)
    ]


def _check(found: set[str], table: dict[str, str], what: str) -> None:
    assert not found - table.keys(), f"{what}: {sorted(found - table.keys())}"
    assert not table.keys() - found, f"no exception any more: {sorted(table.keys() - found)}"


def test_files_have_a_size_that_one_reads_at_once() -> None:
    found = {_place(path) for path in FILES if len(path.read_text().splitlines()) > MAX_LINES}
    _check(found, LONG_FILES, f"more than {MAX_LINES} lines; cut it by subject")


def test_functions_are_short_or_say_why_they_are_not() -> None:
    """The signature and the docstring do not count; a docstring that says why has "Long:"."""
    found = []
    for path in FILES:
        for node in ast.walk(tree_of(path)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            text = ast.get_docstring(node) or ""
            first = node.body[1] if text and len(node.body) > 1 else node.body[0]
            length = (node.end_lineno or 0) - first.lineno + 1
            if length > MAX_STATEMENT_LINES and "Long:" not in text:
                found.append(f"{_place(path)} {node.name}: {length} lines")
    assert not found


def test_classes_have_methods_that_one_can_keep_in_mind() -> None:
    found = {
        f"{_place(path)} {node.name}"
        for path in FILES
        for node in _classes(path)
        if sum(isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) for one in node.body)
        > MAX_METHODS
    }
    _check(found, WIDE_CLASSES, f"more than {MAX_METHODS} methods")


def test_a_public_class_has_a_name_of_its_own() -> None:
    places = defaultdict(set)
    for path in FILES:
        for node in tree_of(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].add(_place(path))
    found = {name for name, where in places.items() if len(where) > 1}
    _check(found, NAMES_USED_TWICE, "one name for two classes")


def test_a_wide_value_is_built_by_keyword_only() -> None:
    """Two of its fields have one type sooner or later, and swapped ones pass every checker."""
    found = []
    for path in FILES:
        for node in _classes(path):
            marks = [
                text
                for one in node.decorator_list
                if "dataclass" in (text := ast.unparse(one)) or "value_class" in text
            ]
            is_wide = marks and len(_fields(node)) > MAX_POSITIONAL
            if is_wide and "kw_only=True" not in marks[0]:
                found.append(f"{_place(path)} {node.name}: kw_only=True")
    assert not found


def test_no_constructor_gets_many_positional_arguments() -> None:
    found = [
        f"{_place(path)}:{node.lineno}: name the arguments of {node.func.id}"
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        and len(node.args) > MAX_POSITIONAL
        and isinstance(node.func, ast.Name)
        and node.func.id.lstrip("_")[:1].isupper()
    ]
    assert not found


def test_there_is_one_system_that_logs() -> None:
    found = {
        _place(path)
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Import) and any(one.name == "logging" for one in node.names)
    }
    _check(found, STANDARD_LOGGING, "log with net.logger.get_logger")
