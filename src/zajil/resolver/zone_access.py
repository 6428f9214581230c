"""What it takes to read and write the records of a zone, whoever keeps it.

``provider`` opens what is configured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from zajil.core.errors import Invalid, Unavailable


class BadProvider(Invalid):
    """``[dns_provider]`` cannot be used as it is."""


class ProviderFailed(Unavailable):
    """The provider refused, or did not answer; the text says which."""


@dataclass(frozen=True, slots=True)
class ZoneRecord:
    """One record of a zone."""

    name: str
    """ASCII form, without a final dot."""
    type: str
    value: str
    """As in a zone file, names with a final dot; of TXT: the joined strings, without quotes."""
    ttl_seconds: int = 300


class Provider(Protocol):
    """Access to the zones of one provider."""

    def list_records(self, zone: str, name: str, kind: str) -> list[ZoneRecord]:
        """Return the records of one name and type.

        Raises:
            ProviderFailed: it could not be asked.
        """

    def change(self, zone: str, remove: Sequence[ZoneRecord], add: Sequence[ZoneRecord]) -> None:
        """Remove these records, which may be gone already, and add those.

        Raises:
            ProviderFailed: some records may have been changed.
        """
