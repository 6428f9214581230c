"""The words of PDF files, if ``pypdf`` is installed (the extra ``pdf``).

Laws:
- The file is read by a program of its own, which has at most ``_CPU_SECONDS`` of CPU, 256 MiB of
  memory, and ``_SECONDS`` until it is killed (``pdf_child``).
- Never raises; a file that cannot be read has no words.
"""

from __future__ import annotations

import functools
import importlib.util
import subprocess
import sys
from pathlib import Path

from zajil.message.index_words import MAX_PDF

_MAX_TEXT = 4 << 20
"""Bytes of its text."""
_CPU_SECONDS = 4
_SECONDS = 60.0
_BEGIN = 1024
"""Bytes in which the file says what it is, as other programs look for it."""


@functools.cache
def can_read_pdf() -> bool:
    """Return whether the library is installed."""
    return bool(sys.executable) and importlib.util.find_spec("pypdf") is not None


def pdf_text(data: bytes, seconds: int = _CPU_SECONDS) -> str:
    """Return the text of a file, as far as it can be read in time; ``""``: it has none.

    For a reader thread: waits for a program.

    Args:
        data: of the file.
        seconds: of CPU that the program may take.
    """
    if not can_read_pdf() or len(data) > MAX_PDF or b"%PDF-" not in data[:_BEGIN]:
        return ""
    program = Path(__file__).with_name("pdf_child.py")
    # -I: neither the environment nor the folder it runs in says what is imported.
    command = [sys.executable, "-I", str(program), str(seconds)]
    try:
        with subprocess.Popen(  # noqa: S603 (the arguments are ours)
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={},
        ) as child:
            try:
                text, _ = child.communicate(data, _SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                text, _ = child.communicate()
    except OSError:
        return ""
    return text[:_MAX_TEXT].decode("utf-8", "replace")
