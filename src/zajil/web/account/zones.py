"""Time zones to choose from, named in the reader's language."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from zoneinfo import available_timezones

from babel import Locale
from babel.core import get_global
from babel.dates import get_timezone_location

_REGIONS = (
    "Africa",
    "America",
    "Antarctica",
    "Asia",
    "Atlantic",
    "Australia",
    "Europe",
    "Indian",
    "Pacific",
)


@dataclass(frozen=True, slots=True)
class NamedZone:
    """One time zone."""

    name: str
    """As the time zone database has it: ``Asia/Riyadh``."""
    place: str
    """Country and city, in a language."""


@functools.lru_cache(maxsize=16)
def list_zones(locale: Locale) -> tuple[NamedZone, ...]:
    """Return the time zones of inhabited places, in the order of their names in a language.

    It takes some tenths of a second once for each language.
    """
    known = available_timezones()
    zones = [
        NamedZone(name, _place(name, locale))
        for name in get_global("zone_territories")
        if name in known and name.partition("/")[0] in _REGIONS
    ]
    return tuple(sorted(zones, key=lambda zone: zone.place))


def _place(name: str, locale: Locale) -> str:
    country = locale.territories.get(get_global("zone_territories")[name], "")
    city = get_timezone_location(name, locale, return_city=True)
    return f"{country} – {city}" if country and country != city else city
