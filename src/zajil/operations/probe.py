"""What a probe of this machine found: one line for the operator. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Level = Literal["ok", "warning", "problem", "skipped"]
"""``warning``: mail works, but not as well; ``problem``: mail will not work, or be lost;
``skipped``: not tried."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One finding. Its texts are keys of the catalogs, with places for ``facts``."""

    name: str
    """What was tried: a key of the catalogs."""
    level: Level
    text: str
    """One sentence: what was found."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """Values of the places in ``text`` and ``advice``."""
    advice: str = ""
    """One sentence: what to do; empty: nothing."""

    def __str__(self) -> str:
        """Return text and advice in English."""
        return " ".join(one.format_map(self.facts) for one in (self.text, self.advice) if one)


def has_problem(probes: Sequence[Probe]) -> bool:
    """Return whether mail will not work."""
    return any(one.level == "problem" for one in probes)
