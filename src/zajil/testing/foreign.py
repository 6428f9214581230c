"""Programs we did not write, as tests use them: found, or the test is skipped and says so."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

PACKAGES = {
    "chromium": "chromium",
    "curl": "curl",
    "msmtp": "msmtp",
    "postconf": "postfix",
    "postfix": "postfix",
    "smtp-sink": "postfix",
    "smtp-source": "postfix",
    "strace": "strace",
    "swaks": "swaks",
}
"""Debian's package of each program."""

_REASON = re.compile(r"needs (\S+) \(apt-get install ([\w.+-]+)\)")


def find_program(name: str) -> Path | None:
    """Give the program's path; servers' programs lie in ``sbin``, which not every PATH has."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    found = shutil.which(name, path=path)
    return Path(found) if found else None


def need_program(name: str) -> str:
    """Give the program's path, or skip the test that calls."""
    found = find_program(name)
    if found is None:
        pytest.skip(f"needs {name} (apt-get install {PACKAGES[name]})")
    return str(found)


def need_swaks_with_tls() -> str:
    """Give the path of a swaks that can speak TLS, or skip the test that calls."""
    swaks = need_program("swaks")
    support = subprocess.run([swaks, "--support"], capture_output=True, text=True).stdout
    if "TLS supported" not in support:
        pytest.skip("needs Net::SSLeay (apt-get install libnet-ssleay-perl)")
    return swaks


def missing_line(skip_reasons: Iterable[str]) -> str | None:
    """Say in one line which programs were missing; ``None``: none was."""
    matches = [match for reason in skip_reasons if (match := _REASON.search(reason))]
    if not matches:
        return None
    count = Counter(match[1] for match in matches)
    programs = ", ".join(f"{name} ({number} tests)" for name, number in sorted(count.items()))
    packages = " ".join(sorted({match[2] for match in matches}))
    return f"skipped for want of {programs}; to run them: apt-get install {packages}"
