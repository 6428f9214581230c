"""What an operator wants of a new server, and the configuration file that follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zajil.config.example import example_file
from zajil.config.load import (
    BadConfiguration,
    apply_override,
    option_names,
    parse_configuration,
)
from zajil.config.options import Configuration
from zajil.core.address import Address, parse_address
from zajil.core.domain import BadDomain, is_public_name, to_ascii, to_unicode
from zajil.core.service import Service

CONFIGURATION_NAME = "zajil.toml"
DATA, CERTIFICATE, KEY = "data", "tls/certificate.pem", "tls/key.pem"
SECRETS = {"store.url": "database.url", "smarthost.password": "smarthost.password"}
"""Options that are kept in files of their own, which only the server may read."""
OPTIONS_OF_SETUP = {
    "server.hostname": "--hostname",
    "server.data_dir": "--data-dir",
    "server.user": "--user",
    "tls.certificate": "--certificate",
    "tls.key": "--key",
    "acme.directory": "--acme-directory",
    "acme.contact": "--acme-contact",
    "acme.agree_terms": "--acme-agree-terms",
    "smarthost.host": "--smarthost",
    "smarthost.port": "--smarthost",
    "smarthost.login": "--smarthost-login",
    "smarthost.password": "--smarthost-password-file",
    "store.url": "--database",
}
"""Options of the configuration that setup checks, with its own option for each."""
PORTS = {
    Service.SMTP: 25,
    Service.SUBMISSION: 587,
    Service.SUBMISSIONS: 465,
    Service.IMAP: 143,
    Service.IMAPS: 993,
    Service.POP3: 110,
    Service.POP3S: 995,
    Service.HTTP: 80,
    Service.HTTPS: 443,
}
"""The ports that others expect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Smarthost:
    """A server that takes all mail to others."""

    host: str
    port: int
    login: str | None
    """``None``: it knows this server by its address."""
    password: str | None
    spf: str | None = None
    """What its provider wants in SPF records: ``include:_spf.provider.example``."""


LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"


@dataclass(frozen=True, slots=True, kw_only=True)
class AcmeAuthority:
    """An authority that certificates come from; the operator agrees to its terms of service."""

    directory: str
    """URL (RFC 8555 section 7.1.1)."""
    contact: str
    """Mail address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupPlan:
    """What the operator wants."""

    domain: str
    """U-labels or A-labels."""
    folder: Path
    data_dir: Path | None = None
    """Folder for mail; it may exist if it is empty; ``None``: ``data`` in the folder."""
    hostname: str | None
    """``None``: ``mail.`` before the domain."""
    admin: str | None
    """Address of the first account; ``None``: ``admin@`` the domain."""
    login: str | None
    """``None``: derived from the address."""
    password: str | None
    """``None``: one is generated and returned."""
    user: str | None
    """User of this machine that the server will run as."""
    store_url: str | None
    """``None``: SQLite in the data folder."""
    addresses: Sequence[str] | None = None
    """IP addresses to listen on, all services, HTTP and HTTPS too; ``None``: as the defaults of
    ``[listen]``."""
    certificate: tuple[Path, Path] | None = None
    """Files of certificate and key that the operator keeps."""
    authority: AcmeAuthority | None = None
    """Where certificates come from; without it and without files, a self-signed one is made."""
    smarthost: Smarthost | None = None
    """``None``: mail goes to the servers of the recipients' domains."""
    more: Sequence[str] = ()
    """Further options for the file, as ``KEY=VALUE`` of ``--set``."""

    @property
    def makes_certificate(self) -> bool:
        """Whether setup makes a self-signed certificate."""
        return self.certificate is None and self.authority is None


@dataclass(frozen=True, slots=True)
class Names:
    """The names of a plan, checked."""

    domain: str
    hostname: str
    admin: Address


def read_names(plan: SetupPlan) -> Names:
    """Return the domain, the host name and the first address.

    Raises:
        BadAddress, BadDomain: one cannot be used.
    """
    domain = require_public(plan.domain, "a mail domain", "example.org")
    hostname = require_public(
        plan.hostname or f"mail.{domain}", "a mail server", "mail.example.org"
    )
    admin = parse_address(plan.admin) if plan.admin else Address("admin", domain)
    return Names(domain, hostname, admin)


def require_public(typed: str, what: str, example: str) -> str:
    """Return the ASCII form of a name.

    Args:
        typed: U-labels or A-labels.
        what: what has the name, for the error.
        example: of such a name.

    Raises:
        BadDomain: not a name, or not one that others can look up.
    """
    name = to_ascii(typed)
    if not is_public_name(name):
        raise BadDomain(f"{name}: {what} has a name that others can look up in DNS, like {example}")
    return name


def preview(plan: SetupPlan) -> Configuration:
    """Return the configuration that a plan leads to; writes nothing.

    Raises:
        BadAddress, BadConfiguration, BadDomain: what was given is not usable.
    """
    names = read_names(plan)
    text = example_file(chosen_options(plan, names), "")
    return parse_configuration(text, plan.folder / CONFIGURATION_NAME)


def configuration_text(plan: SetupPlan, names: Names) -> str:
    """Return the configuration file; its secrets are in files beside it, of ``secrets_of``."""
    chosen = chosen_options(plan, names)
    kept = {option: {"file": SECRETS[option]} for option in secrets_of(plan, names)}
    return example_file({**chosen, **kept}, f"Zajil, mail server of {to_unicode(names.domain)}")


def secrets_of(plan: SetupPlan, names: Names) -> dict[str, str]:
    """Return the options of a plan that are kept in files of their own, with their values."""
    chosen = chosen_options(plan, names)
    return {
        option: chosen[option]
        for option in SECRETS
        if "://" in str(chosen.get(option, ""))
        or (option == "smarthost.password" and option in chosen)
    }


def chosen_options(plan: SetupPlan, names: Names) -> dict[str, Any]:
    """Return the options that a plan sets."""
    chosen: dict[str, Any] = {
        "server.hostname": names.hostname,
        "server.data_dir": DATA if plan.data_dir is None else str(plan.data_dir.absolute()),
    }
    if plan.makes_certificate:
        chosen |= {"tls.certificate": CERTIFICATE, "tls.key": KEY}
    if plan.authority is not None:
        chosen |= {
            "acme.directory": plan.authority.directory,
            "acme.agree_terms": True,
            "acme.contact": plan.authority.contact,
        }
    if plan.certificate is not None:
        certificate, key = plan.certificate
        chosen |= {"tls.certificate": str(certificate.absolute()), "tls.key": str(key.absolute())}
    if plan.user:
        chosen["server.user"] = plan.user
    if plan.store_url:
        chosen["store.url"] = plan.store_url
    for service, port in PORTS.items() if plan.addresses else ():
        hosts = [f"[{one}]" if ":" in one else one for one in plan.addresses or ()]
        chosen[f"listen.{service}"] = [f"{host}:{port}" for host in hosts]
    if plan.smarthost is not None:
        chosen |= {"smarthost.host": plan.smarthost.host, "smarthost.port": plan.smarthost.port}
        for name in ("login", "password", "spf"):
            if (value := getattr(plan.smarthost, name)) is not None:
                chosen[f"smarthost.{name}"] = value
    return chosen | further_options(plan.more)


def further_options(overrides: Sequence[str]) -> dict[str, Any]:
    """Return options that were given as ``KEY=VALUE``.

    Raises:
        BadConfiguration: one has another form, there is no such option, or setup asks for it.
    """
    found: dict[str, Any] = {}
    for override in overrides:
        tree: dict[str, Any] = {}
        option = apply_override(tree, override)
        if option not in option_names():
            raise BadConfiguration("--set", option, "there is no such option")
        if option in OPTIONS_OF_SETUP:
            raise BadConfiguration("--set", option, f"setup needs {OPTIONS_OF_SETUP[option]}")
        value: Any = tree
        for part in option.split("."):
            value = value[part]
        found[option] = value
    return found
