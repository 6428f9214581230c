"""The options of DNS records that the server writes itself."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from zajil.config.kinds import BadOption, Duration, Secret
from zajil.config.options_group import Options
from zajil.core.units import parse_duration

DYNAMIC_UPDATES = "rfc2136"


class DnsProviderOptions(Options):
    """``[dns_provider]``: where DNS records are written: a name server or the API of a provider."""

    name: str | None = Field(
        None,
        examples=["cloudflare"],
        pattern="^[a-z0-9]+$",
        description="'rfc2136' for a name server that accepts dynamic updates (BIND, Knot, "
        "PowerDNS), or the name of a provider that the library dns-lexicon knows: cloudflare, "
        "desec, gandi, hetzner, ovh, route53 and others (install zajil[dns]). Default: no records "
        "are written.",
    )
    options: dict[str, Secret] = Field(
        default_factory=dict,
        examples=[{"auth_token": {"file": "dns.token"}}],
        description="Access to the provider. For rfc2136: server (ADDRESS or ADDRESS:PORT), key "
        "(name of the TSIG key), secret (base64) and algorithm (default hmac-sha256). For others: "
        "the options of dns-lexicon without the name of the provider, such as auth_token.",
    )
    ttl_ms: Duration = Field(
        parse_duration("5m"), ge=1000, description="Time to live of records that are written."
    )
    wait_ms: Duration = Field(
        parse_duration("2m"),
        description="Maximum time to wait until a record that was written is visible in DNS.",
    )

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> Self:
        if self.name == DYNAMIC_UPDATES:
            missing = [one for one in ("server", "key", "secret") if not self.options.get(one)]
            if missing:
                raise BadOption("dns_provider.options", f"rfc2136 needs {' and '.join(missing)}")
        if self.options and self.name is None:
            raise BadOption("dns_provider.name", "dns_provider.options needs a name")
        return self
