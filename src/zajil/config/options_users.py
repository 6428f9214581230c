"""Options of what users do: hand in mail, log in, use the pages."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from zajil.config.kinds import BadOption, Duration, Network, Secret, Size, WebAddress, is_safe_url
from zajil.config.options_group import Options
from zajil.core.units import parse_duration, parse_size


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
        "its mail to other servers is held until `zajil account release`. 0: no limit.",
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
