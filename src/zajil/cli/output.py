"""What commands have in common: JSON output, tables, progress, times, arguments."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from zajil.cli.errors import WrongUsage
from zajil.core.moment import spell_utc

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Since = Annotated[
    str | None,
    typer.Option(
        metavar="TIME", help="Only since then: 2h or 3d ago, or a time like 2026-11-23T18:00 (UTC)."
    ),
]
Who = Annotated[
    str, typer.Argument(metavar="ACCOUNT", help="Login name or address of the account.")
]


_QUIET_SECONDS = 5.0
"""Without a terminal, progress is printed only after this time."""


@contextmanager
def progress_bar(title: str, *, quiet: bool = False) -> Iterator[Callable[[int, int], None]]:
    """Show the progress of long work on standard error: a bar on a terminal, else plain lines.

    Args:
        title: name of the work: ``copying the store``.
        quiet: show nothing.

    Returns:
        A function that takes how much is done and how much there is.
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


def log_to_stderr() -> None:
    """Print log lines of this command on standard error; standard output is for its result."""
    from zajil.config.options_monitor import LogOptions
    from zajil.net.log import set_up_log

    set_up_log(LogOptions())


def end_log() -> None:
    """End the log of this command: the process may go on, as that of a test does."""
    if "zajil.net.log" in sys.modules:
        from zajil.net.log import shut_log

        shut_log()


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
    """Return text with everything escaped that could confuse a terminal.

    Security: addresses and replies come from outside; escape sequences in them could change what
    the operator sees, and direction characters could reorder it.
    """
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in text)


def spell_time(at_ms: int | None) -> str:
    """Return a time in UTC, as the log and the journey print it."""
    return "-" if at_ms is None else spell_utc(at_ms)


def spell_age(age_ms: int) -> str:
    """Return an age in its two largest units: ``3d 4h``, ``5m 12s``."""
    seconds = max(0, age_ms) // 1000
    parts: list[str] = []
    for unit, length in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        number, seconds = divmod(seconds, length)
        if number or parts:
            parts.append(f"{number}{unit}")
    return " ".join(parts[:2]) or "0s"


def spell_count(number: int, noun: str) -> str:
    """Return a number with its noun, whose plural ends in -s: ``1 message``, ``2 messages``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def spell_size(size: int) -> str:
    """Return a number of bytes with about three digits: ``812 B``, ``4.1 KiB``, ``23 MiB``."""
    value, unit = float(size), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1000:
            break
        value, unit = value / 1024, larger
    return f"{value:.1f} {unit}" if unit != "B" and value < 10 else f"{value:.0f} {unit}"


def duration_ms(text: str, option: str) -> int:
    """Return the milliseconds of a duration such as ``2h`` or ``3d``.

    Raises:
        WrongUsage: it is not a duration; the text names the option.
    """
    from zajil.core.units import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise WrongUsage(f"{option}: {error}") from None


def parse_since(text: str | None) -> int | None:
    """Return the time of ``--since`` in milliseconds; ``None``: it was not given.

    Raises:
        WrongUsage: it is neither a duration nor a time.
    """
    from zajil.net.system import SystemClock

    if text is None:
        return None
    if re.fullmatch(r"[0-9]+ ?[a-z]+", text):
        return SystemClock().now_ms() - duration_ms(text, "--since")
    try:
        at = datetime.fromisoformat(text)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return int(at.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise WrongUsage(
            f"--since: {text!r} is neither like 2h nor like 2026-11-23T18:00"
        ) from None
