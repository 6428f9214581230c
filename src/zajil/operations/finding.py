"""One thing that is wrong with a configuration, as ``zajil config check`` tells it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, for the operator."""

    option: str | None
    """Dotted; ``None``: no option is to blame."""
    reason: str
    """One sentence."""
    is_warning: bool = False
    """The server works all the same, for now."""
    nearest: str | None = None
    """What was probably meant."""

    def __str__(self) -> str:
        """Return the sentence."""
        where = f"{self.option}: " if self.option else ""
        hint = f"; did you mean {self.nearest}?" if self.nearest else ""
        return f"{where}{self.reason}{hint}"
