"""The probes of the network against real name servers and real ports."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from kit.name_servers import running_named
from kit.zone import ZoneResolver
from zajil.config.options import Configuration
from zajil.config.options_server import DnsOptions, ListenOptions, ServerOptions
from zajil.dns.flow import Resolve
from zajil.net.system import SystemClock
from zajil.operations.network_probes import (
    probe_dnssec,
    probe_listed,
    probe_lists,
    probe_name,
    probe_outwards,
)
from zajil.operations.probe import Probe, has_problem
from zajil.operations.probes import ProbeTargets, probe_all
from zajil.resolver.client import Resolver

T = TypeVar("T")
ZONES = {
    "mail.test": "@ MX 10 mx\nmx A 127.0.0.1",
    "here.test": "mx A 198.51.100.7\nother A 198.51.100.8\nnone A 198.51.100.9",
    "100.51.198.in-addr.arpa": "7 PTR mx.here.test.\n8 PTR host.isp.test.",
    "list.test": "2.0.0.127 A 127.0.0.2\n8.100.51.198 A 127.0.0.3",
    "refuses.test": "*.127 A 127.255.255.254\n2.0.0.127 A 127.255.255.254",
    "away.test": "@ TXT nothing",
}


@asynccontextmanager
async def resolver_for(nameserver: str) -> AsyncIterator[Resolver]:
    options = DnsOptions(nameservers=(nameserver,))
    resolver = Resolver(options, SystemClock(), os.urandom)
    try:
        yield resolver
    finally:
        await resolver.close()


def ask(folder: Path, work: Callable[[Resolve], Awaitable[T]]) -> T:
    """Run a probe with a resolver of a real BIND."""

    async def run(address: str) -> T:
        async with resolver_for(address) as resolver:
            return await work(resolver.resolve)

    with running_named(folder, ZONES) as server:
        return asyncio.run(run(server.address))


@pytest.mark.interop
def test_what_a_name_server_says(tmp_path: Path) -> None:
    async def work(resolve: Resolve) -> None:
        (good,) = await probe_name("mx.here.test", resolve)
        (other,) = await probe_name("other.here.test", resolve)
        (none,) = await probe_name("none.here.test", resolve)
        (absent,) = await probe_name("absent.here.test", resolve)
        assert [one.level for one in (good, other, none, absent)] == [
            "ok",
            "problem",
            "problem",
            "warning",
        ]
        assert str(other).startswith("The name of 198.51.100.8 is host.isp.test, not other.")
        lists = await probe_lists(["list.test", "refuses.test", "away.test"], resolve)
        assert [one.level for one in lists] == ["ok", "problem", "warning"]
        assert "public or shared" in str(lists[1])
        (listed,) = await probe_listed("other.here.test", ["list.test"], resolve)
        assert "198.51.100.8 is in the block list list.test (127.0.0.3)" in str(listed)
        (unlisted,) = await probe_listed("mx.here.test", ["list.test", "refuses.test"], resolve)
        assert unlisted.level == "ok"
        (unknown,) = await probe_listed("absent.here.test", ["list.test"], resolve)
        assert unknown.level == "skipped"
        assert (await probe_dnssec("mx.here.test", "other.here.test", resolve)).level == "warning"

    ask(tmp_path, work)


def test_a_mail_server_that_can_be_reached_and_one_that_cannot() -> None:
    resolver = ZoneResolver(
        {"mail.test": {"MX": ["10 mx.mail.test"]}, "mx.mail.test": {"A": ["127.0.0.1"]}}
    )

    async def greet(greeting: bytes) -> Probe:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(greeting)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        found = await probe_outwards("mail.test", resolver.resolve, port)
        server.close()
        await server.wait_closed()
        return found

    assert asyncio.run(greet(b"220 mx.mail.test ESMTP\r\n")).level == "ok"
    assert asyncio.run(greet(b"554 no\r\n")).level == "ok"
    assert "does not speak SMTP" in str(asyncio.run(greet(b"HTTP/1.1 400\r\n")))
    assert asyncio.run(greet(b"")).level == "problem"
    assert asyncio.run(greet(b"x" * 100_000)).level == "problem"
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    found = asyncio.run(probe_outwards("mail.test", resolver.resolve, port))
    assert found.level == "problem"
    assert "Many providers block port 25" in str(found)
    assert asyncio.run(probe_outwards("none.test", resolver.resolve)).level == "skipped"


def test_a_resolver_that_does_not_answer() -> None:
    broken = ZoneResolver({"signed.test": None}).resolve
    found = asyncio.run(probe_dnssec("signed.test", "bad.test", broken))
    assert (found.level, found.text) == ("problem", "The resolver does not answer: {reason}.")


def test_a_resolver_elsewhere_that_validates() -> None:
    remote = ZoneResolver({"signed.test": {"A": ["192.0.2.1"]}, "bad.test": None}).resolve
    found = asyncio.run(probe_dnssec("signed.test", "bad.test", remote))
    assert (found.level, "not on this machine" in str(found)) == ("warning", True)


def test_all_probes_run_without_a_network(tmp_path: Path) -> None:
    """Every question fails: findings, and nothing raises."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        configuration = Configuration(
            server=ServerOptions(hostname="mx.here.test", data_dir=tmp_path),
            listen=ListenOptions(
                smtp=(f"127.0.0.1:{port}",), submission=(), submissions=(), imap=(), imaps=(),
                pop3=(), pop3s=(), web=(), lmtp=("unix:/run/x",),
            ),
        )  # fmt: skip
        names = dict.fromkeys(
            ("mail.test", "mx.here.test", "signed.test", "bad.test", "2.0.0.127.list.test"), None
        )
        targets = ProbeTargets(
            mail_domain="mail.test", signed="signed.test", broken="bad.test", lists=("list.test",),
            date_url=None,
        )  # fmt: skip
        resolve = ZoneResolver(names).resolve
        found = asyncio.run(probe_all(configuration, tmp_path, resolve, targets))
        running = asyncio.run(probe_all(configuration, tmp_path, resolve, targets, is_running=True))
    assert has_problem(found)
    assert {one.name for one in found} >= {"Port 25 outwards", "Ports", "Disk", "Clock", "DNSSEC"}
    assert "Ports" not in {one.name for one in running}
    for one in found:
        assert "{" not in str(one)
