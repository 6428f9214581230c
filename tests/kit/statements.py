"""SQL that tests compile once: each store of a test has engines of its own, as each server has.

SQLAlchemy keeps what it compiled for each engine, and compares dialects as objects. So each of some
thousand stores would compile the same statements again, which is a tenth of all work of the tests.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache

_MOST = 3000
"""Statements of one database that are kept; a server keeps 500 of each engine."""
_create_engine = sa.create_engine
_compiled: defaultdict[type[Any], LRUCache[Any, Any]] = defaultdict(lambda: LRUCache(_MOST))


def share_compiled_statements() -> None:
    """Let all engines of this process that speak to the same kind of database share them."""
    setattr(sa, "create_engine", _make_engine)  # noqa: B010 - for mypy it is no variable
    setattr(DefaultDialect, "__hash__", lambda self: hash(type(self)))  # noqa: B010
    setattr(DefaultDialect, "__eq__", _are_alike)  # noqa: B010


def _make_engine(*arguments: Any, **options: Any) -> sa.Engine:
    engine = _create_engine(*arguments, **options)
    engine._compiled_cache = _compiled[type(engine.dialect)]
    return engine


def _are_alike(self: DefaultDialect, other: object) -> bool:
    if self is other:
        return True
    return type(self) is type(other) and _version_of(self) == _version_of(other)


def _version_of(dialect: Any) -> object:
    return getattr(dialect, "server_version_info", None)
