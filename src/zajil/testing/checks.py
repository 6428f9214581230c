"""The check step over a zone in memory."""

from __future__ import annotations

from zajil.check.step import Checks
from zajil.config.options_check import CheckOptions
from zajil.testing.zone import Zone, ZoneResolver


def make_checks(zone: Zone | None = None, options: CheckOptions | None = None) -> Checks:
    """Make what a worker checks mails with; without a zone no name exists."""
    return Checks(options or CheckOptions(), ZoneResolver(zone or {}).resolve, "mx.north.test")
