"""Two configurations side by side: which options differ, and which of them need a restart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from zajil.config.kinds import NEEDS_RESTART
from zajil.config.load import option_groups, option_names, option_value, own_options
from zajil.config.options import Configuration
from zajil.config.options_group import Options, option_name


def differing_options(one: Configuration, other: Configuration) -> Iterator[str]:
    """Name the options whose values differ, in the order of the manual."""
    for name in option_names():
        if option_value(one, name) != option_value(other, name):
            yield name


def restart_options() -> Iterator[str]:
    """Name the options that a running server cannot change, in the order of the manual."""
    for group, options in option_groups().items():
        for name, field in own_options(options).items():
            if NEEDS_RESTART in field.metadata:
                yield f"{group}.{name}"


def with_options_of(
    target: Configuration, source: Configuration, names: Iterable[str]
) -> Configuration:
    """Return a configuration that has some options of another one."""
    for name in names:
        target = _with_value(target, name.split("."), source)
    return target


def _with_value(target: Options, parts: list[str], source: Options) -> Configuration:
    first, *rest = parts
    field = next(one for one in type(target).model_fields if option_name(one) == first)
    value = getattr(source, field)
    if rest:
        value = _with_value(getattr(target, field), rest, value)
    return target.model_copy(update={field: value})  # type: ignore[return-value]
