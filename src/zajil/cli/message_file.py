"""A message that a command reads: from a file, or from stdin."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from zajil.core.errors import NotFound

MessageFile = Annotated[
    str, typer.Argument(metavar="FILE", help="A message (RFC 5322); - reads it from stdin.")
]

MAX_SIZE = 256 * 1024 * 1024
"""Octets that are read: no server takes more, and /dev/zero has no end."""

_LONE_LF = re.compile(rb"(?<!\r)\n")


class NoMessageFile(NotFound):
    """The file cannot be read, or is larger than any message."""


def read_message(file: str) -> bytes:
    """Read a message; a line that ends in LF ends in CRLF, as on the wire.

    Raises:
        NoMessageFile: with the reason.
    """
    return _LONE_LF.sub(b"\r\n", read_bounded(file))


def read_bounded(file: str) -> bytes:
    """Read a file, or stdin for ``-``, as it is.

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
