"""The check step over a zone in memory."""

from __future__ import annotations

from kit.zone import Zone, ZoneResolver
from zajil.check.step import Checks
from zajil.config.options_check import CheckOptions

_AUTHORS: Zone = {"north.test": {}, "south.test": {}, "east.test": {}}
"""Domains that tests write from; they have no records."""


def make_checks(zone: Zone | None = None, options: CheckOptions | None = None) -> Checks:
    """Make what a worker checks mails with; without a zone no other name exists."""
    return Checks(
        options or CheckOptions(),
        ZoneResolver(_AUTHORS if zone is None else zone).resolve,
        "mx.north.test",
    )
