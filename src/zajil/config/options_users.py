"""Options of user access: submission, log-in, web pages."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from zajil.config.kinds import (
    BadOption,
    Duration,
    FilePath,
    MailAddress,
    Network,
    Secret,
    Size,
    WebAddress,
    is_safe_url,
)
from zajil.config.options_group import Options
from zajil.core.units import parse_duration, parse_size


class SubmitOptions(Options):
    """``[submit]``: sending limits of accounts; they limit abuse of stolen passwords."""

    recipients_per_mail: int = Field(
        500,
        ge=0,
        description="Maximum number of recipients of one submitted message; further recipients "
        "get 452 4.5.3. 500 as in Exchange Online; at least 100 (RFC 5321 section 4.5.3.1.8). 0: "
        "no limit other than limits.recipients.",
    )
    recipients_per_minute: int = Field(
        500,
        ge=0,
        description="Maximum number of recipients of all messages of an account in one clock "
        "minute; further recipients get 450 4.7.1. 0: no limit.",
    )
    recipients_per_day: int = Field(
        3000,
        ge=0,
        description="Maximum number of recipients of all messages of an account in one day "
        "(UTC); 3000 as for external recipients in Google Workspace. 0: no limit.",
    )
    strangers_per_hour: int = Field(
        100,
        ge=0,
        description="Maximum number of new external recipients of an account in one clock "
        "hour. If an account exceeds this number, and also three times its usual number per day, "
        "its mail to other servers is held until `zajil account release`. 0: no limit.",
    )
    strangers_per_day: int = Field(
        500,
        ge=0,
        description="Maximum number of new external recipients of an account in one day (UTC). "
        "0: no limit.",
    )
    hide_client: bool = Field(
        True,
        description="Omit the name and address of the sender's computer from Received, so that "
        "recipients do not learn the sender's location (RFC 5321 section 7.6). Both are recorded "
        "in the journey.",
    )
    max_future_release_ms: Duration = Field(
        parse_duration("30d"),
        description="Maximum delay that a client may request with FUTURERELEASE (RFC 4865 "
        "section 4). 0: FUTURERELEASE is not offered.",
    )

    @model_validator(mode="after")
    def _a_mail_has_room(self) -> Self:
        if 0 < self.recipients_per_mail < 100:
            raise BadOption(
                "submit.recipients_per_mail",
                "it must be at least 100 (RFC 5321 section 4.5.3.1.8)",
            )
        return self


class LoginOptions(Options):
    """``[login]``: authentication of users."""

    scram: bool = Field(
        False,
        description="Offer SCRAM-SHA-256 (RFC 7677). It works with app passwords only, and "
        "many clients select it automatically without falling back: enable it only if all "
        "clients use app passwords.",
    )
    second_step_required: bool = Field(
        False,
        description="Every account needs a second step (an authenticator app or a passkey) with "
        "its password. Without one, the web pages only let its owner set one up, and mail programs "
        "need an app password. Accounts that only log in by single sign-on are the provider's "
        "concern.",
    )
    token_introspection_url: str | None = Field(
        None,
        examples=["https://sso.example.org/oauth2/introspect"],
        description="Token introspection endpoint of an OAuth 2 server (RFC 7662). If set, "
        "OAUTHBEARER (RFC 7628) and XOAUTH2 are offered; default: access tokens are not accepted.",
    )
    token_client_id: str | None = Field(
        None, examples=["zajil"], description="Client ID of this server at the OAuth 2 server."
    )
    token_client_secret: Secret | None = Field(
        None,
        examples=["correct horse"],
        description="Client secret of this server at the OAuth 2 server, sent with HTTP Basic "
        "authentication.",
    )
    token_claim: str = Field(
        "username",
        description="Member of the introspection response that contains the login name or "
        "address of the account; 'username' is defined by RFC 7662 section 2.2.",
    )
    token_audience: str | None = Field(
        None,
        examples=["https://mail.example.org"],
        description="Required value of 'aud' in the introspection response, so that tokens for "
        "other services are rejected; default: every active token is accepted.",
    )

    @model_validator(mode="after")
    def _is_asked_in_secret(self) -> Self:
        url = self.token_introspection_url
        if url is not None and not is_safe_url(url):
            raise BadOption(
                "login.token_introspection_url",
                "it must begin with https:// (http:// is allowed only for 127.0.0.1, [::1] and "
                "localhost)",
            )
        if (self.token_client_id is None) != (self.token_client_secret is None):
            raise BadOption(
                "login.token_client_id",
                "login.token_client_id and login.token_client_secret must be set together",
            )
        return self


class MailboxOptions(Options):
    """``[mail]``: what accounts may keep in their mailboxes."""

    quota: Size = Field(
        parse_size("0B"),
        description="Maximum size of the mail of an account, for accounts without a quota of their "
        "own (`zajil account set --quota`). Mail to a full account is refused at RCPT; a client "
        "that copies or uploads more gets NO [OVERQUOTA] (RFC 9208). The number of messages is "
        "limited by limits.messages_per_account. 0B: no limit.",
    )
    full_mailbox: Literal["defer", "reject"] = Field(
        "defer",
        description="Reply to a recipient whose mailbox is full. 'defer': 452 4.2.2, and the "
        "sender's server tries again; 'reject': 552 5.2.2, and the message bounces.",
    )
    echo_accounts: tuple[MailAddress, ...] = Field(
        (),
        examples=[["echo@example.org"]],
        description="Accounts that answer each message with its header section and what the checks "
        "found, so that others can test their servers (`zajil roundtrip`). The messages are "
        "removed. Reports, lists and mail that does not prove its return path get no answer.",
    )
    undelete_days: int = Field(
        30,
        ge=0,
        le=3650,
        description="Number of days for which deleted messages can be restored (`zajil message "
        "undelete`). They count towards the quota, and the oldest are removed when it is reached. "
        "0: deleted messages are removed at once.",
    )


class WebOptions(Options):
    """``[web]``: webmail and administration pages."""

    url: WebAddress | None = Field(
        None,
        examples=["https://mail.example.org/"],
        description="Public address of the web pages; default: https:// and server.hostname if "
        "listen.https is set, else the address of the listener.",
    )
    trusted_proxies: tuple[Network, ...] = Field(
        (),
        examples=[["127.0.0.1"]],
        description="Reverse proxies whose fields X-Forwarded-For (address of the browser, for "
        "log-ins and limits), X-Forwarded-Proto and X-Forwarded-Host are trusted. List only "
        "proxies that set these fields themselves or remove those of the browser. The fields are "
        "ignored from all other clients.",
    )
    hsts_ms: Duration = Field(
        parse_duration("180d"),
        description="How long browsers that have visited the pages over HTTPS use nothing else "
        "(Strict-Transport-Security, RFC 6797). 0s: the field is not sent.",
    )
    cookie_name: str = Field("zajil", description="Name of the session cookie.")
    session_lifetime_ms: Duration = Field(
        parse_duration("14d"), description="Lifetime of a web session."
    )
    admins_need_second_factor: bool = Field(
        False,
        description="Administrators reach the administration pages only with a second factor: an "
        "authenticator app or a passkey.",
    )
    header_time_ms: Duration = Field(
        parse_duration("20s"),
        description="Maximum time to receive the header section of a request, from the "
        "connection or from its first byte.",
    )
    body_time_ms: Duration = Field(
        parse_duration("5m"), description="Maximum time to receive the body of a request."
    )
    private_networks: tuple[Network, ...] = Field(
        (),
        examples=[["192.0.2.0/24"]],
        description="Private networks whose web servers may be asked for pictures of messages, "
        "for certificates of logos and to unsubscribe, on any port. All other private and "
        "local addresses are refused, "
        "so that a message cannot reach hosts that only this server can reach.",
    )
    bimi_roots: FilePath | None = Field(
        None,
        examples=["/etc/zajil/mark-roots.pem"],
        description="PEM file of the root certificates that are trusted to confirm logos of "
        "senders (BIMI). If set, the logo of a sender is shown with a message that passed DMARC, "
        "if a certificate of such an authority contains it. Default: no logos are looked up.",
    )
    form_size: Size = Field(
        parse_size("1MiB"),
        description="Maximum size of a form, such as a message that is being sent. Forms are "
        "kept in memory. An Arabic character takes six bytes in a form.",
    )
