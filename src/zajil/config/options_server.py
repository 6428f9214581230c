"""Options of the server process: name, store, listeners, peers, TLS, DNS, events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from zajil.config.kinds import (
    NEEDS_RESTART,
    BadOption,
    DatabaseAddress,
    DomainName,
    Duration,
    FilePath,
    HostPort,
    Kind,
    ListenAddress,
    Network,
    Size,
)
from zajil.config.options_group import Options
from zajil.config.options_s3 import BlobsPlace, StoreS3Options, is_s3
from zajil.config.options_shards import ShardName, ShardOptions, beside
from zajil.core.units import parse_duration, parse_size


class ServerOptions(Options):
    """``[server]``: name of this server and how it runs."""

    hostname: DomainName = Field(
        examples=["mail.example.org"],
        description="Host name of this server, used in greetings, EHLO and Received fields. "
        "The PTR record of its address should contain the same name (RFC 5321 section 4.1.1.1).",
    )
    data_dir: Annotated[FilePath, NEEDS_RESTART] = Field(
        examples=["data"],
        description="Folder for all persistent data: the SQLite database, large messages and "
        "keys. A relative path is relative to the folder of the configuration file.",
    )
    user: Annotated[str | None, NEEDS_RESTART] = Field(
        None,
        examples=["zajil"],
        description="User to run as after the ports are opened. Required when the server is "
        "started as root.",
    )
    workers: int = Field(
        0, ge=0, le=64, description="Number of worker processes; 0 starts one per processor core."
    )
    shutdown_grace_ms: Duration = Field(
        parse_duration("20s"),
        description="Maximum time that mail transactions in progress may take to finish when "
        "the server stops.",
    )
    reload_grace_ms: Duration = Field(
        parse_duration("1h"),
        description="Maximum time that sessions and deliveries of the old configuration may "
        "go on after a reload; then they end as when the server stops.",
    )
    worker_timeout_ms: Duration = Field(
        parse_duration("2m"),
        description="Time after which a worker process that does not respond is killed and "
        "replaced; 0: never.",
    )


class StoreOptions(Options):
    """``[store]``: storage of mail."""

    url: Annotated[DatabaseAddress, NEEDS_RESTART] = Field(
        "sqlite",
        description="Database: 'sqlite' for a file in server.data_dir, or a PostgreSQL "
        "address: 'postgresql://user@host/database?options=-csearch_path%3Dname'. Several hosts, "
        "'postgresql://user@host1,host2/database', are one database: the one that accepts writes "
        "is used.",
    )
    timeout_ms: Duration = Field(
        parse_duration("30s"),
        ge=parse_duration("1s"),
        description="Maximum time that PostgreSQL may take to answer one statement of the server. "
        "After it the connection is closed, and new mail is deferred until another one works.",
    )
    connections: int = Field(
        8,
        ge=6,
        le=100,
        description="Maximum number of connections of a worker process to PostgreSQL: two write, "
        "one waits for changes, the others read.",
    )
    replica_url: Annotated[DatabaseAddress | None, NEEDS_RESTART] = Field(
        None,
        examples=["postgresql://zajil@standby.example.org/zajil"],
        description="Address of a standby of the PostgreSQL database: searches look up words "
        "there, and the lists of mails and reports that administrators see are read from it. "
        "While it is away or more than 10 seconds behind, the database of store.url answers.",
    )
    inline_limit: Size = Field(
        parse_size("256KiB"),
        description="Maximum size of a message that is stored in the database; larger messages "
        "are stored where store.blobs says. 0: all messages are stored there.",
    )
    blobs: Annotated[BlobsPlace, NEEDS_RESTART] = Field(
        "files",
        examples=["s3://mail/messages"],
        description="Where new messages above store.inline_limit are stored: 'files' in "
        "server.data_dir, or s3://BUCKET/PREFIX (needs the extra 's3'). Older ones stay where they "
        "are until `zajil store move-blobs` moves them. The prefix must not be used by another "
        "store.",
    )
    key_file: Annotated[FilePath | None, NEEDS_RESTART] = Field(
        None,
        examples=["/etc/zajil/store.key"],
        description="File with the keys that messages in S3 and in files are encrypted with; "
        "`zajil store new-key` creates it. Keep a copy elsewhere: without the key these messages "
        "cannot be read. Messages in the database are not encrypted; with inline_limit = 0 it "
        "contains none. Default: nothing is encrypted.",
    )
    cache_size: Size = Field(
        parse_size("10GiB"),
        description="Maximum size of the copies of messages in S3 that are kept on the disk of "
        "each node, in server.data_dir. 0: none are kept.",
    )
    free_space_reserve: Size = Field(
        parse_size("256MiB"),
        description="Minimum free disk space of the store. Below this limit new mail is "
        "deferred with 452 4.3.1; reading and deleting mail still work.",
    )
    max_batch: int = Field(
        256, ge=1, le=10_000, description="Maximum number of units of work in one commit."
    )
    shards: Annotated[
        dict[ShardName, Annotated[ShardOptions, Kind("{ url = ADDRESS, ... }")]],
        NEEDS_RESTART,
    ] = Field(
        {},
        examples=[{"north": {"url": "postgresql://zajil@db2/north"}}],
        description="Further stores, for some of the domains; store.url is the shard main. `zajil "
        "shard create` creates a store. url: its database, another one or another schema than "
        "those of the other shards. replica_url: its standby. blobs, backup: other places for its "
        "large messages and backups; default: store.blobs and backup.target with the name at the "
        "end. See docs/run/shards.md.",
    )
    expunged_retention_ms: Duration = Field(
        parse_duration("90d"),
        ge=parse_duration("1d"),
        description="How long the store remembers which messages were expunged; at least one "
        "day. A mail program that was away for longer compares all messages once (RFC 7162 "
        "section 5.3).",
    )
    s3: StoreS3Options = StoreS3Options()

    @model_validator(mode="after")
    def _is_private(self) -> Self:
        if self.has_s3 and self.key_file is None:
            self.s3.require_privacy("messages", "store.key_file")
        return self

    @property
    def has_s3(self) -> bool:
        """Whether messages may be in S3."""
        return is_s3(self.blobs) or self.s3.place is not None

    @property
    def s3_place(self) -> str | None:
        """Where messages in S3 are."""
        return self.blobs if is_s3(self.blobs) else self.s3.place

    @model_validator(mode="after")
    def _each_has_its_own(self) -> Self:
        urls = [self.url, *(shard.url for shard in self.shards.values())]
        named = [url for url in urls if url != "sqlite"]
        if len(set(named)) != len(named):
            raise BadOption("store.shards", "two shards have the same database and schema")
        for name, shard in self.shards.items():
            for place in (self.blobs if shard.blobs is None else "", self.s3.place or ""):
                self._find_place(name, place)
        return self

    @staticmethod
    def _find_place(shard: str, place: str) -> None:
        try:
            if is_s3(place):
                beside(place, shard)
        except ValueError as error:
            raise BadOption(f"store.shards.{shard}.blobs", str(error)) from None


class ListenOptions(Options):
    """``[listen]``: addresses and ports; an empty list turns a service off."""

    smtp: tuple[HostPort, ...] = Field(
        ("0.0.0.0:25",), description="SMTP: mail from other servers."
    )
    submission: tuple[HostPort, ...] = Field(
        ("0.0.0.0:587",),
        description="Submission with STARTTLS: mail from users (RFC 6409).",
    )
    submissions: tuple[HostPort, ...] = Field(
        ("0.0.0.0:465",),
        description="Submission with implicit TLS: mail from users (RFC 8314 section 3.3).",
    )
    lmtp: tuple[ListenAddress, ...] = Field(
        (),
        examples=[["unix:/run/zajil/lmtp"]],
        description="LMTP (RFC 2033): mail for local mailboxes from another mail server. A TCP "
        "port must not be reachable from outside.",
    )
    imap: tuple[HostPort, ...] = Field(
        ("0.0.0.0:143",),
        description="IMAP with STARTTLS.",
    )
    imaps: tuple[HostPort, ...] = Field(
        ("0.0.0.0:993",),
        description="IMAP with implicit TLS (RFC 8314 section 3.2).",
    )
    pop3: tuple[HostPort, ...] = Field(
        ("0.0.0.0:110",),
        description="POP3. Log-in requires STLS (RFC 2595).",
    )
    pop3s: tuple[HostPort, ...] = Field(
        ("0.0.0.0:995",),
        description="POP3 with implicit TLS (RFC 8314 section 3.1).",
    )
    web: tuple[HostPort, ...] = Field(
        ("127.0.0.1:8080",),
        description="Webmail and administration over HTTP without TLS, for a browser on this "
        "computer or a reverse proxy that provides TLS.",
    )
    https: tuple[HostPort, ...] = Field(
        (),
        examples=[["0.0.0.0:443"]],
        description="HTTPS: webmail and administration, the MTA-STS policy and the settings of "
        "mail programs. Requires a certificate.",
    )
    http: tuple[HostPort, ...] = Field(
        (),
        examples=[["0.0.0.0:80"]],
        description="HTTP for certificate authorities (RFC 8555 section 8.3); every other request "
        "for a name of this server is redirected to HTTPS. No page is served without TLS here.",
    )

    metrics: tuple[HostPort, ...] = Field(
        (),
        examples=[["127.0.0.1:9464"]],
        description="Metrics for Prometheus and health checks, over HTTP without TLS and log-in; "
        "use a loopback address or a private network. Default: off.",
    )


class NetOptions(Options):
    """``[net]``: trusted proxies and Unix sockets."""

    proxy_peers: tuple[Network, ...] = Field(
        (),
        examples=[["192.0.2.1", "2001:db8::/64"]],
        description="Proxies whose connections begin with a PROXY header (haproxy's PROXY "
        "protocol, versions 1 and 2). Applies to all mail listeners; the header is required from "
        "these addresses and rejected from all others.",
    )
    xclient_peers: tuple[Network, ...] = Field(
        (),
        examples=[["127.0.0.1"]],
        description="Clients that may report the address of the original client with XCLIENT "
        "(Postfix XCLIENT_README). XCLIENT is accepted once per connection, because later "
        "commands may come from the original client.",
    )
    bare_lf_peers: tuple[Network, ...] = Field(
        (),
        examples=[["192.0.2.44"]],
        description="Clients, such as old appliances, whose lines may end in a bare LF. List "
        "only clients that do not relay mail for others: bare LF allows SMTP smuggling "
        "(VU#302671).",
    )
    socket_mode: str = Field(
        "0660",
        pattern="^0?[0-7]{3}$",
        description="Permissions of the Unix sockets that the server listens on, in octal.",
    )
    socket_group: str | None = Field(
        None,
        examples=["mail"],
        description="Group of the Unix sockets that the server listens on; default: the group "
        "of the process.",
    )


class KeyFileOptions(Options):
    """An element of ``tls.more``: a certificate and its key."""

    certificate: FilePath
    key: FilePath


class TlsOptions(Options):
    """``[tls]``: server certificate and trusted certificate authorities."""

    certificate: FilePath | None = Field(
        None,
        examples=["tls/certificate.pem"],
        description="PEM file with the certificate of this server and its chain. Read again when "
        "it changes, and at a reload.",
    )
    key: FilePath | None = Field(
        None,
        examples=["tls/key.pem"],
        description="PEM file with the private key; ECDSA P-256 is recommended. Read again, by "
        "server.user, when it changes, and at a reload.",
    )
    more: tuple[Annotated[KeyFileOptions, Kind("{ certificate = PATH, key = PATH }")], ...] = Field(
        (),
        description="Further certificates, for clients that ask for one of the names in them "
        "(SNI). Read again when they change, and at a reload.",
    )
    ca_file: FilePath | None = Field(
        None,
        examples=["/etc/ssl/certs/ca-certificates.crt"],
        description="PEM file with the trusted certificate authorities; default: those of the "
        "system.",
    )

    @model_validator(mode="after")
    def _both_or_none(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            missing = "tls.certificate" if self.certificate is None else "tls.key"
            raise BadOption(missing, "tls.certificate and tls.key must be set together")
        return self

    @property
    def own_files(self) -> tuple[tuple[Path, Path], ...]:
        """Certificates and their keys: the main one, if it is set, then the further ones."""
        main = ((self.certificate, self.key),) if self.certificate and self.key else ()
        return main + tuple((one.certificate, one.key) for one in self.more)


class DnsOptions(Options):
    """``[dns]``: DNS resolver."""

    nameservers: tuple[HostPort, ...] = Field(
        (),
        description="Name servers to query, in order; default: those of /etc/resolv.conf.",
    )
    trust_ad: tuple[Network, ...] = Field(
        (),
        examples=[["192.0.2.53"]],
        description="Name servers whose DNSSEC validation is trusted (AD bit), beside those on "
        "this computer. List only servers on a network that you trust.",
    )
    timeout_ms: Duration = Field(
        parse_duration("5s"),
        description="Time to wait for one response. A query fails after twice this time.",
    )
    cache_size: int = Field(
        10_000, ge=0, description="Maximum number of DNS responses cached by each worker."
    )
    spf_mechanisms: tuple[str, ...] = Field(
        (),
        examples=[["include:_spf.relay.example.net"]],
        description="Mechanisms that `zajil dns` adds to the SPF records of your domains (RFC "
        "7208 section 5): other servers that send mail for them, such as a relay or a newsletter "
        "service.",
    )
    outage_ms: Duration = Field(
        parse_duration("1h"),
        description="How long mail is deferred while no name server responds, if its sender "
        "checks could lead to a rejection. After this time such mail is accepted unchecked; 0: "
        "immediately.",
    )

    @field_validator("spf_mechanisms")
    @classmethod
    def _are_mechanisms(cls, mechanisms: tuple[str, ...]) -> tuple[str, ...]:
        from zajil.mailauth.spf_record import BadRecord, parse_record

        for one in mechanisms:
            record = parse_record(f"v=spf1 {one}")
            if isinstance(record, BadRecord):
                raise ValueError(f"{one!r} is not an SPF mechanism: {record}")
            directives = record.directives
            if len(directives) != 1 or directives[0].name == "all":
                raise ValueError(f"{one!r} is not one mechanism, like 'include:_spf.example.net'")
        return mechanisms


class TrackingOptions(Options):
    """``[tracking]``: the journey of each message."""

    retention_ms: Duration = Field(
        parse_duration("30d"), description="How long tracking events are kept."
    )
