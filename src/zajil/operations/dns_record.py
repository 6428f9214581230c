"""One DNS record that an operator should publish. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DnsRecord:
    """One record to publish."""

    name: str
    """ASCII form, without a final dot; of a PTR record: the address it is for."""
    type: str
    value: str
    """As it stands in a zone file; in angle brackets: what the operator must fill in."""
    purpose: str
    """One sentence for a person; a key of the catalogs, as are the values in angle brackets."""
    is_optional: bool = False
    """Mail works without it."""

    @property
    def is_open(self) -> bool:
        """Whether the operator must fill in a value that this server does not know."""
        return self.value.startswith("<")

    def is_in(self, zone: str) -> bool:
        """Whether the record belongs to a zone; a PTR is in the zone of the address."""
        return self.type != "PTR" and (self.name == zone or self.name.endswith(f".{zone}"))

    @property
    def line(self) -> str:
        """The record as a line of a zone file."""
        dot = "" if self.type == "PTR" else "."
        return f"{self.name}{dot} IN {self.type} {self.value}"
