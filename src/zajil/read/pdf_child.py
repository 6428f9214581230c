"""Writes the text of a PDF file to its standard output: a program of its own (``read.pdf_text``).

Security: the file comes from anybody, and a reader of PDF can be made to take any time and memory.
So the kernel ends this program when it takes more than it may; what it wrote before counts.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import resource
import sys
from itertools import islice

_MEMORY = 256 << 20
_PAGES = 300
_TEXT = 1 << 20
"""Characters."""
_FILES = 16


def _limit(seconds: int) -> None:
    """Let the kernel end this program when it has used so many seconds of CPU."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _FILES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(5)


def _write_text(data: bytes) -> None:
    reader = importlib.import_module("pypdf").PdfReader(io.BytesIO(data))
    room = _TEXT
    for page in islice(reader.pages, _PAGES):
        # A page that cannot be read does not hide the next one.
        with contextlib.suppress(Exception):
            text = page.extract_text()[:room]
            room -= len(text)
            sys.stdout.buffer.write(text.encode("utf-8", "replace") + b"\n")
            sys.stdout.buffer.flush()
        if room <= 0:
            return


def main() -> None:
    """Read a file from standard input; the argument is how many seconds of CPU it may take."""
    _limit(int(sys.argv[1]))
    with contextlib.suppress(Exception):  # what was written before counts
        _write_text(sys.stdin.buffer.read())


if __name__ == "__main__":
    main()
