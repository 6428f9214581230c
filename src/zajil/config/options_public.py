"""Options of what other servers and mail programs read over HTTPS: MTA-STS policy, settings."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from zajil.config.kinds import BadOption, DomainName, Duration
from zajil.config.options_group import Options
from zajil.core.domain import BadDomain, to_ascii
from zajil.core.service import Service
from zajil.core.units import parse_duration

CLIENT_SERVICES = (
    Service.IMAPS,
    Service.IMAP,
    Service.POP3S,
    Service.POP3,
    Service.SUBMISSIONS,
    Service.SUBMISSION,
)
"""What mail programs connect to; of each protocol, TLS from the first byte comes first (RFC 8314
section 3)."""


class MtaStsOptions(Options):
    """``[mta_sts]``: policy that other servers read before they send mail to our domains."""

    mode: Literal["none", "testing", "enforce"] = Field(
        "testing",
        description="What other servers do if they cannot send with TLS to a server of the policy "
        "with a valid certificate (RFC 8461 section 5): testing: they deliver and report it; "
        "enforce: they do not deliver. none withdraws a policy; keep it for max_age before the "
        "records are removed from DNS (RFC 8461 section 8.3).",
    )
    max_age_ms: Duration = Field(
        parse_duration("7d"),
        ge=parse_duration("1d"),
        le=31_557_600_000,
        description="How long other servers keep the policy. They read it again before, if the id "
        "in DNS changes; use several weeks with enforce (RFC 8461 section 3.2).",
    )
    mx: tuple[str, ...] = Field(
        (),
        examples=[["mail.example.org", "*.backup.example.net"]],
        description="Host names of the MX records of our domains; '*.' matches one label. Default: "
        "server.hostname.",
    )

    @field_validator("mx")
    @classmethod
    def _are_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_mx_pattern(name) for name in names)


class ClientOptions(Options):
    """``[clients]``: servers and ports in the settings that mail programs find by themselves."""

    hostname: DomainName | None = Field(
        None,
        examples=["mail.example.org"],
        description="Host name that mail programs connect to; default: server.hostname. Needed if "
        "several servers stand behind one name.",
    )
    ports: dict[str, int] = Field(
        {},
        examples=[{"imaps": 993, "submissions": 465}],
        description="Ports under which mail programs reach services, by name in [listen], where a "
        "firewall or proxy forwards other ports than those of the listeners; 0: the service is not "
        "announced. Default: the ports of the listeners.",
    )

    @model_validator(mode="after")
    def _name_services(self) -> Self:
        for name, port in self.ports.items():
            if name not in CLIENT_SERVICES:
                names = ", ".join(CLIENT_SERVICES)
                raise BadOption(f"clients.ports.{name}", f"mail programs use these: {names}")
            if not 0 <= port <= 65535:
                raise BadOption(f"clients.ports.{name}", "a port is 0 to 65535")
        return self


def _mx_pattern(name: str) -> str:
    """Return a name, or a pattern that begins with ``*.``, in A-labels (RFC 8461 section 3.2)."""
    star = "*." if name.startswith("*.") else ""
    try:
        return star + to_ascii(name.removeprefix(star))
    except BadDomain as error:
        raise ValueError(str(error)) from None
