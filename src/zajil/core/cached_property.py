"""A property that is computed once, without the lock of ``functools.cached_property``.

Python 3.11 takes a lock around each computation (3.12 no longer does), which costs more than most
of the properties of a message. For values that one thread at a time uses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

__all__ = ["cached_property"]

if TYPE_CHECKING:
    from functools import cached_property
else:

    class cached_property:
        """Compute a value when it is first asked for, and keep it in the ``__dict__``."""

        def __init__(self, compute: Callable[[Any], Any]) -> None:
            self._compute = compute
            self._name = compute.__name__
            self.__doc__ = compute.__doc__

        def __get__(self, instance: object, owner: type | None = None) -> Any:
            """Return the value, or the property itself when the class is asked."""
            if instance is None:
                return self
            value = instance.__dict__[self._name] = self._compute(instance)
            return value
