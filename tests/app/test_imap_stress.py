"""Many clients, two worker processes, one mailbox: what the server tells them never contradicts.

``./test slow`` runs it longer, with more seeds.
"""

from __future__ import annotations

import asyncio
import random
import re
import ssl
from pathlib import Path

import pytest

from kit.certificates import TestAuthority
from kit.imap_stress import StressClient
from kit.imap_world import World
from kit.installation import Installation, running_installation

CLIENTS = ((), (), ("CONDSTORE",), ("QRESYNC",), ("QRESYNC",), ("IMAP4REV2",), ("UTF8=ACCEPT",))


async def _stress(ours: Installation, seed: int, steps: int, context: ssl.SSLContext) -> None:
    chance = random.Random(seed)
    world = World()
    port = ours.address("imaps")[1]

    async def start(number: int, extensions: tuple[str, ...]) -> StressClient:
        client = StressClient(world, number, extensions, random.Random(chance.random()))
        await client.connect(port, context, ours.login, ours.password)
        return client

    first = await start(0, ())
    words = {word.upper() for word in await _capabilities(first)}
    await first.command("CREATE stress")
    clients = [first]
    for number, extensions in enumerate(CLIENTS, 1):
        if words.issuperset(extensions):
            clients.append(await start(number, extensions))
    for client in clients:
        await client.select("stress")

    async def work(client: StressClient) -> None:
        for _ in range(steps):
            await client.step("stress")

    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(work(client))
    await first.select("stress")
    truth = await first.see_all()
    for client in clients[1:]:
        believed = await client.see_all()
        assert believed == truth, f"client {client.number} {client.extensions}"
    for client in clients:
        await client.close()


async def _capabilities(client: StressClient) -> list[str]:
    start = len(client.log)
    await client.ok("CAPABILITY")
    line = next(line for line in client.log[start:] if line.startswith(b"* CAPABILITY"))
    return line.decode().split()[2:]


def _run(folder: Path, seeds: range, steps: int) -> None:
    (folder / "tls").mkdir()
    authority = TestAuthority(folder / "tls")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    log = folder / "log"
    with running_installation(folder / "zajil", authority.issue("mx.y.test"), log=log) as ours:
        for seed in seeds:
            asyncio.run(_stress(ours, seed, steps, context))
    assert not re.search(r"Traceback| error ", log.read_text()), log.read_text()[-3000:]


@pytest.mark.timeout(300)
def test_clients_are_told_nothing_that_contradicts(tmp_path: Path) -> None:
    _run(tmp_path, range(1), 40)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_clients_are_told_nothing_that_contradicts_for_long(tmp_path: Path) -> None:
    _run(tmp_path, range(1, 11), 200)
