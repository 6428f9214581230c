"""Options of routes other than MX records: the smarthost, and what ``deliver.routes`` may say."""

from __future__ import annotations

import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from zajil.config.kinds import BadOption, HostName, Secret, is_host, read_host
from zajil.config.options_group import Options
from zajil.core.domain import BadDomain, to_ascii

SmarthostTls = Literal["implicit", "starttls", "opportunistic"]

DIRECT = "direct"
"""The value of a route that goes to the hosts of the domain (MX)."""
SMARTHOST = "smarthost"
"""The value of a route that goes to ``smarthost.host``."""
_IMPLICIT_TLS_PORT = 465
_SUBMISSION_PORT = 587

# RFC 7208 section 12: mechanisms with a value, separated by spaces.
_SPF_TERMS = re.compile(r"[a-z0-9]+:[!-~]+(?: [a-z0-9]+:[!-~]+)*")

_ROUTE = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^:\[\]]+)(?::(?P<port>[0-9]{1,5}))?")


class SmarthostOptions(Options):
    """``[smarthost]``: a server that all mail to other servers is sent through."""

    host: HostName | None = Field(
        None,
        examples=["smtp.provider.example"],
        description="Host name or IP address of the smarthost. Its MX records are not used. "
        "Default: mail is sent to the servers of the recipients' domains.",
    )
    port: int = Field(
        _SUBMISSION_PORT,
        ge=1,
        le=65535,
        description="Port of the smarthost: 587 or 465 for submission with a log-in, 25 for a "
        "relay that knows this server by its address.",
    )
    tls: SmarthostTls | None = Field(
        None,
        examples=["starttls"],
        description="implicit: TLS from the first byte (port 465); starttls: STARTTLS is required; "
        "both require a valid certificate for smarthost.host. opportunistic: as deliver.tls says; "
        "without a log-in only. Default: implicit for port 465, opportunistic for port 25 without "
        "a log-in, otherwise starttls.",
    )
    login: str | None = Field(
        None,
        min_length=1,
        examples=["mail@example.org"],
        description="User name at the smarthost; default: no log-in. SCRAM-SHA-256, PLAIN and "
        "LOGIN are supported.",
    )
    password: Secret | None = Field(
        None,
        min_length=1,
        examples=["secret"],
        description="Password at the smarthost.",
    )
    spf: str | None = Field(
        None,
        examples=["include:_spf.provider.example"],
        description="What the SPF records of local domains must contain so that the smarthost may "
        "send their mail, as its provider says; for `zajil dns records`.",
    )

    @field_validator("login", "password")
    @classmethod
    def _can_be_sent(cls, value: str | None) -> str | None:
        if value is not None and "\0" in value:
            raise ValueError("it contains a NUL")
        return value

    @field_validator("spf")
    @classmethod
    def _is_spf(cls, value: str | None) -> str | None:
        if value is not None and not _SPF_TERMS.fullmatch(value):
            raise ValueError(
                f"{value!r} is not a list of SPF mechanisms, like 'include:_spf.provider.example'"
            )
        return value

    @model_validator(mode="after")
    def _log_in_is_safe(self) -> Self:
        if (self.login is None) != (self.password is None):
            missing = "login" if self.login is None else "password"
            raise BadOption(
                f"smarthost.{missing}",
                "smarthost.login and smarthost.password must be set together",
            )
        if self.login is not None and self.host is None:
            raise BadOption("smarthost.host", "it is required, because smarthost.login is set")
        if self.login is not None and self.tls == "opportunistic":
            raise BadOption(
                "smarthost.tls",
                "a log-in requires 'implicit' or 'starttls', so that nobody else gets the password",
            )
        return self

    @property
    def tls_mode(self) -> SmarthostTls:
        """``smarthost.tls``, or its default for the port."""
        if self.tls is not None:
            return self.tls
        if self.port == _IMPLICIT_TLS_PORT:
            return "implicit"
        return "opportunistic" if self.port == 25 and self.login is None else "starttls"


def read_routes(routes: dict[str, str]) -> dict[str, str]:
    """Check ``deliver.routes``; return it with domains in ASCII.

    Raises:
        ValueError: a key is no domain, or a value is no route.
    """
    found = {}
    for domain, route in routes.items():
        dot = "." if domain.startswith(".") else ""
        try:
            name = dot + to_ascii(domain.removeprefix("."))
        except BadDomain:
            raise ValueError(f"{domain!r} is not a domain, or '.DOMAIN' for subdomains") from None
        if name in found:
            raise ValueError(f"{domain!r} is listed twice")
        if route not in (DIRECT, SMARTHOST):
            split_route(route)
        found[name] = route
    return found


def split_route(route: str) -> tuple[str, int | None]:
    """Return host and port of a route ``HOST`` or ``HOST:PORT``; ``None``: the port is not said.

    Raises:
        ValueError: it is neither.
    """
    match = _ROUTE.fullmatch(route)
    host = match["host"].strip("[]") if match else ""
    port = int(match["port"]) if match and match["port"] else None
    if not is_host(host) or (port is not None and not 0 < port < 65536):
        raise ValueError(f"{route!r} is neither 'direct', 'smarthost', HOST nor HOST:PORT")
    if port == _IMPLICIT_TLS_PORT:
        raise ValueError(f"{route!r}: a route cannot use implicit TLS; use another port")
    return read_host(host), port
