"""Certificates are obtained from a real authority that rejects half of our nonces."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kit.clock import FakeClock
from kit.name_server import zone_server
from kit.name_servers import bind_with, free_port
from kit.pebble import EAB_KEY, EAB_KEY_ID, pebble
from kit.store import running
from kit.zone import Zone, ZoneResolver
from zajil.certificates.listing import tlsa_hashes
from zajil.certificates.order import Orders
from zajil.certificates.plan import OLD_ANSWERS_MS
from zajil.certificates.upkeep import CertificateUpkeep
from zajil.config.options import Configuration
from zajil.config.options_acme import AcmeOptions, DnsProviderOptions
from zajil.config.options_server import DnsOptions, ServerOptions
from zajil.net.system import SystemClock
from zajil.resolver.client import Resolver
from zajil.store.engine.open import Store
from zajil.store.people.certificates import (
    CertificateRow,
    find_challenge,
    list_certificates,
    load_acme_account,
    load_challenge_certificates,
    load_presented,
    request_renewal,
)
from zajil.store.people.domains import DomainRow, create_domain
from zajil.store.people.host_keys import HostKeyState, list_host_keys
from zajil.tls.certificate import DAY_MS, certificate_facts
from zajil.tls.context import CertificateAndKey
from zajil.tls.keeper import TlsKeeper
from zajil.tls.self_signed import make_self_signed

pytestmark = pytest.mark.interop

HOST, POLICY = "mail.x.test", "mta-sts.x.test"
HERE = {"A": ["127.0.0.1"]}


@pytest.fixture
def store_url() -> str:
    """One database is enough: the store has tests of its own."""
    return "sqlite"


def upkeep_of(
    store: Store,
    options: AcmeOptions,
    zone: Zone | Resolver,
    clock: FakeClock | SystemClock | None = None,
    provider: DnsProviderOptions | None = None,
) -> CertificateUpkeep:
    resolve = zone.resolve if isinstance(zone, Resolver) else ZoneResolver(zone).resolve
    clock = clock or SystemClock()
    orders = Orders(store, options, provider or DnsProviderOptions(), resolve, clock)
    return CertificateUpkeep(
        store,
        options,
        orders,
        resolve,
        clock,
        os.urandom,
        hostname=HOST,
        has_own=lambda name: False,
    )


@asynccontextmanager
async def answering_http(store: Store, port: int) -> AsyncIterator[None]:
    """Answer challenges from the store, as ``listen.http`` does."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        token = line.removeprefix("/.well-known/acme-challenge/")
        found = await store.read(lambda conn: find_challenge(conn, token)) or ""
        head = f"HTTP/1.1 {200 if found else 404} x\r\nContent-Length: {len(found)}\r\n\r\n"
        writer.write((head + found).encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port)
    async with server:
        yield


def rows_of(store: Store) -> dict[str, CertificateRow]:
    return {row.name: row for row in store.read_now(list_certificates)}


def run(store: Store, scenario: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with running(store):
            await scenario()

    asyncio.run(whole())


def test_names_that_fail_do_not_block_others(store: Store, tmp_path: Path) -> None:
    """HTTP-01: one name is refused, two lead elsewhere or nowhere, the others get certificates."""
    store.write_now(create_domain, DomainRow("x.test", 1))
    zone = {
        HOST: HERE,
        POLICY: HERE,
        "autoconfig.x.test": {"A": ["192.0.2.7"]},
        "refused.x.test": HERE,
    }
    port = free_port()
    # The authority finds the refused name at an address where nobody answers.
    seen_by_authority = {**zone, "refused.x.test": {"A": ["127.0.0.9"]}}
    with (
        zone_server(seen_by_authority) as server,
        pebble(tmp_path, server, http_port=port) as authority,
    ):
        options = authority.options(names=("refused.x.test",), contact="root@x.test")
        upkeep = upkeep_of(store, options, zone)

        async def scenario() -> None:
            async with answering_http(store, port):
                await upkeep.look()

        run(store, scenario)
    found = rows_of(store)
    for name in (HOST, POLICY):
        chain = found[name].chain
        assert chain is not None
        assert certificate_facts(chain).names == (name,)
        assert found[name].failures == 0
        assert found[name].renew_ms is not None
    refused = found["refused.x.test"]
    assert refused.chain is None
    assert refused.failures == 1
    assert "could not verify the name by http-01" in (refused.error or "")
    assert "192.0.2.7, which is not an address of" in (found["autoconfig.x.test"].waits_for or "")
    assert found["autodiscover.x.test"].waits_for == (
        "there is no A or AAAA record of autodiscover.x.test"
    )
    account = store.read_now(lambda conn: load_acme_account(conn, options.directory or ""))
    assert account is not None
    assert account.uri
    assert {one.name for one in store.read_now(load_presented)} == {HOST, POLICY}


def test_a_renewal_keeps_the_key_and_an_authority_that_is_away_costs_nothing(
    store: Store, tmp_path: Path
) -> None:
    port, zone = free_port(), {HOST: HERE}
    clock = FakeClock(SystemClock().now_ms())

    async def scenario() -> None:
        with zone_server(zone) as server, pebble(tmp_path, server, http_port=port) as authority:
            upkeep = upkeep_of(store, authority.options(), zone, clock)
            async with answering_http(store, port):
                await upkeep.look()
                first = rows_of(store)[HOST]
                await store.write(request_renewal, HOST)
                await upkeep.look()
                second = rows_of(store)[HOST]
        assert first.chain != second.chain
        assert first.key_hash == second.key_hash

        clock.advance((second.not_after_ms or 0) - clock.now_ms())
        for failures in (1, 2):
            await upkeep.look()
            row = rows_of(store)[HOST]
            assert (row.chain, row.failures) == (second.chain, failures)
            assert "cannot reach the authority" in (row.error or "")
            assert row.next_try_ms is not None
            assert row.next_try_ms - clock.now_ms() >= 300_000 * failures
            await upkeep.look()  # not before its time
            assert rows_of(store)[HOST].failures == failures
            clock.advance(row.next_try_ms - clock.now_ms())

    run(store, scenario)


def test_an_external_account_is_bound(store: Store, tmp_path: Path) -> None:
    """RFC 8555 section 7.3.4."""
    port, zone = free_port(), {HOST: HERE}
    with (
        zone_server(zone) as server,
        pebble(tmp_path, server, http_port=port, eab=True) as authority,
    ):

        async def scenario() -> None:
            async with answering_http(store, port):
                await upkeep_of(store, authority.options(), zone).look()
                row = rows_of(store)[HOST]
                assert "set acme.eab_key_id" in (row.error or "")
                await store.write(request_renewal, HOST)
                options = authority.options(eab_key_id=EAB_KEY_ID, eab_hmac_key=EAB_KEY)
                await upkeep_of(store, options, zone).look()

        run(store, scenario)
    assert rows_of(store)[HOST].chain is not None


def test_a_record_in_a_real_name_server_answers_dns_01(store: Store, tmp_path: Path) -> None:
    """Also for a wildcard."""
    (tmp_path / "bind").mkdir()
    with (
        bind_with(tmp_path / "bind", "x.test", "mail A 127.0.0.1") as zone,
        pebble(tmp_path, zone.address) as authority,
    ):
        dns = DnsOptions(nameservers=(zone.address,), cache_size=0)
        provider = DnsProviderOptions(name="rfc2136", options=zone.options)
        options = authority.options(challenge="dns-01", names=("*.x.test",))

        async def scenario() -> None:
            resolver = Resolver(dns, SystemClock(), os.urandom)
            await upkeep_of(store, options, resolver, None, provider).look()

        run(store, scenario)
    found = rows_of(store)
    assert {name: row.error for name, row in found.items()} == {HOST: None, "*.x.test": None}
    chain = found["*.x.test"].chain
    assert chain is not None
    assert certificate_facts(chain).names == ("*.x.test",)


def test_a_handshake_answers_tls_alpn_01(store: Store, tmp_path: Path) -> None:
    """RFC 8737; other clients get the certificate in use meanwhile."""
    zone = {HOST: HERE}
    keeper = TlsKeeper([], hostname=HOST, fallback=make_self_signed((HOST,), 0))
    seen: list[bool] = []

    def handshake(sock: socket.socket) -> None:
        """Do what HTTPS does with the first bytes of a client."""
        with sock:
            sock.settimeout(30)
            hello = sock.recv(4096, socket.MSG_PEEK)
            challenges = store.read_now(load_challenge_certificates)
            keeper.answer(
                {one.name: CertificateAndKey(one.chain, one.private_key) for one in challenges}
            )
            context = keeper.web_context_for(hello)
            seen.append(context is not keeper.web_context)
            with context.wrap_socket(sock, server_side=True) as tls:
                tls.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with zone_server(zone) as server, pebble(tmp_path, server, tls_port=port) as authority:
            options = authority.options(challenge="tls-alpn-01")

            async def scenario() -> None:
                look = asyncio.create_task(upkeep_of(store, options, zone).look())
                for _ in range(3):  # it looks from three sides
                    sock, _ = await asyncio.to_thread(listener.accept)
                    await asyncio.to_thread(handshake, sock)
                await look

            run(store, scenario)
    assert rows_of(store)[HOST].error is None
    assert rows_of(store)[HOST].chain is not None
    assert seen == [True] * 3
    assert store.read_now(load_challenge_certificates) == []


def test_a_key_is_replaced_when_its_record_was_seen_long_enough(
    store: Store, tmp_path: Path
) -> None:
    """RFC 7671 section 8.1: publish, wait, change; the hashes to publish are told meanwhile."""
    port = free_port()
    server_options = ServerOptions(hostname=HOST, data_dir=tmp_path)
    zone: dict[str, dict[str, list[str]]] = {HOST: {"A": ["127.0.0.1"]}}
    tlsa = f"_25._tcp.{HOST}"
    with zone_server(zone) as server, pebble(tmp_path, server, http_port=port) as authority:
        options = authority.options(key_lifetime_ms=DAY_MS)
        configuration = Configuration(server=server_options, acme=options)
        clock = FakeClock(SystemClock().now_ms())
        upkeep = upkeep_of(store, options, zone, clock)

        def hashes() -> tuple[str, ...]:
            return store.read_now(lambda conn: tlsa_hashes(conn, configuration))

        def states() -> list[str]:
            keys = store.read_now(lambda conn: list_host_keys(conn, HOST))
            return [key.state.value for key in keys]

        async def scenario() -> None:
            async with answering_http(store, port):
                await upkeep.look()
                [old] = hashes()
                zone[tlsa] = {"TLSA": [f"3 1 1 {old}"]}
                clock.advance(DAY_MS)
                await upkeep.look()
                assert hashes()[0] == old
                [new] = hashes()[1:]
                assert states() == ["active", "next"]
                clock.advance(DAY_MS)
                await upkeep.look()  # its record is missing
                assert rows_of(store)[HOST].key_hash == old
                zone[tlsa]["TLSA"].append(f"3 1 1 {new.upper()}")
                await upkeep.look()
                clock.advance(OLD_ANSWERS_MS - 1)
                await upkeep.look()  # others may still have the answer from before
                assert rows_of(store)[HOST].key_hash == old
                clock.advance(1)
                await upkeep.look()
                row = rows_of(store)[HOST]
                assert (row.key_hash, row.error) == (new, None)
                assert hashes() == (new,)

        run(store, scenario)


def test_where_dns_has_no_tlsa_record_a_new_key_is_used_at_once(
    store: Store, tmp_path: Path
) -> None:
    port, zone = free_port(), {HOST: HERE}
    with zone_server(zone) as server, pebble(tmp_path, server, http_port=port) as authority:
        options = authority.options(key_lifetime_ms=DAY_MS)
        clock = FakeClock(SystemClock().now_ms())
        upkeep = upkeep_of(store, options, zone, clock)

        async def scenario() -> None:
            async with answering_http(store, port):
                await upkeep.look()
                old = rows_of(store)[HOST].key_hash
                clock.advance(DAY_MS)
                await upkeep.look()
                row = rows_of(store)[HOST]
                assert (row.key_hash != old, row.error) == (True, None)
                clock.advance(2 * DAY_MS)
                await upkeep.look()
                keys = store.read_now(lambda conn: list_host_keys(conn, HOST))
                assert HostKeyState.ACTIVE in {key.state for key in keys}
                assert old not in {key.key_hash for key in keys}

        run(store, scenario)
