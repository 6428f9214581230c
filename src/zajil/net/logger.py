"""What our own code logs with: a sentence and the values that belong to it.

It is the standard module, which libraries log with too; ``net.log`` decides what becomes of a line.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")

_SHARD: ContextVar[str] = ContextVar("shard", default="")
"""Whose work a task does; ``""``: that of the main shard, or of the server."""


class Logger:
    """Logs sentences, each with values."""

    __slots__ = ("_log", "_values")

    def __init__(self, name: str, values: dict[str, Any] | None = None) -> None:
        self._log = logging.getLogger(name)
        self._values = values or {}

    def bind(self, **values: Any) -> Logger:
        """Return a logger whose lines all have these values too."""
        return Logger(self._log.name, {**self._values, **values})

    def debug(self, event: str, **values: Any) -> None:
        """Log what only a search for a fault needs."""
        self._tell(logging.DEBUG, event, None, values)

    def info(self, event: str, **values: Any) -> None:
        """Log what happens as it should."""
        self._tell(logging.INFO, event, None, values)

    def warning(self, event: str, **values: Any) -> None:
        """Log what an operator should look at."""
        self._tell(logging.WARNING, event, None, values)

    def error(self, event: str, *, exc_info: BaseException | None = None, **values: Any) -> None:
        """Log a fault, with its traceback where there is one."""
        self._tell(logging.ERROR, event, exc_info, values)

    def _tell(
        self, level: int, event: str, error: BaseException | None, values: dict[str, Any]
    ) -> None:
        if self._log.isEnabledFor(level):
            shard = _SHARD.get()
            named = {"shard": shard} if shard else {}
            extra = {"values": {**self._values, **values, **named}}
            self._log.log(level, event, exc_info=error, extra=extra)


async def work_for_shard(shard: str, work: Coroutine[Any, Any, T]) -> T:
    """Do what is to be done in one shard; lines that the task logs meanwhile name it."""
    _SHARD.set(shard)
    return await work


def get_logger(name: str = "zajil") -> Logger:
    """Return the logger of a part of the program; ``zajil.deliver`` is a part of ``zajil``."""
    return Logger(name)
