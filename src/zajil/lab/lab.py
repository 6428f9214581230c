"""Start and stop of the lab: name server, authority, and one server process for each domain.

The first domain can have several, its nodes, behind a balancer.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zajil.config.load import load_configuration
from zajil.core.service import Service
from zajil.lab.addresses import (
    LOOPBACK,
    METRICS,
    LabPlace,
    PortBlock,
    node_addresses,
    own_addresses,
)
from zajil.lab.balancer import BalancedNode, Balancer
from zajil.lab.ca import CertificateAuthority, now
from zajil.lab.configuration import (
    LabSurroundings,
    NodePlace,
    certificate_files,
    server_options,
    write_configuration,
)
from zajil.lab.database import LabDatabase
from zajil.lab.dns_server import DnsServer
from zajil.lab.domains import DomainPlan, lab_domains
from zajil.lab.keys import LabKeys
from zajil.lab.objects import LabObjects
from zajil.lab.people import make_people
from zajil.lab.running import RunningDomain, describe_domain, running_node, web_address
from zajil.lab.server import DomainServer
from zajil.lab.state import LabState
from zajil.lab.zones import MailHost, lab_zones
from zajil.store.engine.folder import make_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class LabOptions:
    """What ``zajil lab`` was asked for."""

    folder: Path
    """Where all of it lies; a second start finds it again."""
    more_accounts: int = 0
    """Accounts of each domain beside the first two."""
    workers: int = 2
    """Worker processes of each server: two, so that what happens between workers happens here."""
    database: str | None = None
    """URL of a PostgreSQL server, ``embedded``, or ``None`` for SQLite."""
    overrides: tuple[str, ...] = ()
    """``KEY=VALUE`` for the configuration of every domain."""
    nodes: int = 1
    """Servers of the first domain; several of them need PostgreSQL."""
    objects: str | None = None
    """Address of a bucket of S3, ``embedded``, or ``None``."""


class Lab:
    """Everything that runs for one lab; ``stop`` ends it, also after half a ``start``."""

    def __init__(self, options: LabOptions, servers: Sequence[DomainServer]) -> None:
        """Read what an earlier start on the folder left.

        Args:
            options: what was asked for.
            servers: one for each node of the first domain, and for each other domain.
        """
        self.options = options
        self.domains: tuple[RunningDomain, ...] = ()
        self.web: str | None = None
        """The lab's own page, set by whoever serves it."""
        self._plans = lab_domains(options.more_accounts)
        self._state = LabState(options.folder)
        self._authority = CertificateAuthority(options.folder / "ca", now())
        self._keys = LabKeys()
        self._dns: DnsServer | None = None
        self._database: LabDatabase | None = None
        self._objects: LabObjects | None = None
        self._servers = servers
        self._ports: PortBlock | None = None
        self._node_ports: PortBlock | None = None
        self._node_places: tuple[NodePlace, ...] = ()
        """Empty, if the first domain has one server."""
        self._balancers: list[Balancer] = []
        self._preparing = asyncio.Lock()

    @property
    def page_port(self) -> int:
        """Where the lab's own page listens; known once started."""
        return self._ports.page if self._ports else 0

    @property
    def ca_file(self) -> Path:
        """PEM file of the authority that clients of this lab trust."""
        return self._authority.ca_file

    async def start(self) -> None:
        """Start everything; returns when every service answers.

        Raises:
            BadConfiguration: an override is wrong; nothing was started.
            BadObjectsPlace: so is the address of the bucket.
            NoDatabase, NoFreePort, NoObjects, ServerFailed, OSError: call ``stop``.
        """
        addresses = own_addresses(len(self._plans))
        self._ports = PortBlock(
            addresses, len(self._plans), secrets.randbelow, self._state.port_block
        )
        self._state.port_block = self._ports.first
        places = self._ports.places
        self._reserve_nodes()
        self._dns = DnsServer(lab_zones(self._mail_hosts(places), LOOPBACK), self._keys.find)
        await self._dns.start(port=self._ports.dns)
        self._database = await asyncio.to_thread(
            LabDatabase, self.options.database, self.options.folder
        )
        lab = LabSurroundings(
            self._dns.address, self.ca_file, self.options.workers, self._port_table(places)
        )
        self._objects = await asyncio.to_thread(
            LabObjects, self.options.objects, self.options.folder, self._ports.objects
        )
        stores = [self._store_options(plan) for plan in self._plans]
        first, *others = self._plans
        nodes = len(self._servers) - len(others)
        starts = [self._start_domain(first, self._servers[:nodes], places[0], stores[0], lab)]
        for number, plan in enumerate(others, start=1):
            server = self._servers[nodes + number - 1]
            starts.append(self._start_domain(plan, [server], places[number], stores[number], lab))
        # All of them end before one's failure is told, so that `stop` finds every server.
        started = await asyncio.gather(*starts, return_exceptions=True)
        self._state.save()
        for result in started:
            if isinstance(result, BaseException):
                raise result
        self.domains = tuple(result for result in started if isinstance(result, RunningDomain))

    async def stop(self) -> None:
        """End all servers, then the name server and the database. Never raises on half a start."""
        await asyncio.gather(*(balancer.close() for balancer in self._balancers))
        await asyncio.gather(*(server.stop() for server in self._servers))
        if self._dns is not None:
            await self._dns.close()
        self._keys.close()
        if self._database is not None:
            await asyncio.to_thread(self._database.close)
        if self._objects is not None:
            await asyncio.to_thread(self._objects.close)
        for ports in (self._ports, self._node_ports):
            if ports is not None:
                ports.close()

    def describe(self) -> dict[str, Any]:
        """Return the object of the JSON line."""
        return {
            "nameserver": self._dns.address if self._dns else None,
            "ca_file": str(self.ca_file),
            "data_dir": str(self.options.folder),
            **({Service.WEB: self.web} if self.web else {}),
            "domains": [describe_domain(running) for running in self.domains],
        }

    def _store_options(self, plan: DomainPlan) -> dict[str, Any]:
        prefix = self._state.schema_prefix
        if self._database is None or self._objects is None:
            raise RuntimeError("the database and the objects come first")
        url = self._database.store_url(plan, prefix)
        return {"url": url, **self._objects.options(f"{prefix}{plan.label}")}

    def _reserve_nodes(self) -> None:
        count = self.options.nodes
        if count == 1:
            return
        addresses = node_addresses(count)
        own = addresses[:-1] if addresses else None
        self._node_ports = PortBlock(own, count, secrets.randbelow, self._state.node_port_block)
        self._state.node_port_block = self._node_ports.first
        balancer = addresses[-1] if addresses else None
        self._node_places = tuple(NodePlace(place, balancer) for place in self._node_ports.places)

    def _mail_hosts(self, places: Sequence[LabPlace]) -> list[MailHost]:
        hosts = [
            MailHost(plan.ascii_domain, plan.hostname, place.address)
            for plan, place in zip(self._plans, places, strict=True)
        ]
        own = tuple(place.own.address for place in self._node_places)
        if LOOPBACK not in own:
            hosts[0] = replace(hosts[0], nodes=own)
        return hosts

    def _port_table(self, places: Sequence[LabPlace]) -> dict[str, str]:
        if len({place.smtp_port for place in places}) == 1:
            return {}
        return {
            plan.hostname: f"{place.address}:{place.smtp_port}"
            for plan, place in zip(self._plans, places, strict=True)
        }

    async def _start_domain(
        self,
        plan: DomainPlan,
        servers: Sequence[DomainServer],
        place: LabPlace,
        store: Mapping[str, Any],
        lab: LabSurroundings,
    ) -> RunningDomain:
        nodes = self._node_places if len(servers) > 1 else (None,)
        # One after the other: Alembic migrates one store of a process at a time. The servers of
        # those that are ready start meanwhile.
        async with self._preparing:
            files = [
                await asyncio.to_thread(self._prepare, plan, place, store, lab, number, node)
                for number, node in enumerate(nodes, start=1)
            ]
        starts = [
            server.start(plan.domain, file, file.with_name("server.log"))
            for server, file in zip(servers, files, strict=True)
        ]
        started = await asyncio.gather(*starts, return_exceptions=True)
        ready = []
        for result in started:
            if isinstance(result, BaseException):
                raise result
            ready.append(result)
        running = tuple(
            running_node(f"node{number}", server, said)
            for number, (server, said) in enumerate(zip(servers, ready, strict=True), start=1)
        )
        services, web, balancer = running[0].services, running[0].web, None
        if len(servers) > 1:
            listen = _services_of(place, [*services, *([Service.WEB] if web else [])])
            balancer = await self._start_balancer(plan, listen)
            services = {name: f"{host}:{port}" for name, (host, port) in listen.items()}
            web = web_address(listen[Service.WEB][1]) if web else None
            services.pop(Service.WEB, None)
        return RunningDomain(
            plan=plan,
            nodes=running,
            services=services,
            web=web,
            passwords=self._passwords(plan),
            balancer=balancer,
        )

    async def _start_balancer(
        self, plan: DomainPlan, listen: Mapping[str, tuple[str, int]]
    ) -> Balancer:
        nodes = [
            BalancedNode(
                f"node{number}",
                _services_of(node.own, listen),
                (str(node.own.address), node.own.ports[METRICS]),
            )
            for number, node in enumerate(self._node_places, start=1)
        ]
        balancer = Balancer(nodes, self._node_places[0].balancer, _tell_of(plan))
        self._balancers.append(balancer)
        await balancer.start(listen, headerless=frozenset({Service.WEB}))
        return balancer

    def _prepare(
        self,
        plan: DomainPlan,
        place: LabPlace,
        store: Mapping[str, Any],
        lab: LabSurroundings,
        number: int,
        node: NodePlace | None,
    ) -> Path:
        """Write configuration and certificate, fill the store; give the configuration."""
        folder = self.options.folder / plan.ascii_domain
        folder.mkdir(mode=0o700, exist_ok=True)
        if node is not None:
            folder /= f"node{number}"
            folder.mkdir(mode=0o700, exist_ok=True)
        file = folder / "zajil.toml"
        options = server_options(plan, place, store, lab, node)
        title = f"{plan.domain} in the lab; written anew at each start."
        write_configuration(file, options, self.options.overrides, title)
        names = [plan.hostname, plan.ascii_domain, "localhost"]
        own = [place.address, *([node.own.address] if node else []), LOOPBACK]
        self._authority.certificate(certificate_files(folder), names, list(dict.fromkeys(own)))
        configuration = load_configuration(file)
        if number == 1:
            make_people(configuration, plan, self._passwords(plan))
            self._keys.add(plan.ascii_domain, configuration)
        make_folder(configuration.server.data_dir)
        return file

    def _passwords(self, plan: DomainPlan) -> dict[str, str]:
        return {who.login: self._state.password(who.password_name) for who in plan.accounts}


def _services_of(place: LabPlace, names: Iterable[str]) -> dict[str, tuple[str, int]]:
    """Return where services of a place listen: the pages on 127.0.0.1."""
    return {
        name: (str(LOOPBACK if name == Service.WEB else place.address), place.ports[name])
        for name in names
    }


def _tell_of(plan: DomainPlan) -> Callable[[str, bool], None]:
    def tell(name: str, is_in: bool) -> None:
        what = "is ready: it gets connections" if is_in else "is not ready: it gets no connections"
        sys.stderr.write(f"zajil lab: {name} of {plan.domain} {what}\n")

    return tell
