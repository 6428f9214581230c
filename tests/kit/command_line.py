"""The command line as tests call it, in their own process."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Run = Callable[..., tuple[int, str, str]]
"""Runs a command for one server; gives status, stdout, stderr."""


def as_json(run: Run, *arguments: str) -> Any:
    """Run a command that must succeed; give the object it prints."""
    status, out, err = run(*arguments, "--json")
    assert (status, err) == (0, ""), err
    return json.loads(out)
