"""What commands print: one object of JSON for programs, aligned lines for people."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from zajil.core.moment import spell_utc

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, for programs.")]


_QUIET_SECONDS = 5.0
"""Work that ends sooner prints no lines where there is no terminal."""


@contextmanager
def progress_bar(title: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Show the progress of long work on standard error: a bar on a terminal, else plain lines.

    Args:
        title: what is done: ``copying the store``.
        quiet: show nothing.

    Returns:
        What is told how much is done and how much there is.
    """
    if not quiet and sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(title, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)
        return
    begun, told = time.monotonic(), 0

    def tell(done: int, total: int) -> None:
        nonlocal told
        tenth = 10 * done // total if total else 0
        if not quiet and tenth > told and time.monotonic() - begun >= _QUIET_SECONDS:
            told = tenth
            print(f"{title}: {10 * tenth} %", file=sys.stderr, flush=True)

    yield tell


def print_json(value: Any) -> None:
    """Print one object on one line."""
    print(json.dumps(value, ensure_ascii=False))


def print_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their titles, each column as wide as its widest text."""
    lines = [tuple(map(printable, row)) for row in [titles, *rows]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [text.ljust(width) for text, width in zip(line, widths, strict=True)]
        print("  ".join(cells).rstrip())


def printable(text: str) -> str:
    """Make foreign text safe for a terminal.

    Security: addresses and replies come from outside; escape sequences in them could rewrite
    what the operator sees, direction characters could reorder it.
    """
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in text)


def spell_time(at_ms: int | None) -> str:
    """Write a time for people, in UTC, as the log and the journey do."""
    return "-" if at_ms is None else spell_utc(at_ms)


def spell_age(age_ms: int) -> str:
    """Write how long ago something was in its two largest units: ``3d 4h``, ``5m 12s``."""
    seconds = max(0, age_ms) // 1000
    parts: list[str] = []
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        number, seconds = divmod(seconds, length)
        if number or parts:
            parts.append(f"{number}{unit}")
    return " ".join(parts[:2]) or "0s"


def spell_size(size: int) -> str:
    """Write a number of bytes with three digits or so: ``812 B``, ``4.1 KiB``, ``23 MiB``."""
    value, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1000:
            break
        value, unit = value / 1024, larger
    return f"{value:.1f} {unit}" if unit != "B" and value < 10 else f"{value:.0f} {unit}"
