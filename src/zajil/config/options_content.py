"""Options of the checks that look into a mail: its links, its files, scanners beside us."""

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
    """``[check.phishing]``: names that strangers borrow."""

    imitated_domains: tuple[DomainName, ...] = Field(
        (),
        examples=[["bank.example"]],
        description="Domains, beside our own, that mail here is made to look like: your bank's, "
        "your suppliers'.",
    )


class AttachmentOptions(Options):
    """``[check.attachments]``: files by what they are, whatever their names say."""

    refuse: tuple[FileKind, ...] = Field(
        (),
        examples=[["program", "script"]],
        description="Refuse a mail with such a file, in an archive too. Otherwise it weighs, and "
        "most such mail goes to Junk.",
    )


class ScannerOptions(Options):
    """``[check.scanners]``: programs beside us that are asked about each mail."""

    clamd: ListenAddress | Literal[""] = Field(
        "",
        examples=["unix:/run/clamav/clamd.ctl"],
        description="Where ClamAV's clamd listens; empty: it is not asked. What it calls malware "
        "is refused.",
    )
    rspamd: str = Field(
        "",
        pattern=r"^(https?://[^\s@]+)?$",
        examples=["http://127.0.0.1:11333"],
        description="Where Rspamd's normal worker listens; empty: it is not asked.",
    )
    rspamd_factor: float = Field(
        0.4, ge=0, description="Its score counts so much: it refuses at 15, where junk begins at 6."
    )
    rspamd_limit: float = Field(5.0, ge=0, description="Its voice weighs at most this, either way.")
    deadline_ms: Duration = Field(
        parse_duration("10s"), gt=0, description="Wait for all of them at most so long."
    )
    max_size: Size = Field(
        parse_size("25MiB"),
        description="Larger mails are not sent to them; `StreamMaxLength` of clamd is the same.",
    )
    on_failure: Literal["accept", "defer"] = Field(
        "accept",
        description="What is done with mail that a scanner could not look at: 'accept' takes it "
        "and its journey says so, 'defer' asks the peer to come again.",
    )
