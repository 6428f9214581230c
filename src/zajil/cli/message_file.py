"""A message that a command reads from a file or from standard input."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from zajil.core.errors import NotFound

MessageFile = Annotated[
    str, typer.Argument(metavar="FILE", help="A message (RFC 5322); - reads standard input.")
]

MAX_SIZE = 256 * 1024 * 1024
"""Maximum number of octets: no server accepts more, and /dev/zero has no end."""

_LONE_LF = re.compile(rb"(?<!\r)\n")


class NoMessageFile(NotFound):
    """The file cannot be read, or is too large."""


def read_message(file: str) -> bytes:
    """Return a message; line ends LF become CRLF, as on the wire.

    Raises:
        NoMessageFile: with the reason.
    """
    return _LONE_LF.sub(b"\r\n", read_bounded(file))


def read_bounded(file: str) -> bytes:
    """Return the content of a file, or of standard input for ``-``.

    Raises:
        NoMessageFile: with the reason.
    """
    try:
        if file == "-":
            data = sys.stdin.buffer.read(MAX_SIZE + 1)
        else:
            with Path(file).open("rb") as opened:
                data = opened.read(MAX_SIZE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise NoMessageFile(f"{file} cannot be read: {reason}") from None
    if len(data) > MAX_SIZE:
        raise NoMessageFile(f"{file} is larger than {MAX_SIZE >> 20} MiB")
    return data
