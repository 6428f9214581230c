"""All probes of this machine: what could keep mail from arriving, before anybody misses it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zajil.config.options import Configuration
from zajil.core.service import Service
from zajil.dns.flow import Question, Resolve
from zajil.operations.configuration import must_mend
from zajil.operations.machine_probes import (
    probe_clock,
    probe_disk,
    probe_memory,
    probe_ports,
    probe_space,
)
from zajil.operations.network_probes import (
    SMTP_PORT,
    probe_dnssec,
    probe_inwards,
    probe_ipv6,
    probe_listed,
    probe_lists,
    probe_name,
    probe_outwards,
)
from zajil.operations.probe import Probe
from zajil.tracking.check_names import mark


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeTargets:
    """Public services that are asked; each can be another one."""

    mail_domain: str = "gmail.com"
    """Its mail servers must be reachable."""
    port: int = SMTP_PORT
    """Of these servers."""
    signed: str = "internetsociety.org"
    broken: str = "dnssec-failed.org"
    """Names with right and with wrong DNSSEC signatures."""
    lists: tuple[str, ...] = ("zen.spamhaus.org",)
    """Block lists, where the configuration names none."""
    date_url: str | None = "http://www.debian.org/"
    """Asked for the date where the clock is not synchronized."""


PUBLIC = ProbeTargets()


def listen_addresses(configuration: Configuration) -> list[str]:
    """Return every ``ADDRESS:PORT`` that the server will listen on."""
    found: list[str] = []
    for service in Service:
        found += [one for one in getattr(configuration.listen, service) if one[:5] != "unix:"]
    return list(dict.fromkeys(found))


async def probe_all(
    configuration: Configuration,
    folder: Path,
    resolve: Resolve,
    targets: ProbeTargets = PUBLIC,
    *,
    is_running: bool = False,
) -> list[Probe]:
    """Run all probes, those of the network side by side; takes up to about 20 seconds.

    Args:
        configuration: of the server, which need not exist yet.
        folder: where the data is or will be; it exists.
        resolve: the resolver that the server uses.
        targets: what is asked.
        is_running: the server runs, so its ports are taken by itself.
    """
    zones = _lists(configuration) or targets.lists
    hostname = configuration.server.hostname
    network = asyncio.gather(
        probe_outwards(targets.mail_domain, resolve, targets.port),
        probe_name(hostname, resolve),
        probe_dnssec(targets.signed, targets.broken, resolve),
        probe_lists(zones, resolve),
        probe_listed(hostname, zones, resolve),
        resolve(Question(hostname, "AAAA")),
    )
    ports = [] if is_running else probe_ports(listen_addresses(configuration))
    here = await asyncio.to_thread(_probe_machine, configuration, folder, targets.date_url)
    outwards, names, dnssec, lists, listed, ipv6 = await network
    return [
        outwards,
        probe_inwards(),
        *names,
        probe_ipv6(bool(ipv6.values)),
        dnssec,
        *lists,
        *listed,
        *ports,
        *here,
    ]


def _probe_machine(
    configuration: Configuration, folder: Path, date_url: str | None
) -> Sequence[Probe]:
    return [
        *_probe_user(configuration),
        probe_disk(folder),
        probe_space(folder, configuration.store.free_space_reserve),
        probe_memory(),
        probe_clock(date_url),
    ]


def _probe_user(configuration: Configuration) -> Sequence[Probe]:
    text = mark("The server cannot run: {reason}.")
    return [
        Probe(mark("System user"), "problem", text, {"reason": one.reason})
        for one in must_mend(configuration)
    ]


def _lists(configuration: Configuration) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.split()[0] for name in configuration.check.peer.lists))
