"""Options of what operators watch a server by: the log, alerts, traces."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from zajil.config.kinds import Duration, FilePath, MailAddress, Secret, Size, WebAddress
from zajil.config.options_group import Options
from zajil.core.units import parse_duration, parse_size
from zajil.tracking.audit import AUDIT_EVENTS
from zajil.tracking.events import EVENTS

LogLevel = Literal["debug", "info", "warning", "error"]
LOG_AREAS = frozenset(
    {name.partition(".")[0] for name in (*EVENTS, *AUDIT_EVENTS)} | {"smtp", "imap", "pop3"}
)
"""The first words of the names of events; the last three are the dialogues of sessions."""


class LogOptions(Options):
    """``[log]``: place, detail and format of the log."""

    level: LogLevel = Field("info", description="Minimum severity to log. Read again at a reload.")
    levels: dict[str, LogLevel] = Field(
        default_factory=dict,
        description="Table of areas with a minimum severity of their own. The area of a line is "
        "the part of its event before the dot, such as session, mail, check, deliver or queue; "
        "smtp, imap and pop3 stand for the dialogues of sessions: levels = { smtp = 'debug' }. "
        "Read again at a reload.",
    )
    format: Literal["text", "json", "journal"] = Field(
        "text",
        description="Format of log lines: text for people, json for programs, journal for the "
        "systemd journal, which adds the time itself and takes the severity of each line. Read "
        "again at a reload.",
    )
    file: FilePath | None = Field(
        None,
        examples=["/var/log/zajil/zajil.log"],
        description="File to log to; default: standard error. It is opened again when it was "
        "renamed or removed, as logrotate does, and at a reload. server.user must be able to write "
        "to it.",
    )

    @field_validator("levels")
    @classmethod
    def _are_areas(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name in value:
            if name not in LOG_AREAS:
                areas = ", ".join(sorted(LOG_AREAS))
                raise ValueError(f"there is no area {name!r}; there are {areas}")
        return value

    def level_of(self, area: str) -> LogLevel:
        """Return the minimum severity of an area, or of all others."""
        return self.levels.get(area, self.level)


class AlertOptions(Options):
    """``[alerts]``: mail to the administrators when something needs them."""

    enabled: bool = Field(
        True,
        description="Send a mail when a condition begins (`zajil alerts list` shows all kinds), "
        "daily while it lasts, and when it ends. Off: conditions are neither looked for nor shown.",
    )
    to: tuple[MailAddress, ...] = Field(
        (),
        examples=[["ops@example.net"]],
        description="Addresses that get alerts, here or elsewhere; default: all administrators.",
    )
    language: str = Field(
        "en",
        description="Language of alerts for readers who have chosen none: en, ar or fr.",
    )
    queue_age_ms: Duration = Field(
        parse_duration("4h"), description="Time in the queue after which waiting mail is reported."
    )
    disk_free: Size = Field(
        parse_size("1GiB"),
        description="Minimum free disk space of the data folder; less is reported.",
    )
    dns: bool = Field(
        True,
        description="Look up the DNS records of all domains daily, and report records that were "
        "right and are missing or different.",
    )


class TracingOptions(Options):
    """``[tracing]``: the journey of each mail as a trace for OpenTelemetry."""

    endpoint: WebAddress | None = Field(
        None,
        examples=["http://127.0.0.1:4318/v1/traces"],
        description="Address of a collector that takes OTLP over HTTP; default: no traces are "
        "sent. Needs the extra 'tracing'.",
    )
    headers: dict[str, Secret] = Field(
        default_factory=dict,
        examples=[{"authorization": "Bearer secret"}],
        description="Table of header fields for the collector, such as an authorization. A value "
        "may be in a file of its own, like other secrets.",
    )
    sample_ratio: float = Field(
        1.0, ge=0, le=1, description="Share of the mails that have a trace: 0.1 is one in ten."
    )
    addresses: bool = Field(
        False,
        description="Include addresses of senders, recipients and clients, names of mailboxes and "
        "replies of other servers.",
    )
