"""What a kind of report has of its own; ``counts`` and ``sending`` do what all have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from zajil.core.address import Address
from zajil.dns.flow import Flow


@dataclass(frozen=True, slots=True)
class Destinations:
    """Where the reports on a domain go."""

    addresses: tuple[Address, ...]
    refused: tuple[str, ...] = ()
    """A sentence for each place that a record names and that gets none."""
    is_unsure: bool = False
    """DNS gave no answer for one: ask again later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportOrder:
    """What one report is written from."""

    domain: str
    begin_s: int
    """Seconds since 1970 UTC."""
    end_s: int
    """The last second of the interval."""
    details: str
    """JSON, as the counts wrote it."""
    rows: tuple[tuple[str, int], ...]
    """JSON and count of what was alike; the highest count first."""
    submitter: str
    """Our host name."""
    sender: Address
    recipients: tuple[Address, ...]
    report_id: str
    """The same for one interval, whichever worker makes the report."""
    at_ms: int


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """A report on its way."""

    message: bytes
    """A whole message with the Message-ID ``<report_id>``; not signed yet."""
    summary: str
    """For a log line: ``5 messages``."""


class ReportKind(ABC):
    """One kind of report to others."""

    name: ClassVar[str]
    """Key of its rows in the store: it never changes once released."""
    title: ClassVar[str]
    """For log lines."""
    local_part: ClassVar[str]
    """Of the address that sends them."""

    @abstractmethod
    def find_destinations(self, domain: str, details: str) -> Flow[Destinations]:
        """Return where the reports on a domain go."""

    @abstractmethod
    def write(self, order: ReportOrder) -> WrittenReport:
        """Write the message; it may take long, so the caller uses a thread."""
