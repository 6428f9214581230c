"""A message that a command reads: from a file, or from stdin."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

MessageFile = Annotated[
    str, typer.Argument(metavar="FILE", help="A message (RFC 5322); - reads it from stdin.")
]

_LONE_LF = re.compile(rb"(?<!\r)\n")


class NoMessageFile(Exception):
    """The file cannot be read."""


def read_message(file: str) -> bytes:
    """Read a message; a line that ends in LF ends in CRLF, as on the wire.

    Raises:
        NoMessageFile: with the system's reason.
    """
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise NoMessageFile(f"{file} cannot be read: {error.strerror}") from None
    return _LONE_LF.sub(b"\r\n", data)
