"""Options of the directory of an organisation: LDAP."""

from __future__ import annotations

from typing import Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, field_validator, model_validator

from zajil.config.kinds import BadOption, DomainName, Duration, FilePath, Secret, is_host
from zajil.config.options_group import Options
from zajil.core.units import parse_duration


class DirectoryOptions(Options):
    """``[directory]``: people of an LDAP directory as accounts; needs the extra ``directory``."""

    urls: tuple[str, ...] = Field(
        (),
        examples=[["ldaps://ldap1.example.org", "ldaps://ldap2.example.org"]],
        description="LDAP servers that have the same data (RFC 4511), tried in this order: "
        "ldaps://HOST:PORT; ldap://HOST:PORT, where TLS begins with STARTTLS; or "
        "ldapi://%2FPATH for a Unix socket. Certificates are verified. Default: no directory.",
    )
    ca_file: FilePath | None = Field(
        None,
        examples=["/etc/zajil/directory-ca.pem"],
        description="PEM file of the root certificates for the LDAP servers; default: those of the "
        "operating system.",
    )
    bind_dn: str | None = Field(
        None,
        examples=["cn=zajil,ou=services,dc=example,dc=org"],
        description="Name (DN) that this server logs in to the directory with, to search it; "
        "default: it searches without a log-in.",
    )
    password: Secret | None = Field(
        None,
        examples=["correct horse"],
        description="Password of directory.bind_dn; better { file = PATH }.",
    )
    base: str = Field(
        "",
        examples=["ou=people,dc=example,dc=org"],
        description="DN of the entry below which people are searched.",
    )
    filter: str = Field(
        "(objectClass=inetOrgPerson)",
        description="LDAP filter (RFC 4515) of the entries that are people; for Active Directory "
        "(&(objectCategory=person)(objectClass=user)(mail=*)).",
    )
    domains: tuple[DomainName, ...] = Field(
        (),
        examples=[["example.org"]],
        description="Domains of this server that the directory may create accounts and aliases "
        "in. Everything else in the directory is left out.",
    )
    id_attribute: str = Field(
        "entryUUID",
        description="Attribute that names a person for ever, also under a new name: entryUUID "
        "(RFC 4530), or objectGUID in Active Directory.",
    )
    address_attribute: str = Field("mail", description="Attribute with the address.")
    alias_attribute: str | None = Field(
        None,
        examples=["mailAlternateAddress"],
        description="Attribute with further addresses, which become aliases of the account; "
        "'proxyAddresses' of Active Directory is understood. Default: none.",
    )
    name_attribute: str = Field(
        "displayName", description="Attribute with the display name; cn if an entry has none."
    )
    login_attribute: str = Field(
        "uid",
        description="Attribute with the login name, for new accounts; sAMAccountName in Active "
        "Directory. Each account can also log in with its address.",
    )
    quota_attribute: str | None = Field(
        None,
        examples=["mailQuota"],
        description="Attribute with the quota: a size such as 2G, or a number of bytes; 0: no "
        "limit. Default: quotas are set here.",
    )
    disabled_filter: str | None = Field(
        None,
        examples=["(pwdAccountLockedTime=*)"],
        description="LDAP filter of people whose account is disabled; for Active Directory "
        "(userAccountControl:1.2.840.113556.1.4.803:=2). Default: only people who are not found "
        "any more.",
    )
    admin_group: str | None = Field(
        None,
        examples=["cn=mail admins,ou=groups,dc=example,dc=org"],
        description="DN of the group whose members (member, uniqueMember) are administrators of "
        "this server. Default: administrators are made here.",
    )
    every_ms: Duration = Field(
        parse_duration("15m"),
        ge=60_000,
        description="How often the accounts are compared with the directory; at least 1m.",
    )
    timeout_ms: Duration = Field(
        parse_duration("5s"),
        ge=100,
        description="Time to wait for a connection to the directory and for each of its answers.",
    )
    remember_ms: Duration = Field(
        parse_duration("2m"),
        le=parse_duration("1d"),
        description="How long a worker lets a right password log in again without asking the "
        "directory. A password that was changed there, or a person who was disabled there, is "
        "still accepted during this time. Nothing is remembered over a restart. 0s: it is asked "
        "at each log-in.",
    )

    @field_validator("urls")
    @classmethod
    def _are_servers(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        for url in urls:
            try:
                parts = urlsplit(url)
                host, extra = parts.hostname, (parts.path.strip("/"), parts.query, parts.username)
                is_right = parts.port != 0 and not any(extra)
            except ValueError:
                host, is_right = None, False
            if parts.scheme == "ldapi":
                is_right = unquote(url[len("ldapi://") :]).startswith("/")
            elif parts.scheme not in ("ldap", "ldaps") or not is_host(host):
                is_right = False
            if not is_right:
                raise ValueError(
                    f"{url!r} is not an address like 'ldaps://ldap.example.org', "
                    "'ldap://ldap.example.org:389' or 'ldapi://%2Frun%2Fslapd%2Fldapi'"
                )
        return urls

    @field_validator("filter", "disabled_filter")
    @classmethod
    def _is_a_filter(cls, text: str | None) -> str | None:
        if text is not None and not _is_balanced(text):
            raise ValueError("it is not an LDAP filter, like '(objectClass=inetOrgPerson)'")
        return text

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.urls and not self.base:
            raise BadOption("directory.base", "it is required with directory.urls")
        if self.urls and not self.domains:
            raise BadOption("directory.domains", "it is required with directory.urls")
        if (self.bind_dn is None) != (self.password is None):
            raise BadOption(
                "directory.bind_dn", "directory.bind_dn and directory.password must be set together"
            )
        if self.password == "":
            raise BadOption("directory.password", "it is empty")
        return self


def _is_balanced(text: str) -> bool:
    depth = 0
    for number, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth < 0 or (depth == 0 and number != len(text) - 1):
            return False
    return depth == 0 and len(text) > 2
