"""Options of single sign-on on the pages: OpenID Connect."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from zajil.config.kinds import (
    BadOption,
    DomainName,
    Duration,
    FilePath,
    Secret,
    is_safe_url,
)
from zajil.config.options_group import Options
from zajil.core.units import parse_duration


class SignOnOptions(Options):
    """``[sign_on]``: log-in on the web pages by OpenID Connect; needs the extra ``directory``."""

    issuer: str | None = Field(
        None,
        examples=["https://sso.example.org/realms/staff"],
        description="Issuer of the OpenID provider, exactly as it names itself; its configuration "
        "is read from /.well-known/openid-configuration below it. Register the redirect address "
        "web.url + 'login/sso/back' there. Default: no single sign-on.",
    )
    name: str = Field(
        "single sign-on",
        min_length=1,
        max_length=60,
        description="Name of the provider on the button of the log-in page.",
    )
    client_id: str | None = Field(
        None, examples=["zajil"], description="Client ID of this server at the provider."
    )
    client_secret: Secret | None = Field(
        None,
        examples=["correct horse"],
        description="Client secret of this server at the provider; better { file = PATH }. Some "
        "providers accept only a-z, A-Z and 0-9 in it.",
    )
    ca_file: FilePath | None = Field(
        None,
        examples=["/etc/zajil/sso-ca.pem"],
        description="PEM file of the root certificates for the provider; default: those of the "
        "operating system.",
    )
    domains: tuple[DomainName, ...] | None = Field(
        None,
        examples=[["example.org"]],
        description="Required with sign_on.issuer. Domains in which an address that the provider "
        "has verified is linked with the account of that address at the first log-in.",
    )
    create_accounts: bool = Field(
        False,
        description="Create an account at the first log-in if the verified address, in one of "
        "sign_on.domains, has none.",
    )
    password_login: bool = Field(
        True,
        description="Offer the log-in with a password on the web pages, too. If false, only "
        "administrators of the server log in with a password, on the page /login?password=1. Mail "
        "programs are not affected.",
    )
    logout: bool = Field(
        True,
        description="Log out at the provider too when a user logs out of the pages, if the "
        "provider supports it (RP-Initiated Logout).",
    )
    timeout_ms: Duration = Field(
        parse_duration("10s"),
        ge=100,
        description="Time to wait for one answer of the provider.",
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.issuer is None:
            if not self.password_login:
                raise BadOption("sign_on.password_login", "it requires sign_on.issuer")
            return self
        if not is_safe_url(self.issuer) or "?" in self.issuer or "#" in self.issuer:
            raise BadOption(
                "sign_on.issuer",
                "it must begin with https:// (http:// is allowed only for 127.0.0.1, [::1] and "
                "localhost), without ? and #",
            )
        if self.client_id is None or not self.client_secret:
            raise BadOption(
                "sign_on.client_id",
                "sign_on.client_id and sign_on.client_secret are required with sign_on.issuer",
            )
        if not self.domains:
            raise BadOption("sign_on.domains", "it is required with sign_on.issuer")
        return self
