"""Options of the server as a program: name, store, listeners, peers, TLS, DNS, events, log."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from zajil.config.kinds import (
    BadOption,
    DatabaseAddress,
    DomainName,
    Duration,
    FilePath,
    HostPort,
    ListenAddress,
    Network,
    Size,
)
from zajil.config.options_group import Options
from zajil.core.units import parse_duration, parse_size


class ServerOptions(Options):
    """``[server]``: who this server is, and how it runs."""

    hostname: DomainName = Field(
        examples=["mail.example.org"],
        description="The name this server calls itself in greetings, EHLO and Received; "
        "its PTR record must say the same (RFC 5321 section 4.1.1.1).",
    )
    data_dir: FilePath = Field(
        examples=["data"],
        description="Folder of everything that must last: the SQLite store, large messages, keys. "
        "A relative path is taken from the configuration file's folder.",
    )
    user: str | None = Field(
        None,
        examples=["zajil"],
        description="User to run as once the ports are bound; needed when started as root.",
    )
    workers: int = Field(
        0, ge=0, le=64, description="Worker processes; 0 is one for each processor core."
    )
    shutdown_grace_ms: Duration = Field(
        parse_duration("20s"),
        description="How long mails in flight may take to end when the server stops.",
    )


class StoreOptions(Options):
    """``[store]``: where mail lies."""

    url: DatabaseAddress = Field(
        "sqlite",
        description="'sqlite' for a file in server.data_dir, or a PostgreSQL address: "
        "'postgresql://user@host/database?options=-csearch_path%3Dname'.",
    )
    inline_limit: Size = Field(
        parse_size("256KiB"),
        description="Messages up to this size lie in the database, larger ones in files.",
    )
    free_space_reserve: Size = Field(
        parse_size("256MiB"),
        description="With less free space than this on the disk of the store, new mail is "
        "deferred with 452 4.3.1; reading and deleting go on.",
    )
    max_batch: int = Field(
        256, ge=1, le=10_000, description="At most so many units of work share one commit."
    )


class ListenOptions(Options):
    """``[listen]``: addresses and ports; an empty list turns a service off."""

    smtp: tuple[HostPort, ...] = Field(("0.0.0.0:25",), description="Mail from other servers.")
    submission: tuple[HostPort, ...] = Field(
        ("0.0.0.0:587",),
        description="Mail from our users, STARTTLS before log-in (RFC 6409).",
    )
    submissions: tuple[HostPort, ...] = Field(
        ("0.0.0.0:465",),
        description="Mail from our users, TLS from the first byte (RFC 8314 section 3.3).",
    )
    lmtp: tuple[ListenAddress, ...] = Field(
        (),
        examples=[["unix:/run/zajil/lmtp"]],
        description="Mail for our own mailboxes from a program in front of us, by LMTP (RFC 2033); "
        "a TCP port of it must not be reached from outside.",
    )
    imap: tuple[HostPort, ...] = Field(
        ("0.0.0.0:143",),
        description="Mailbox access, STARTTLS before log-in.",
    )
    imaps: tuple[HostPort, ...] = Field(
        ("0.0.0.0:993",),
        description="Mailbox access, TLS from the first byte (RFC 8314 section 3.2).",
    )
    web: tuple[HostPort, ...] = Field(
        ("127.0.0.1:8080",),
        description="Webmail and administration over plain HTTP, for a browser on this machine "
        "or a proxy that speaks TLS.",
    )


class NetOptions(Options):
    """``[net]``: peers that are believed more than others, and sockets of our own."""

    proxy_peers: tuple[Network, ...] = Field(
        (),
        examples=[["192.0.2.1", "2001:db8::/64"]],
        description="Proxies in front of us. Their connections, and nobody else's, begin with a "
        "PROXY header (haproxy's PROXY protocol, versions 1 and 2), on all mail listeners.",
    )
    xclient_peers: tuple[Network, ...] = Field(
        (),
        examples=[["127.0.0.1"]],
        description="Peers that may say for whom they speak, by XCLIENT (Postfix XCLIENT_README); "
        "once for each connection, because what follows may be their client's own words.",
    )
    bare_lf_peers: tuple[Network, ...] = Field(
        (),
        examples=[["192.0.2.44"]],
        description="Peers, such as old appliances, whose lines may end in a bare LF. Name only "
        "those that pass nobody else's mail on: such lines are how mail is smuggled (VU#302671).",
    )
    socket_mode: str = Field(
        "0660",
        pattern="^0?[0-7]{3}$",
        description="Permissions of Unix sockets we listen on, in octal.",
    )
    socket_group: str | None = Field(
        None,
        examples=["mail"],
        description="Group of Unix sockets we listen on; default: that of the process.",
    )


class TlsOptions(Options):
    """``[tls]``: our certificate, and whom we trust."""

    certificate: FilePath | None = Field(
        None,
        examples=["tls/certificate.pem"],
        description="PEM file: our certificate and its chain. Read again at SIGHUP.",
    )
    key: FilePath | None = Field(
        None,
        examples=["tls/key.pem"],
        description="PEM file: the private key; ECDSA P-256 is best. Read again at SIGHUP, by "
        "server.user.",
    )
    ca_file: FilePath | None = Field(
        None,
        examples=["/etc/ssl/certs/ca-certificates.crt"],
        description="PEM file of the authorities we trust; default: the system's.",
    )

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            missing = "tls.certificate" if self.certificate is None else "tls.key"
            raise BadOption(missing, "tls.certificate and tls.key are given together or not at all")
        return self


class DnsOptions(Options):
    """``[dns]``: whom we ask."""

    nameservers: tuple[HostPort, ...] = Field(
        (),
        description="Name servers to ask, in order; default: those of /etc/resolv.conf.",
    )
    timeout_ms: Duration = Field(
        parse_duration("5s"),
        description="Wait for one answer; after twice that the question has failed.",
    )
    cache_size: int = Field(10_000, ge=0, description="Answers kept in memory, per worker.")
    outage_ms: Duration = Field(
        parse_duration("1h"),
        description="While no name server answers, mail whose sender could have been refused is "
        "deferred. When none has answered for so long, it is accepted unchecked; 0: at once.",
    )


class TrackingOptions(Options):
    """``[tracking]``: the journey."""

    retention_ms: Duration = Field(
        parse_duration("30d"), description="How long to keep journeys and the audit trail."
    )


class LogOptions(Options):
    """``[log]``: what goes to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least that is shown. Taken over at SIGHUP."
    )
    format: Literal["text", "json"] = Field(
        "text", description="For people, or for programs. Taken over at SIGHUP."
    )
