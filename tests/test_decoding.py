"""Each decode of bytes in the rooms that read foreign bytes says what becomes of a bad byte."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from kit.fuzz_reach import ROOMS, SOURCE
from kit.sources import tree_of

CANNOT_FAIL = {"latin-1"}
PROVED = {"ascii"}
"""A pattern has let ASCII alone through."""


def decodes_without_policy(tree: ast.AST) -> Iterator[int]:
    """Give the lines of decodes that raise on a bad byte, and nobody catches it."""
    caught = {
        node
        for attempt in ast.walk(tree)
        if isinstance(attempt, ast.Try)
        and any(
            "UnicodeDecodeError" in ast.unparse(one.type or attempt) for one in attempt.handlers
        )
        for statement in attempt.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "decode"
            and not ast.unparse(node.func.value).endswith(".encode('utf-8', 'replace')")
            and node not in caught
            and len(node.args) + len(node.keywords) < 2
        ):
            codec = node.args[0] if node.args else ast.Constant("utf-8")
            is_named = isinstance(codec, ast.Constant) and codec.value in CANNOT_FAIL | PROVED
            if not is_named:
                yield node.lineno


@pytest.mark.parametrize("room", ROOMS)
def test_every_decode_has_a_policy(room: str) -> None:
    found = [
        f"{path.relative_to(SOURCE)}:{line}"
        for path in sorted((SOURCE / room).rglob("*.py"))
        for line in decodes_without_policy(tree_of(path))
    ]
    assert not found


def test_a_decode_without_a_policy_is_found() -> None:
    source = "a.decode()\nb.decode('utf-8', 'replace')\nc.decode('ascii')\nd.decode('utf-8')\n"
    tried = "try:\n    e.decode()\nexcept UnicodeDecodeError:\n    f.decode()\n"
    assert list(decodes_without_policy(ast.parse(source))) == [1, 4]
    assert list(decodes_without_policy(ast.parse(tried))) == [4]
