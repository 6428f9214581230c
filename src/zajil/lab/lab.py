"""Start and stop of the lab: name server, authority, and one server process for each domain."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

from zajil.config.load import load_configuration
from zajil.core.service import MAIL_SERVICES, Service
from zajil.lab.addresses import LOOPBACK, LabPlace, PortBlock, own_addresses
from zajil.lab.ca import CertificateAuthority, now
from zajil.lab.configuration import (
    LabSurroundings,
    certificate_files,
    server_options,
    write_configuration,
)
from zajil.lab.database import LabDatabase
from zajil.lab.dns_server import DnsServer
from zajil.lab.domains import DomainPlan, lab_domains
from zajil.lab.keys import LabKeys
from zajil.lab.people import make_people
from zajil.lab.server import DomainServer
from zajil.lab.state import LabState
from zajil.lab.zones import MailHost, lab_zones


@dataclass(frozen=True, slots=True)
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


@dataclass(frozen=True, slots=True)
class RunningDomain:
    """One domain whose server answers."""

    plan: DomainPlan
    server: DomainServer
    services: Mapping[str, str]
    """``smtp`` to ``127.1.0.1:PORT``; what does not exist is not there."""
    web: str | None
    """``http://localhost:PORT/``."""
    pid: int
    """Of the supervisor."""
    passwords: Mapping[str, str]
    """By log-in name."""


class Lab:
    """Everything that runs for one lab; ``stop`` ends it, also after half a ``start``."""

    def __init__(self, options: LabOptions, servers: Sequence[DomainServer]) -> None:
        """Read what an earlier start on the folder left.

        Args:
            options: what was asked for.
            servers: one for each of ``lab_domains``.
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
        self._servers = servers
        self._ports: PortBlock | None = None
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
            NoDatabase, NoFreePort, ServerFailed, OSError: call ``stop``.
        """
        addresses = own_addresses(len(self._plans))
        self._ports = PortBlock(
            addresses, len(self._plans), secrets.randbelow, self._state.port_block
        )
        self._state.port_block = self._ports.first
        places = self._ports.places
        self._dns = DnsServer(lab_zones(self._mail_hosts(places), LOOPBACK), self._keys.find)
        await self._dns.start(port=self._ports.dns)
        self._database = await asyncio.to_thread(
            LabDatabase, self.options.database, self.options.folder
        )
        lab = LabSurroundings(
            self._dns.address, self.ca_file, self.options.workers, self._port_table(places)
        )
        urls = [self._database.store_url(plan, self._state.schema_prefix) for plan in self._plans]
        starts = map(self._start_domain, self._plans, self._servers, places, urls, repeat(lab))
        # All of them end before one's failure is told, so that `stop` finds every server.
        started = await asyncio.gather(*starts, return_exceptions=True)
        self._state.save()
        for result in started:
            if isinstance(result, BaseException):
                raise result
        self.domains = tuple(result for result in started if isinstance(result, RunningDomain))

    async def stop(self) -> None:
        """End all servers, then the name server and the database. Never raises on half a start."""
        await asyncio.gather(*(server.stop() for server in self._servers))
        if self._dns is not None:
            await self._dns.close()
        self._keys.close()
        if self._database is not None:
            await asyncio.to_thread(self._database.close)
        if self._ports is not None:
            self._ports.close()

    def describe(self) -> dict[str, Any]:
        """Return the object of the JSON line."""
        return {
            "nameserver": self._dns.address if self._dns else None,
            "ca_file": str(self.ca_file),
            "data_dir": str(self.options.folder),
            **({Service.WEB: self.web} if self.web else {}),
            "domains": [_describe(running) for running in self.domains],
        }

    def _mail_hosts(self, places: Sequence[LabPlace]) -> list[MailHost]:
        return [
            MailHost(plan.ascii_domain, plan.hostname, place.address)
            for plan, place in zip(self._plans, places, strict=True)
        ]

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
        server: DomainServer,
        place: LabPlace,
        store_url: str,
        lab: LabSurroundings,
    ) -> RunningDomain:
        folder = self.options.folder / plan.ascii_domain
        options = server_options(plan, place, store_url, lab)
        # One after the other: Alembic migrates one store of a process at a time. The servers of
        # those that are ready start meanwhile.
        async with self._preparing:
            file = await asyncio.to_thread(self._prepare, plan, place, folder, options)
        ready = await server.start(plan.domain, file, folder / "server.log")
        return self._running(plan, server, ready)

    def _prepare(
        self, plan: DomainPlan, place: LabPlace, folder: Path, options: Mapping[str, Any]
    ) -> Path:
        """Write configuration and certificate, fill the store; give the configuration."""
        folder.mkdir(mode=0o700, exist_ok=True)
        file = folder / "zajil.toml"
        title = f"{plan.domain} in the lab; written anew at each start."
        write_configuration(file, options, self.options.overrides, title)
        names = [plan.hostname, plan.ascii_domain, "localhost"]
        own = dict.fromkeys([place.address, LOOPBACK])
        self._authority.certificate(certificate_files(folder), names, list(own))
        configuration = load_configuration(file)
        make_people(configuration, plan, self._passwords(plan))
        self._keys.add(plan.ascii_domain, configuration)
        return file

    def _running(
        self, plan: DomainPlan, server: DomainServer, ready: Mapping[str, Any]
    ) -> RunningDomain:
        services: dict[str, str] = {
            name: ready[name][0] for name in MAIL_SERVICES if ready.get(name)
        }
        web = ready.get(Service.WEB)
        return RunningDomain(
            plan=plan,
            server=server,
            services=services,
            # Passkeys refuse bare addresses: the name, though it is only 127.0.0.1.
            web=f"http://localhost:{web[0].rpartition(':')[2]}/" if web else None,
            pid=ready["pid"],
            passwords=self._passwords(plan),
        )

    def _passwords(self, plan: DomainPlan) -> dict[str, str]:
        return {who.login: self._state.password(who.password_name) for who in plan.accounts}


def _describe(running: RunningDomain) -> dict[str, Any]:
    plan = running.plan
    return {
        "domain": plan.domain,
        "ascii_domain": plan.ascii_domain,
        **running.services,
        **({Service.WEB: running.web} if running.web else {}),
        "config": str(running.server.configuration),
        "pid": running.pid,
        "accounts": [
            {
                "address": who.address.unicode,
                "login": who.login,
                "password": running.passwords[who.login],
                "admin": who.admin,
            }
            for who in plan.accounts
        ],
    }
