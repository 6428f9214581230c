"""Durations and sizes as they are written in the configuration: ``"5d"``, ``"25MiB"``."""

from __future__ import annotations

import re

_DURATION = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_SIZE = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}
_NUMBER_AND_UNIT = re.compile(r"([0-9]{1,12}) ?([A-Za-z]{1,3})\Z")


def parse_duration(text: str) -> int:
    """Return milliseconds for ``"90s"``, ``"5m"``, ``"4h"``, ``"5d"``.

    Raises:
        ValueError: no unit, or not one of ms s m h d w.
    """
    return _parse(text, _DURATION, "a duration is a number with a unit, like 30s, 5m, 4h, 5d")


def parse_size(text: str) -> int:
    """Return bytes for ``"512B"``, ``"256KiB"``, ``"25MiB"``.

    Raises:
        ValueError: no unit, or not one of B KiB MiB GiB TiB.
    """
    return _parse(text, _SIZE, "a size is a number with a unit, like 256KiB, 25MiB")


def parse_short_size(text: str) -> int:
    """Return bytes for ``"2G"``, as df and Dovecot write it, and for what ``parse_size`` takes.

    Raises:
        ValueError: as ``parse_size``.
    """
    is_short = text[-1:].upper() in ("K", "M", "G", "T")
    return parse_size(f"{text[:-1]}{text[-1].upper()}iB" if is_short else text)


def format_duration(value_ms: int) -> str:
    """Write milliseconds in the largest unit that divides them: the inverse of parsing."""
    return _format(value_ms, _DURATION)


def format_size(size: int) -> str:
    """Write bytes in the largest unit that divides them: the inverse of parsing."""
    return _format(size, _SIZE)


def _parse(text: str, units: dict[str, int], hint: str) -> int:
    match = _NUMBER_AND_UNIT.match(text.strip())
    if not match or match[2] not in units:
        raise ValueError(f"{hint}; not {text!r}")
    return int(match[1]) * units[match[2]]


def _format(value: int, units: dict[str, int]) -> str:
    for unit, factor in sorted(units.items(), key=lambda item: -item[1]):
        if value and value % factor == 0:
            return f"{value // factor}{unit}"
    return f"{value}{next(iter(units))}"
