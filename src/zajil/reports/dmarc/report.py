"""DMARC aggregate reports as values: what one receiver saw of one domain (RFC 9990).

``write_xml`` and ``read_xml`` are their XML, ``mail`` the mails that carry them.
"""

from __future__ import annotations

from dataclasses import dataclass

DMARC = "dmarc"
"""Key of the counts for these reports in the store."""
NAMESPACE = "urn:ietf:params:xml:ns:dmarc-2.0"
"""RFC 9990 section 5.1. Reports of RFC 7489 have none."""


@dataclass(frozen=True, slots=True)
class DkimResult:
    """One signature, as it was verified, whatever DMARC made of it."""

    domain: str
    selector: str
    result: str
    """A word of RFC 8601 section 2.7.1."""
    human_result: str = ""


@dataclass(frozen=True, slots=True)
class SpfResult:
    """What SPF said."""

    domain: str
    result: str
    """A word of RFC 8601 section 2.7.2."""
    scope: str = "mfrom"
    """The only one of RFC 9990; older reports know ``helo``."""
    human_result: str = ""


@dataclass(frozen=True, slots=True)
class PolicyOverride:
    """Why something else was done than the policy asks for."""

    type: str
    """``local_policy``, ``mailing_list``, ``other``, ``policy_test_mode``, ``trusted_forwarder``;
    older reports know ``forwarded`` and ``sampled_out``."""
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """Mails that were alike in everything a report tells."""

    source_ip: str
    count: int
    disposition: str
    """``none``, ``pass``, ``quarantine``, ``reject``."""
    dkim: str
    """``pass`` or ``fail``: whether an aligned signature proved the author."""
    spf: str
    header_from: str
    """The domain in From."""
    envelope_from: str | None = None
    """The domain of MAIL FROM; ``""`` for the null path; ``None``: not told."""
    envelope_to: str | None = None
    overrides: tuple[PolicyOverride, ...] = ()
    dkim_results: tuple[DkimResult, ...] = ()
    spf_results: tuple[SpfResult, ...] = ()
    """At most one in a report of RFC 9990."""

    @property
    def is_pass(self) -> bool:
        """DMARC passed."""
        return "pass" in (self.dkim, self.spf)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPolicy:
    """What the record said; ``""`` for what is not told."""

    domain: str
    """Where the record was found."""
    policy: str
    subdomain_policy: str = ""
    absent_policy: str = ""
    """``np``: for names that do not exist."""
    dkim_alignment: str = ""
    """``r`` or ``s``."""
    spf_alignment: str = ""
    failure_options: str = ""
    testing: str = ""
    """``y`` or ``n``."""
    discovery_method: str = ""
    """``treewalk``, or ``psl`` for who works as RFC 7489 says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AggregateReport:
    """One report."""

    organization: str
    """Who saw it (``org_name``)."""
    email: str
    report_id: str
    begin_s: int
    """Seconds since 1970 UTC."""
    end_s: int
    policy: PublishedPolicy
    rows: tuple[ReportRow, ...]
    contact: str = ""
    """More about whom to ask (``extra_contact_info``)."""
    errors: tuple[str, ...] = ()
    """What was wrong with the record."""
    generator: str = ""

    @property
    def messages(self) -> int:
        """How many mails it tells of."""
        return sum(row.count for row in self.rows)

    @property
    def passed(self) -> int:
        """How many of them passed DMARC."""
        return sum(row.count for row in self.rows if row.is_pass)
