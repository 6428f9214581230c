"""Clients of three nodes on the same mailboxes: what the nodes tell them never contradicts.

``./test slow`` runs it longer, with real servers and mail that arrives meanwhile.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from kit.fault_ledger import Ledger
from kit.fault_senders import Sender
from kit.fault_world import fault_world
from kit.imap import PASSWORD, imap_place, make_reader
from kit.imap_stress import StressClient
from kit.imap_world import World
from kit.store import PostgresServer, open_test_store, running

LOGIN = "a1"
MAILBOXES = ("first", "second")
CLIENTS = ((), ("CONDSTORE",), ("QRESYNC",), ("QRESYNC",), ("IMAP4REV2",), ("QRESYNC",))


async def stress(ports: Sequence[int], context: ssl.SSLContext, seed: int, steps: int) -> None:
    """Let clients work, each at another port, and compare at the end what they believe.

    Args:
        ports: of IMAP with TLS, one for each node.
        context: of the clients.
        seed: of all that they do.
        steps: of each client.
    """
    chance = random.Random(seed)
    worlds = {name: World() for name in MAILBOXES}
    clients = []
    for number, extensions in enumerate(CLIENTS):
        part = random.Random(chance.random())
        client = StressClient(worlds["first"], number, extensions, part)
        await client.connect(ports[number % len(ports)], context, LOGIN, PASSWORD)
        client.others = MAILBOXES
        clients.append(client)
    for name in MAILBOXES:
        await clients[0].command(f"CREATE {name}")

    async def work(client: StressClient) -> None:
        name = client.chance.choice(MAILBOXES)
        await client.go(name, worlds[name])
        for _ in range(steps):
            if client.chance.random() < 0.04:
                name = client.chance.choice(MAILBOXES)
                await client.go(name, worlds[name])
            await client.step(name)

    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(work(client))
    for name, world in worlds.items():
        believed = []
        for client in clients:
            await client.go(name, world)
            believed.append(await client.see_all())
        for client, one in zip(clients, believed, strict=True):
            assert one == believed[0], f"{name}: client {client.number} {client.extensions}"
    for client in clients:
        await client.close()


@pytest.mark.parametrize("seed", [1])
def test_nodes_of_one_process(seed: int, postgres: PostgresServer, tmp_path: Path) -> None:
    async def look(url: str) -> None:
        async with AsyncExitStack() as stack:
            places = []
            for number in range(3):
                folder = tmp_path / f"node{number}"
                folder.mkdir()
                store = open_test_store(url, folder / "data", 0)
                if number == 0:
                    make_reader(store, f"{LOGIN}@y.test")
                await stack.enter_async_context(running(store))
                places.append(await stack.enter_async_context(imap_place(store, folder)))
            context = places[0].client_tls
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            await stress([place.tls_port for place in places], context, seed, 15)

    with postgres.lent_url() as url:
        asyncio.run(look(url))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_nodes_for_long(tmp_path: Path) -> None:
    async def look() -> None:
        chance, ledger = random.Random(7), Ledger()
        async with fault_world(tmp_path, chance, objects=False) as world:
            ending = asyncio.Event()
            senders = [
                asyncio.create_task(
                    Sender(world, ledger, f"s{number}", chance, submits=False).run(ending)
                )
                for number in range(2)
            ]
            try:
                ports = [node.services["imaps"][1] for node in world.nodes]
                for seed in range(1, 11):
                    await stress(ports, world.tls, seed, 100)
            finally:
                ending.set()
                await asyncio.gather(*senders)

    asyncio.run(look())
