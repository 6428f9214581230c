"""Why an operation was not done, as a page says it beside its form."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from zajil.core.errors import Unavailable, ZajilError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Problem:
    """An error of an operation that the one who asked can do something about."""

    kind: str
    """Name of its class; templates have a sentence for those that they expect."""
    text: str
    """English, for the others."""


async def attempt(work: Awaitable[T]) -> T | Problem:
    """Return the result of an operation, or why it was not done.

    Raises:
        Unavailable: something does not work now; the page of that error says so.
    """
    try:
        return await work
    except Unavailable:
        raise
    except ZajilError as error:
        return Problem(type(error).__name__, str(error))
