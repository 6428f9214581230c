"""What every group of options is made from."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Options(BaseModel):
    """Base of all groups of options: frozen, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")
