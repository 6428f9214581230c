"""The base class of all groups of options."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


def option_name(field: str) -> str:
    """Return the name of a field in the file, in ``--set`` and in the manual.

    A duration is milliseconds in the code, and its field says so (``idle_ms``); in the file it is
    written with its unit (``idle = "5m"``), and the option has no suffix.
    """
    return field.removesuffix("_ms")


class Options(BaseModel):
    """Base of all groups of options: frozen, no unknown keys.

    The code may construct one by the names of its fields; a file is read by the names of options
    alone (``load``).
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=option_name,
        validate_by_alias=True,
        validate_by_name=True,
    )
