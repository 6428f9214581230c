"""Each exception class of the tree has a root, and each that reaches people has a text."""

from __future__ import annotations

import ast
import importlib
import pkgutil
from collections.abc import Iterator

import pytest

import zajil
from kit.sources import FILES, tree_of
from zajil.cli.errors import WrongUsage, fail
from zajil.core.errors import (
    AlreadyExists,
    InternalError,
    Invalid,
    NotFound,
    Refused,
    Unavailable,
    ZajilError,
)
from zajil.web.app import http_status

FAMILIES = {Invalid, NotFound, AlreadyExists, Refused, Unavailable}


def _load_everything() -> None:
    for module in pkgutil.walk_packages(zajil.__path__, "zajil."):
        if not module.name.endswith("__main__") and ".migrations." not in module.name:
            importlib.import_module(module.name)


def _subclasses(base: type[BaseException]) -> Iterator[type[BaseException]]:
    for one in base.__subclasses__():
        yield one
        yield from _subclasses(one)


def _own() -> set[type[BaseException]]:
    _load_everything()
    return {one for one in _subclasses(BaseException) if one.__module__.startswith("zajil.")}


def test_each_exception_derives_from_one_root() -> None:
    """``ZajilError``, with a family, for what people cause; ``InternalError`` for the others."""
    own = _own() - {ZajilError, InternalError}
    assert len(own) > 80
    without = {
        f"{one.__module__}.{one.__qualname__}: derive it from a family of core.errors"
        for one in own
        if issubclass(one, ZajilError) == issubclass(one, InternalError)
        or (
            issubclass(one, ZajilError) and sum(issubclass(one, family) for family in FAMILIES) != 1
        )
    }
    assert not without


def test_each_family_has_an_exit_status_and_an_http_status() -> None:
    assert {family.exit_status for family in FAMILIES} == {1, 2}
    for one in _own():
        if issubclass(one, ZajilError) and one is not ZajilError:
            assert one.exit_status in (1, 2), one
            status = http_status(one.__new__(one))
            assert status in (400, 404, 409, 503), one


def test_what_is_no_error_of_ours_is_a_fault() -> None:
    assert http_status(KeyError()) == 500
    assert http_status(InternalError()) == 500


def test_each_expected_error_is_raised_with_a_text() -> None:
    """The text is all that a person sees of it."""
    expected = {one.__name__ for one in _own() if issubclass(one, ZajilError)}
    bare = []
    for path in FILES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Raise) and node.exc is not None:
                raised = node.exc
                name = raised.func if isinstance(raised, ast.Call) else raised
                has_text = isinstance(raised, ast.Call) and (raised.args or raised.keywords)
                if isinstance(name, ast.Name) and name.id in expected and not has_text:
                    bare.append(f"{path}:{node.lineno}: {name.id}")
    assert not bare


def test_the_command_line_prints_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    for error, status in ((WrongUsage("--ip x: no"), 2), (NotFound("no such account: x"), 1)):
        with pytest.raises(SystemExit) as ended:
            fail(error)
        assert ended.value.code == status
        assert capsys.readouterr().err == f"zajil: {error}\n"
