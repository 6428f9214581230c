"""The options of certificates by ACME, and of DNS records that the server writes itself."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from zajil.config.kinds import (
    BadOption,
    Duration,
    FilePath,
    Kind,
    Secret,
    WebAddress,
    is_safe_url,
)
from zajil.config.options_group import Options
from zajil.core.domain import BadDomain, to_ascii
from zajil.core.units import parse_duration

DYNAMIC_UPDATES = "rfc2136"


_WILDCARD = "*."


def _host_pattern(value: Any) -> Any:
    """Check a host name that may begin with ``*.``."""
    if not isinstance(value, str):
        return value
    try:
        return _WILDCARD * value.startswith(_WILDCARD) + to_ascii(value.removeprefix(_WILDCARD))
    except BadDomain as error:
        raise ValueError(str(error)) from None


HostPattern = Annotated[str, BeforeValidator(_host_pattern), Kind("host name")]
"""ASCII form; may begin with ``*.``."""


class AcmeOptions(Options):
    """``[acme]``: certificates by ACME (RFC 8555), such as those of Let's Encrypt."""

    directory: WebAddress | None = Field(
        None,
        examples=["https://acme-v02.api.letsencrypt.org/directory"],
        description="Address of the directory of the authority (RFC 8555 section 7.1.1). Default: "
        "no certificates are obtained.",
    )
    agree_terms: bool | None = Field(
        None,
        examples=[True],
        description="Agree to the terms of service of the authority; required with acme.directory.",
    )
    contact: str | None = Field(
        None,
        examples=["postmaster@example.org"],
        pattern="^[^@ ,]+@[^@ ,]+$",
        description="Mail address for the authority, for messages about the account.",
    )
    challenge: Literal["http-01", "tls-alpn-01", "dns-01"] = Field(
        "http-01",
        description="How the authority finds out that a name is ours: http-01 by listen.http on "
        "port 80, tls-alpn-01 by listen.https on port 443, dns-01 by a record that is written with "
        "[dns_provider].",
    )
    names: tuple[HostPattern, ...] = Field(
        (),
        examples=[["mx2.example.org"]],
        description="Further names beside server.hostname and mta-sts., autoconfig. and "
        "autodiscover. of each domain. '*.example.org' requires dns-01.",
    )
    eab_key_id: str | None = Field(
        None,
        examples=["kid-1"],
        description="Key identifier of an external account, for authorities that require one (RFC "
        "8555 section 7.3.4).",
    )
    eab_hmac_key: Secret | None = Field(
        None,
        examples=["zWNDZM6eQGHWpSRTPal5eIUYFTu7EajV"],
        description="Key of the external account, in base64url.",
    )
    ca_file: FilePath | None = Field(
        None,
        examples=["tls/authority-root.pem"],
        description="PEM file with the root certificates for HTTPS to the authority itself; "
        "default: those of well-known authorities.",
    )
    key_lifetime_ms: Duration = Field(
        parse_duration("365d"),
        description="How long a private key is used before a new one replaces it; a renewal of the "
        "certificate keeps the key, and with it the TLSA record. '0s': no automatic replacement.",
    )

    @model_validator(mode="after")
    def _belongs_together(self) -> Self:
        if self.directory is not None and not is_safe_url(self.directory):
            raise BadOption("acme.directory", "it must begin with https:// (RFC 8555 section 6.1)")
        if self.directory is not None and not self.agree_terms:
            raise BadOption(
                "acme.agree_terms",
                "it must be true: the authority issues certificates only to those who agree to its "
                "terms of service",
            )
        if (self.eab_key_id is None) != (self.eab_hmac_key is None):
            missing = "acme.eab_key_id" if self.eab_key_id is None else "acme.eab_hmac_key"
            raise BadOption(missing, "acme.eab_key_id and acme.eab_hmac_key must be set together")
        wild = [name for name in self.names if name.startswith(_WILDCARD)]
        if wild and self.challenge != "dns-01":
            raise BadOption("acme.names", f"{wild[0]} requires acme.challenge = 'dns-01'")
        return self


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
