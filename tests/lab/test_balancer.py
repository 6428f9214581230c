"""The balancer of the lab: who gets connections, and what a node learns of the peer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address

import pytest

from zajil.lab.addresses import node_addresses
from zajil.lab.balancer import BalancedNode, Balancer
from zajil.net.proxy_header import parse_proxy_header

SECONDS = 60


@dataclass
class Node:
    """A node of the tests: repeats what it gets, after its name."""

    name: str
    has_header: bool
    status: int = 200
    headers: list[bytes] = field(default_factory=list)
    servers: list[asyncio.Server] = field(default_factory=list)

    async def start(self) -> BalancedNode:
        echo = await asyncio.start_server(self._echo, "127.0.0.1", 0)
        ready = await asyncio.start_server(self._ready, "127.0.0.1", 0)
        self.servers = [echo, ready]
        places = [server.sockets[0].getsockname() for server in self.servers]
        return BalancedNode(self.name, {"echo": places[0]}, places[1])

    def stop(self) -> None:
        for server in self.servers:
            server.close()

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.has_header:
            self.headers.append(await reader.readline())
        writer.write(self.name.encode() + b"\n")
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()
        writer.close()

    async def _ready(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 {self.status} Said\r\n\r\n".encode())
        writer.close()


@dataclass
class Balanced:
    """A balancer that runs."""

    balancer: Balancer
    nodes: list[Node]
    changes: asyncio.Queue[tuple[str, bool]]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        (server,) = self.balancer._servers
        return await asyncio.open_connection(*server.sockets[0].getsockname())

    async def name(self) -> str:
        """Connect, and give the name of the node that answers."""
        reader, writer = await self.connect()
        line = await asyncio.wait_for(reader.readline(), SECONDS)
        writer.close()
        return line.decode().strip()


@asynccontextmanager
async def balanced(source: IPv4Address | None = None) -> AsyncIterator[Balanced]:
    changes: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()
    nodes = [Node(name, source is not None) for name in ("a", "b", "c")]
    async with AsyncExitStack() as stack:
        known = []
        for node in nodes:
            stack.callback(node.stop)
            known.append(await node.start())
        balancer = Balancer(known, source, lambda *change: changes.put_nowait(change))
        stack.push_async_callback(balancer.close)
        await balancer.start({"echo": ("127.0.0.1", 0)}, headerless=frozenset())
        yield Balanced(balancer, nodes, changes)


def test_nodes_in_turn() -> None:
    async def look() -> None:
        async with balanced() as lab:
            names = [await lab.name() for _ in range(6)]
            assert sorted(names[:3]) == ["a", "b", "c"]
            assert names[:3] == names[3:]

    asyncio.run(look())


def test_bytes_pass_both_ways_and_so_does_their_end() -> None:
    data = bytes(range(256)) * 8192

    async def look() -> None:
        async with balanced() as lab:
            reader, writer = await lab.connect()
            writer.write(data)
            writer.write_eof()
            got = await asyncio.wait_for(reader.read(), SECONDS)
            assert got[2:] == data
            writer.close()

    asyncio.run(look())


def test_a_node_learns_the_address_of_the_peer() -> None:
    addresses = node_addresses(1)
    if addresses is None:
        pytest.skip("this system has only 127.0.0.1")

    async def look() -> None:
        async with balanced(addresses[-1]) as lab:
            reader, writer = await lab.connect()
            await asyncio.wait_for(reader.readline(), SECONDS)
            (header,) = [line for node in lab.nodes for line in node.headers]
            parsed = parse_proxy_header(header)
            assert parsed is not None
            assert parsed.source == writer.get_extra_info("sockname")[:2]
            assert parsed.target == writer.get_extra_info("peername")[:2]
            writer.close()

    asyncio.run(look())


def test_a_node_that_is_not_ready_keeps_what_is_open_and_gets_nothing_new() -> None:
    async def look() -> None:
        async with balanced() as lab:
            ends = [await lab.connect() for _ in lab.nodes]
            lab.nodes[1].status = 503
            await look_until(lab, lambda: not lab.balancer.nodes[1].is_in)
            assert {await lab.name() for _ in range(4)} == {"a", "c"}
            for reader, writer in ends:
                await asyncio.wait_for(reader.readline(), SECONDS)
                writer.write(b"still here\n")
                assert await asyncio.wait_for(reader.readline(), SECONDS) == b"still here\n"
                writer.close()
            lab.nodes[1].status = 200
            await look_until(lab, lambda: lab.balancer.nodes[1].is_in)
            assert {await lab.name() for _ in range(3)} == {"a", "b", "c"}

    asyncio.run(look())


def test_a_node_that_is_gone_loses_what_is_open() -> None:
    async def look() -> None:
        async with balanced() as lab:
            ends = [await lab.connect() for _ in lab.nodes]
            lines = [await asyncio.wait_for(reader.readline(), SECONDS) for reader, _ in ends]
            reader, _ = ends[lines.index(b"b\n")]
            lab.nodes[1].stop()
            assert {await lab.name() for _ in range(4)} == {"a", "c"}
            await look_until(lab, reader.at_eof)
            for _, writer in ends:
                writer.close()

    asyncio.run(look())


def test_without_a_node_the_peer_is_sent_away() -> None:
    async def look() -> None:
        async with balanced() as lab:
            for node in lab.nodes:
                node.stop()
            assert await lab.name() == ""

    asyncio.run(look())


async def look_until(lab: Balanced, is_so: Callable[[], bool]) -> None:
    """Look at the nodes as the balancer does each second, until something is so."""
    async with asyncio.timeout(SECONDS):
        while not is_so():
            for node in lab.balancer.nodes:
                await node.look()
            await asyncio.sleep(0)
