"""The options of the way of a mail (limits, reception, queue, delivery), and the whole file.

The other groups are in the other files ``options_*``. A component gets its own class of options,
never the whole tree. What an operator changes while the server runs (domains, accounts, aliases,
keys) is in the store, not here.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from zajil.config.kinds import BadOption, Duration, IpAddress, Size
from zajil.config.options_acme import AcmeOptions, DnsProviderOptions
from zajil.config.options_backup import BackupOptions
from zajil.config.options_check import CheckOptions
from zajil.config.options_directory import DirectoryOptions
from zajil.config.options_group import Options
from zajil.config.options_keys import KeyOptions
from zajil.config.options_monitor import AlertOptions, LogOptions, TracingOptions
from zajil.config.options_public import ClientOptions, MtaStsOptions
from zajil.config.options_server import (
    DnsOptions,
    ListenOptions,
    NetOptions,
    ServerOptions,
    StoreOptions,
    TlsOptions,
    TrackingOptions,
)
from zajil.config.options_shards import beside
from zajil.config.options_sign_on import SignOnOptions
from zajil.config.options_smarthost import SMARTHOST, SmarthostOptions, read_routes
from zajil.config.options_users import (
    LoginOptions,
    MailboxOptions,
    SubmitOptions,
    WebOptions,
)
from zajil.core.units import parse_duration, parse_size


class LimitOptions(Options):
    """``[limits]``: resource limits for clients and accounts."""

    message_size: Size = Field(
        parse_size("50MiB"),
        description="Maximum size of a message; announced with SIZE (RFC 1870).",
    )
    memory: Size = Field(
        parse_size("256KiB"),
        description="Maximum number of bytes of one message that are kept in memory during "
        "reception; the rest is written to a file. Use the value of store.inline_limit: larger "
        "messages are stored in files anyway.",
    )
    recipients: int = Field(
        1000,
        ge=100,
        description="Maximum number of recipients of one message; at least 100 (RFC 5321 "
        "section 4.5.3.1.8).",
    )
    header_size: Size = Field(
        parse_size("256KiB"), description="Maximum size of the header section."
    )
    received_fields: int = Field(
        100,
        ge=1,
        description="Maximum number of Received fields; a message with more is rejected as a "
        "mail loop (RFC 5321 section 6.3).",
    )
    errors: int = Field(
        20,
        ge=1,
        description="Maximum number of rejected commands and recipients in one session before "
        "it is closed; accepted mail resets the count, as in Postfix (smtpd_hard_error_limit).",
    )
    commands: int = Field(
        100_000,
        ge=0,
        description="Maximum number of commands in one session before it is closed. The "
        "default is far above what a busy client needs. 0: no limit.",
    )
    soft_error_limit: int = Field(
        10,
        ge=0,
        description="Number of errors in one session before replies are delayed; 10 as in "
        "Postfix (smtpd_soft_error_limit).",
    )
    error_delay_ms: Duration = Field(
        parse_duration("1s"),
        description="Delay added to later replies for each error above soft_error_limit, up to "
        "10 s in total; 1 s as in Postfix (smtpd_error_sleep_time). 0: no delay.",
    )
    bad_recipients: int = Field(
        20,
        ge=0,
        description="Maximum number of rejected recipients in one session before it is closed "
        "with 421; this protects against address harvesting. Each recipient of accepted mail "
        "offsets one. 0: no limit other than errors.",
    )
    sessions: int = Field(
        2000,
        ge=1,
        description="Maximum number of concurrent sessions of one service, over all workers; "
        "further clients get 421 4.7.0. An idle session takes about 3 KiB of memory, 50 KiB with "
        "TLS.",
    )
    sessions_per_address: int = Field(
        50,
        ge=0,
        description="Maximum number of concurrent sessions from one IP address; 50 as in "
        "Postfix (smtpd_client_connection_count_limit). 0: no limit.",
    )
    sessions_per_network: int = Field(
        200,
        ge=0,
        description="Maximum number of concurrent sessions from one IPv4 /24 or IPv6 /64 "
        "network, the smallest that a customer usually gets (RFC 6177 section 2). 0: no limit.",
    )
    sessions_per_account: int = Field(
        50,
        ge=0,
        description="Maximum number of concurrent sessions of one account, IMAP, POP3 and "
        "submission together, over all workers; further log-ins get NO [LIMIT], -ERR [SYS/TEMP] or "
        "454 4.7.0. 0: no limit.",
    )
    messages_per_mailbox: int = Field(
        500_000,
        ge=0,
        description="Maximum number of messages in one mailbox. A client that copies or "
        "uploads more gets NO [LIMIT] (RFC 9051 section 7.1); mail to an account with a full "
        "INBOX is deferred with 452 4.2.2. 0: no limit.",
    )
    messages_per_account: int = Field(
        1_000_000,
        ge=0,
        description="Maximum number of messages in all mailboxes of one account, for accounts "
        "without a limit of their own (`zajil account set --quota-messages`). 0: no limit.",
    )
    mailboxes_per_account: int = Field(
        2000,
        ge=0,
        description="Maximum number of mailboxes of one account; creating more is rejected "
        "with NO [LIMIT]. 0: no limit.",
    )
    idle_ms: Duration = Field(
        parse_duration("5m"),
        description="Time to wait for a complete command before the session is closed (RFC "
        "5321 section 4.5.3.2.7).",
    )
    data_idle_ms: Duration = Field(
        parse_duration("3m"),
        description="Time to wait for more message data before the session is closed (RFC 5321 "
        "section 4.5.3.2.5).",
    )
    mail_time_ms: Duration = Field(
        parse_duration("1h"),
        description="Maximum time from MAIL to the end of the message, even if data arrives "
        "steadily; the default allows 50 MiB at 15 KB/s.",
    )
    handshake_ms: Duration = Field(
        parse_duration("30s"), description="Time to wait for a TLS handshake or a PROXY header."
    )
    max_pending_bytes: Size = Field(
        parse_size("64KiB"),
        description="Maximum number of pipelined bytes of one session that wait for earlier "
        "commands to finish; the server reads no more until then.",
    )
    login_failures: int = Field(
        10,
        ge=0,
        description="Number of failed log-ins from one address in ten minutes before further "
        "failure replies are delayed; 0: no delay. Successful log-ins are never delayed.",
    )


class ReceiveOptions(Options):
    """``[receive]``: mail from other servers on port 25."""

    greeting_delay_ms: Duration = Field(
        0,
        description="Delay before the greeting. A client that sends data before the greeting "
        "gets 554 and is disconnected: RFC 5321 section 4.3.1 forbids it, and most such clients "
        "send spam.",
    )
    tarpit_ms: Duration = Field(
        0,
        description="Delay of the reply to each recipient for a client that has not delivered "
        "mail since the worker started. At most 1m: a client may time out after 5 (RFC 5321 "
        "section 4.5.3.2.3).",
        le=60_000,
    )


class QueueOptions(Options):
    """``[queue]``: delivery attempts and the lifetime of queued mail."""

    lifetime_ms: Duration = Field(
        parse_duration("5d"),
        description="Maximum time in the queue before a message is returned to its sender. RFC "
        "5321 section 4.5.4.1 recommends 4 to 5 days.",
    )
    first_retry_ms: Duration = Field(
        parse_duration("5m"),
        description="Time until the second delivery attempt; it doubles after each failure.",
    )
    max_retry_ms: Duration = Field(
        parse_duration("4h"), description="Maximum time between two delivery attempts."
    )
    delay_warning_ms: Duration = Field(
        parse_duration("4h"),
        description="Time in the queue after which the sender is notified once that the "
        "message is delayed: senders that requested it (RFC 3461 section 4.1), and local senders "
        "unless they requested otherwise; '0s': never.",
    )
    lease_ms: Duration = Field(
        parse_duration("15m"),
        description="Maximum time that a worker may hold a recipient; after that another "
        "worker may deliver to it. With PostgreSQL at least 3m.",
    )

    @model_validator(mode="after")
    def _retries_grow(self) -> Self:
        if self.first_retry_ms > self.max_retry_ms:
            raise BadOption("queue.first_retry", "it must not be longer than queue.max_retry")
        return self


class DeliverOptions(Options):
    """``[deliver]``: connections to other servers."""

    port: int = Field(
        25, ge=1, le=65535, description="SMTP port of other servers; 25 on the Internet."
    )
    source_address: IpAddress | None = Field(
        None,
        examples=["192.0.2.1"],
        description="Local address of outgoing connections; default: chosen by the operating "
        "system.",
    )
    port_table: dict[str, str] = Field(
        default_factory=dict,
        description="Table of host name to ADDRESS:PORT that replaces DNS lookups; for test "
        "environments where only 127.0.0.1 exists.",
    )
    concurrency: int = Field(
        50, ge=1, description="Maximum number of concurrent delivery attempts of each worker."
    )
    concurrency_per_host: int = Field(
        10,
        ge=1,
        description="Maximum number of concurrent delivery attempts of each worker to one next "
        "hop.",
    )
    connect_timeout_ms: Duration = Field(
        parse_duration("30s"), description="Time to wait for a connection to one address."
    )
    reply_timeout_ms: Duration = Field(
        parse_duration("5m"), description="Time to wait for one reply (RFC 5321 section 4.5.3.2)."
    )
    data_timeout_ms: Duration = Field(
        parse_duration("10m"),
        description="Time to wait for the reply to the end of data (RFC 5321 section 4.5.3.2.6).",
    )
    tls: Literal["opportunistic", "verify", "never"] = Field(
        "opportunistic",
        description="opportunistic: use TLS if the other server offers it (RFC 3207); verify: "
        "require a valid certificate for the host name; never: no TLS, for tests only.",
    )
    mta_sts: bool = Field(
        True,
        description="Follow the MTA-STS policies of other domains (RFC 8461): mail for a domain "
        "that enforces one goes only to servers with a valid certificate that the policy permits.",
    )
    dane: bool = Field(
        True,
        description="Follow the TLSA records of other servers (DANE, RFC 7672): a server that has "
        "them must encrypt, and its certificate must match. It requires a name server that "
        "validates DNSSEC, on this computer or listed in dns.trust_ad.",
    )
    tls_reports: bool = Field(
        True,
        description="Send a daily report on the encryption of connections to each domain whose "
        "record _smtp._tls asks for it (RFC 8460). Connections to smarthosts and fixed servers "
        "do not count.",
    )
    routes: dict[str, str] = Field(
        {},
        examples=[{"partner.example": "direct", ".branch.example": "192.0.2.25:25"}],
        description="Table of recipient domain (.DOMAIN: its subdomains) to the way that its mail "
        "takes: direct (the servers in its MX records), smarthost, or HOST:PORT for a server of "
        "your choice (without a port: deliver.port). Default: smarthost if smarthost.host is set, "
        "else direct. Local domains are never sent.",
    )

    @field_validator("routes")
    @classmethod
    def _are_routes(cls, routes: dict[str, str]) -> dict[str, str]:
        return read_routes(routes)


class Configuration(Options):
    """The whole file."""

    server: ServerOptions
    listen: ListenOptions = ListenOptions()
    net: NetOptions = NetOptions()
    receive: ReceiveOptions = ReceiveOptions()
    submit: SubmitOptions = SubmitOptions()
    check: CheckOptions = CheckOptions()
    keys: KeyOptions = KeyOptions()
    store: StoreOptions = StoreOptions()
    tls: TlsOptions = TlsOptions()
    acme: AcmeOptions = AcmeOptions()
    dns: DnsOptions = DnsOptions()
    dns_provider: DnsProviderOptions = DnsProviderOptions()
    limits: LimitOptions = LimitOptions()
    login: LoginOptions = LoginOptions()
    directory: DirectoryOptions = DirectoryOptions()
    sign_on: SignOnOptions = SignOnOptions()
    mail: MailboxOptions = MailboxOptions()
    queue: QueueOptions = QueueOptions()
    deliver: DeliverOptions = DeliverOptions()
    smarthost: SmarthostOptions = SmarthostOptions()
    web: WebOptions = WebOptions()
    mta_sts: MtaStsOptions = MtaStsOptions()
    clients: ClientOptions = ClientOptions()
    tracking: TrackingOptions = TrackingOptions()
    log: LogOptions = LogOptions()
    alerts: AlertOptions = AlertOptions()
    tracing: TracingOptions = TracingOptions()
    backup: BackupOptions = BackupOptions()

    @model_validator(mode="after")
    def _shards_have_backups_of_their_own(self) -> Self:
        for name, shard in self.store.shards.items():
            if shard.backup is None and self.backup.target is not None:
                try:
                    beside(self.backup.target, name)
                except ValueError as error:
                    raise BadOption(f"store.shards.{name}.backup", str(error)) from None
        return self

    @model_validator(mode="after")
    def _browsers_can_come_back(self) -> Self:
        if self.sign_on.issuer is not None and self.web.url is None and not self.listen.https:
            raise BadOption("web.url", "it is required with sign_on.issuer")
        return self

    @model_validator(mode="after")
    def _routes_lead_elsewhere(self) -> Self:
        if self.smarthost.host == self.server.hostname:
            raise BadOption("smarthost.host", "it is this server (server.hostname)")
        if self.smarthost.host is None and SMARTHOST in self.deliver.routes.values():
            raise BadOption(
                "deliver.routes", "it uses the smarthost, and smarthost.host is not set"
            )
        return self
