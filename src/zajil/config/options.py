"""The options of the way of a mail (limits, reception, queue, delivery), and the whole file.

The other groups are in ``options_server``, ``options_users``, ``options_check``,
``options_content``, ``options_words`` and ``options_keys``. A component gets its own class of
options, never the whole tree. What an operator changes while the server runs (domains, accounts,
aliases, keys) is in the store, not here.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from zajil.config.kinds import BadOption, Duration, IpAddress, Size
from zajil.config.options_check import CheckOptions
from zajil.config.options_group import Options
from zajil.config.options_keys import KeyOptions
from zajil.config.options_server import (
    DnsOptions,
    ListenOptions,
    LogOptions,
    NetOptions,
    ServerOptions,
    StoreOptions,
    TlsOptions,
    TrackingOptions,
)
from zajil.config.options_users import LoginOptions, SubmitOptions, WebOptions
from zajil.core.units import parse_duration, parse_size


class LimitOptions(Options):
    """``[limits]``: what one peer may cost us. Each protects against a flood of its kind."""

    message_size: Size = Field(
        parse_size("50MiB"), description="Largest message we take; announced by SIZE (RFC 1870)."
    )
    memory: Size = Field(
        parse_size("256KiB"),
        description="Bytes of one message that are kept in memory while it arrives; the rest goes "
        "to a file. As much as store.inline_limit: what is larger becomes a file anyway.",
    )
    recipients: int = Field(
        1000,
        ge=100,
        description="Recipients of one mail; at least 100 (RFC 5321 section 4.5.3.1.8).",
    )
    header_size: Size = Field(parse_size("256KiB"), description="Largest header section we take.")
    received_fields: int = Field(
        100, ge=1, description="More Received fields than this are a loop (RFC 5321 section 6.3)."
    )
    errors: int = Field(
        20,
        ge=1,
        description="Refused commands and recipients in one session before it is closed; "
        "counted from the last mail that was accepted, as in Postfix (smtpd_hard_error_limit).",
    )
    commands: int = Field(
        100_000,
        ge=0,
        description="Commands of one session before it is closed; far above what the mails of a "
        "busy hour need. 0: no limit.",
    )
    soft_error_limit: int = Field(
        10,
        ge=0,
        description="So many of them cost the peer nothing; 10 as in Postfix "
        "(smtpd_soft_error_limit).",
    )
    error_delay_ms: Duration = Field(
        parse_duration("1s"),
        description="Each further one makes the next answers wait so much longer, 10 s at most; "
        "1 s as in Postfix (smtpd_error_sleep_time). 0: answers never wait.",
    )
    bad_recipients: int = Field(
        20,
        ge=0,
        description="Recipients refused in one session before it is closed with 421: who tries "
        "out addresses meets many. A recipient of an accepted mail makes up for one. What was "
        "accepted can be sent again. 0: no limit but errors.",
    )
    sessions: int = Field(
        2000,
        ge=1,
        description="Sessions of one service at a time, over all workers; more get 421 4.7.0. "
        "One that is idle takes about 3 KiB of memory, 50 KiB with TLS.",
    )
    sessions_per_address: int = Field(
        50,
        ge=0,
        description="The same for one address; 50 as in Postfix "
        "(smtpd_client_connection_count_limit). 0: no limit.",
    )
    sessions_per_network: int = Field(
        200,
        ge=0,
        description="The same for one IPv4 /24 or IPv6 /64, the least that one customer gets "
        "(RFC 6177 section 2). 0: no limit.",
    )
    sessions_per_account: int = Field(
        50,
        ge=0,
        description="Sessions of one account at a time, IMAP and submission together, over all "
        "workers; more get NO [LIMIT] or 454 4.7.0 when they log in. 0: no limit.",
    )
    messages_per_mailbox: int = Field(
        500_000,
        ge=0,
        description="Messages of one mailbox; more are refused with NO [LIMIT] when a client "
        "copies or uploads them (RFC 9051 section 7.1). Mail for an account whose INBOX has so "
        "many is deferred with 452 4.2.2. 0: no limit.",
    )
    messages_per_account: int = Field(
        1_000_000, ge=0, description="The same for all mailboxes of an account. 0: no limit."
    )
    mailboxes_per_account: int = Field(
        2000,
        ge=0,
        description="Mailboxes of one account; more are refused with NO [LIMIT]. 0: no limit.",
    )
    idle_ms: Duration = Field(
        parse_duration("5m"),
        description="Wait for a whole command before a session is closed "
        "(RFC 5321 section 4.5.3.2.7).",
    )
    data_idle_ms: Duration = Field(
        parse_duration("3m"),
        description="Wait for the next piece of a message (RFC 5321 section 4.5.3.2.5).",
    )
    mail_time_ms: Duration = Field(
        parse_duration("1h"),
        description="From MAIL to the end of its message, however steadily it trickles; enough "
        "for 50 MiB at 15 KB/s.",
    )
    handshake_ms: Duration = Field(
        parse_duration("30s"), description="Wait for a TLS handshake or a PROXY header."
    )
    max_pending_bytes: Size = Field(
        parse_size("64KiB"),
        description="Bytes of one session that wait for an answer to what came before them; "
        "with more, we read on only after it.",
    )
    login_failures: int = Field(
        10,
        ge=0,
        description="Failed log-ins of one address in ten minutes before its wrong answers are "
        "held back; 0: never. Correct passwords are answered at once.",
    )


class ReceiveOptions(Options):
    """``[receive]``: how we meet other servers on port 25."""

    greeting_delay_ms: Duration = Field(
        0,
        description="Wait so long before the greeting. Who talks before it gets 554 and is gone: "
        "RFC 5321 section 4.3.1 forbids it, and most that do so send spam.",
    )
    tarpit_ms: Duration = Field(
        0,
        description="Let a peer that has handed in no mail yet wait so long for the answer to "
        "each recipient; per worker, from its start. At most 1m: a peer may give up after 5 "
        "(RFC 5321 section 4.5.3.2.3).",
        le=60_000,
    )


class QueueOptions(Options):
    """``[queue]``: how often and how long delivery is tried."""

    lifetime_ms: Duration = Field(
        parse_duration("5d"),
        description="Bounce a message that is still undelivered after this time. "
        "RFC 5321 section 4.5.4.1 asks for 4 to 5 days.",
    )
    first_retry_ms: Duration = Field(
        parse_duration("5m"), description="Wait after the first failure."
    )
    max_retry_ms: Duration = Field(parse_duration("4h"), description="Never wait longer than this.")
    delay_warning_ms: Duration = Field(
        parse_duration("4h"),
        description="Tell the sender once that a message is late, after the first failure past "
        "this time: whoever asked for it (RFC 3461 section 4.1), and our own users unless they "
        "asked for something else; '0s': nobody.",
    )
    lease_ms: Duration = Field(
        parse_duration("15m"),
        description="A worker that holds a recipient longer than this has lost it.",
    )

    @model_validator(mode="after")
    def _retries_grow(self) -> Self:
        if self.first_retry_ms > self.max_retry_ms:
            raise BadOption("queue.first_retry", "it is longer than queue.max_retry")
        return self


class DeliverOptions(Options):
    """``[deliver]``: how we speak to the next server."""

    port: int = Field(25, ge=1, le=65535, description="Port of other servers; 25 on the Internet.")
    source_address: IpAddress | None = Field(
        None,
        examples=["192.0.2.1"],
        description="Our own address for outgoing connections; default: the system chooses.",
    )
    port_table: dict[str, str] = Field(
        default_factory=dict,
        description="Host name to ADDRESS:PORT, instead of DNS addresses; for a lab where only "
        "127.0.0.1 exists.",
    )
    concurrency: int = Field(50, ge=1, description="Attempts at a time, per worker.")
    concurrency_per_host: int = Field(
        10, ge=1, description="Attempts at a time to one next hop, per worker."
    )
    connect_timeout_ms: Duration = Field(
        parse_duration("30s"), description="Wait for a connection to one address."
    )
    reply_timeout_ms: Duration = Field(
        parse_duration("5m"), description="Wait for one reply (RFC 5321 section 4.5.3.2)."
    )
    data_timeout_ms: Duration = Field(
        parse_duration("10m"),
        description="Wait for the reply to the end of data (RFC 5321 section 4.5.3.2.6).",
    )
    tls: Literal["opportunistic", "verify", "never"] = Field(
        "opportunistic",
        description="opportunistic: encrypt where the other side can (RFC 3207); verify: only "
        "with a certificate that is valid for its name; never: only for tests.",
    )


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
    dns: DnsOptions = DnsOptions()
    limits: LimitOptions = LimitOptions()
    login: LoginOptions = LoginOptions()
    queue: QueueOptions = QueueOptions()
    deliver: DeliverOptions = DeliverOptions()
    web: WebOptions = WebOptions()
    tracking: TrackingOptions = TrackingOptions()
    log: LogOptions = LogOptions()
