"""The configuration file of each server, written at each start, because ports may change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from zajil.config.load import apply_override, load_configuration
from zajil.config.toml_text import toml_value
from zajil.core.service import MAIL_SERVICES, Service
from zajil.lab.addresses import LOOPBACK, METRICS, LabPlace
from zajil.lab.ca import CertificateFiles
from zajil.lab.domains import ECHO_LOGIN, DomainPlan


@dataclass(frozen=True, slots=True)
class LabSurroundings:
    """What all servers of one lab share."""

    nameserver: str
    """``127.0.0.1:PORT``."""
    ca_file: Path
    workers: int
    port_table: Mapping[str, str]
    """Host to ADDRESS:PORT; empty where each domain has an address of its own."""


@dataclass(frozen=True, slots=True)
class NodePlace:
    """Where one of several nodes of a domain listens, behind the balancer."""

    own: LabPlace
    balancer: IPv4Address | None
    """Its connections begin with a PROXY header; ``None``: it sends none."""


def server_options(
    plan: DomainPlan,
    place: LabPlace,
    store: Mapping[str, Any],
    lab: LabSurroundings,
    node: NodePlace | None = None,
) -> dict[str, Any]:
    """Return the options of one server, as its file says them.

    What differs from a real installation is here and nowhere else: ports, the lab's name server
    and authority, no limits that count per peer address, because all peers of a lab share few
    addresses, and none on what an account sends, because a lab is there to send much.

    Args:
        plan: the domain.
        place: where the world reaches it.
        store: the group of the domain: ``url``, and what S3 needs.
        lab: what all servers share.
        node: where this server listens, if it is one of several.
    """
    address = str(place.address)
    own = node.own if node else place
    services = [*MAIL_SERVICES, METRICS] if node else MAIL_SERVICES
    listen = {name: [f"{own.address}:{own.ports[name]}"] for name in services}
    options: dict[str, Any] = {
        "server": {"hostname": plan.hostname, "data_dir": "data", "workers": lab.workers},
        "store": dict(store),
        "listen": {**listen, Service.WEB: [f"{LOOPBACK}:{own.ports[Service.WEB]}"]},
        "tls": {
            "certificate": "certificate.pem",
            "key": "key.pem",
            "ca_file": str(lab.ca_file),
        },
        "dns": {"nameservers": [lab.nameserver]},
        "deliver": {
            "port": place.smtp_port,
            "source_address": address,
            **({"port_table": dict(lab.port_table)} if lab.port_table else {}),
        },
        "limits": {
            "sessions_per_address": 0,
            "sessions_per_network": 0,
            "sessions_per_account": 0,
            "login_failures": 0,
        },
        "submit": {
            "recipients_per_mail": 0,
            "recipients_per_minute": 0,
            "recipients_per_day": 0,
            "strangers_per_hour": 0,
            "strangers_per_day": 0,
        },
        "mail": {"echo_accounts": [f"{ECHO_LOGIN}@{plan.ascii_domain}"]},
        "web": {"cookie_name": f"zajil_{plan.label}"},
    }
    if node is not None:
        if "blobs" not in store:
            # A file of one node is out of the others' reach.
            options["store"]["inline_limit"] = options["limits"]["memory"] = "1GiB"
        if node.balancer is not None:
            options["net"] = {"proxy_peers": [str(node.balancer)]}
    return options


def write_configuration(
    path: Path, options: Mapping[str, Any], overrides: Sequence[str], title: str
) -> None:
    """Write the file with the overrides in it, so that every command sees the same.

    Raises:
        BadConfiguration: an override is wrong; the file is then as if there had been none.
    """
    tree = {group: dict(values) for group, values in options.items()}
    path.write_text(toml_text(tree, title), "utf-8")
    load_configuration(path, overrides)
    for override in overrides:
        apply_override(tree, override)
    path.write_text(toml_text(tree, title), "utf-8")


def certificate_files(folder: Path) -> CertificateFiles:
    """Return the files that ``server_options`` names, in the folder of the configuration."""
    return CertificateFiles(folder / "certificate.pem", folder / "key.pem")


def toml_text(tree: Mapping[str, Mapping[str, Any]], title: str) -> str:
    """Write tables of values as TOML; the inverse of ``tomllib.loads`` for what options hold."""
    lines = [f"# {title}"]
    for group, values in tree.items():
        lines += ["", f"[{group}]"]
        lines += [f"{key} = {toml_value(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"
