"""Options of the content checks: links, attachments, external scanners."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from zajil.config.kinds import DomainName, Duration, ListenAddress, Size
from zajil.config.options_group import Options
from zajil.core.units import parse_duration, parse_size

FileKind = Literal[
    "program", "script", "shortcut", "disk-image", "macros", "archive-encrypted", "active"
]


class PhishingOptions(Options):
    """``[check.phishing]``: imitated names."""

    imitated_domains: tuple[DomainName, ...] = Field(
        (),
        examples=[["bank.example"]],
        description="Domains, other than the local ones, that attackers are likely to imitate "
        "in mail to your users, such as those of your bank and your suppliers.",
    )


class AttachmentOptions(Options):
    """``[check.attachments]``: attachments, by content and not by name."""

    refuse: tuple[FileKind, ...] = Field(
        (),
        examples=[["program", "script"]],
        description="Types of files whose mail is rejected, also inside archives. Other types "
        "only add to the score, and most such mail is delivered to Junk.",
    )


class ScannerOptions(Options):
    """``[check.scanners]``: external scanners."""

    clamd: ListenAddress | Literal[""] = Field(
        "",
        examples=["unix:/run/clamav/clamd.ctl"],
        description="Address of ClamAV's clamd; empty: not used. Mail with malware is rejected.",
    )
    rspamd: str = Field(
        "",
        pattern=r"^(https?://[^\s@]+)?$",
        examples=["http://127.0.0.1:11333"],
        description="Address of Rspamd's normal worker; empty: not used.",
    )
    rspamd_factor: float = Field(
        0.4,
        ge=0,
        description="Factor applied to Rspamd's score before it is added to the score of the "
        "mail. By default, Rspamd marks mail as junk at 6 and rejects it at 15.",
    )
    rspamd_limit: float = Field(5.0, ge=0, description="Maximum absolute weight of Rspamd's score.")
    deadline_ms: Duration = Field(
        parse_duration("10s"), gt=0, description="Maximum time to wait for all scanners."
    )
    max_size: Size = Field(
        parse_size("25MiB"),
        description="Maximum size of mail that is sent to the scanners; use the value of "
        "`StreamMaxLength` of clamd.",
    )
    on_failure: Literal["accept", "defer"] = Field(
        "accept",
        description="Action if a scanner fails: 'accept' accepts the mail and records the "
        "failure in its journey, 'defer' rejects it temporarily.",
    )
