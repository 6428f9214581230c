"""Every option of Zajil, with type, default, unit and source (style C9).

One table, so one file, long as it is: whoever looks for an option looks here (those of the checks
are in ``options_check``, those of signing in ``options_keys``). A component gets its
own class of options, never the whole tree. What an operator changes while
the server runs (domains, accounts, aliases, keys) is in the store, not here.
"""

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
    IpAddress,
    ListenAddress,
    Network,
    Secret,
    Size,
    WebAddress,
    is_safe_url,
)
from zajil.config.options_check import CheckOptions
from zajil.config.options_group import Options
from zajil.config.options_keys import KeyOptions
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


class SubmitOptions(Options):
    """``[submit]``: what one of our accounts may send. Stolen passwords are used for spam."""

    recipients_per_mail: int = Field(
        500,
        ge=0,
        description="Recipients of one submitted mail; more get 452 4.5.3. 500 as in Exchange "
        "Online; at least 100 (RFC 5321 section 4.5.3.1.8). 0: no limit but limits.recipients.",
    )
    recipients_per_minute: int = Field(
        500,
        ge=0,
        description="Recipients of all mails of an account in one minute of the clock; more get "
        "450 4.7.1. Enough for one mail of the largest size. 0: no limit.",
    )
    recipients_per_day: int = Field(
        3000,
        ge=0,
        description="The same in one day (UTC); 3000 as for outside recipients in Google "
        "Workspace. 0: no limit.",
    )
    strangers_per_hour: int = Field(
        100,
        ge=0,
        description="Recipients elsewhere that an account never wrote to before, in one hour of "
        "the clock. With more than this, and more than three times what is usual for it on a day, "
        "its mail to other servers is held until `zajil account unhold`. 0: no limit.",
    )
    strangers_per_day: int = Field(500, ge=0, description="The same in one day (UTC). 0: no limit.")
    hide_client: bool = Field(
        True,
        description="Leave name and address of the writer's computer out of Received: every "
        "recipient would learn where the writer was (RFC 5321 section 7.6). The journey has them.",
    )
    max_future_release_ms: Duration = Field(
        parse_duration("30d"),
        description="How far ahead a mail may ask to be sent (FUTURERELEASE, RFC 4865 section 4); "
        "people plan by the month. 0: not offered.",
    )

    @model_validator(mode="after")
    def _a_mail_has_room(self) -> Self:
        if 0 < self.recipients_per_mail < 100:
            raise BadOption(
                "submit.recipients_per_mail",
                "it is less than 100, which RFC 5321 section 4.5.3.1.8 demands",
            )
        return self


class LoginOptions(Options):
    """``[login]``: how people prove who they are."""

    scram: bool = Field(
        False,
        description="Offer SCRAM-SHA-256 (RFC 7677). It works with app passwords only, and many "
        "programs choose it by themselves and do not fall back: turn it on only where every "
        "program uses an app password.",
    )
    token_introspection_url: str | None = Field(
        None,
        examples=["https://sso.example.org/oauth2/introspect"],
        description="Ask this OAuth 2 server whose an access token is (RFC 7662), and offer "
        "OAUTHBEARER (RFC 7628) and XOAUTH2; default: tokens are not taken.",
    )
    token_client_id: str | None = Field(
        None, examples=["zajil"], description="Name of this server at the OAuth 2 server."
    )
    token_client_secret: Secret | None = Field(
        None,
        examples=["correct horse"],
        description="Its secret there, sent by HTTP Basic authentication.",
    )
    token_claim: str = Field(
        "username",
        description="Member of the answer that holds the login name or address of the account; "
        "'username' is the one of RFC 7662 section 2.2.",
    )
    token_audience: str | None = Field(
        None,
        examples=["https://mail.example.org"],
        description="Must be in the answer's 'aud', so that a token made for another service "
        "opens nothing here; default: every active token is taken.",
    )

    @model_validator(mode="after")
    def _is_asked_in_secret(self) -> Self:
        url = self.token_introspection_url
        if url is not None and not is_safe_url(url):
            raise BadOption(
                "login.token_introspection_url",
                "tokens travel to it: it must begin with https:// (http:// for 127.0.0.1, [::1] "
                "and localhost alone)",
            )
        if (self.token_client_id is None) != (self.token_client_secret is None):
            raise BadOption(
                "login.token_client_id",
                "login.token_client_id and login.token_client_secret are given together",
            )
        return self


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


class WebOptions(Options):
    """``[web]``: the browser's side."""

    url: WebAddress | None = Field(
        None,
        examples=["https://mail.example.org/"],
        description="Address of the web pages as the browser sees it; default: the listener's.",
    )
    trusted_proxies: tuple[Network, ...] = Field(
        (),
        examples=[["127.0.0.1"]],
        description="Reverse proxies whose X-Forwarded-For is believed, so that log-ins and limits "
        "count by the browser's address. Name only proxies that set this field themselves. From "
        "any other peer the field is ignored.",
    )
    cookie_name: str = Field("zajil", description="Name of the session cookie.")
    session_lifetime_ms: Duration = Field(
        parse_duration("14d"), description="A log-in lasts this long."
    )
    header_time_ms: Duration = Field(
        parse_duration("20s"),
        description="Time for the header section of a request, from the connection or its first "
        "byte on.",
    )
    body_time_ms: Duration = Field(
        parse_duration("5m"), description="Time for the body of a request."
    )
    form_size: Size = Field(
        parse_size("1MiB"),
        description="Largest form we take, a letter that is written for one; it is held in memory. "
        "An Arabic letter takes six bytes.",
    )


class TrackingOptions(Options):
    """``[tracking]``: the journey."""

    retention_ms: Duration = Field(parse_duration("30d"), description="Events are kept this long.")


class LogOptions(Options):
    """``[log]``: what goes to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least that is shown. Taken over at SIGHUP."
    )
    format: Literal["text", "json"] = Field(
        "text", description="For people, or for programs. Taken over at SIGHUP."
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
