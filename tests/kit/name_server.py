"""A small real name server in our own process, UDP and TCP on one port.

It answers as a test tells it, or from a ``Zone``. BIND, Unbound and PowerDNS are in
``kit.name_servers``.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from kit.zone import TTL_SECONDS, Zone, answer_from_zone
from zajil.dns.flow import Outcome, Question

Respond = Callable[[dns.message.QueryMessage, bool], list[bytes]]
"""Query, and whether it came by UDP, to the messages that go back; none: silence."""


class NameServer(asyncio.DatagramProtocol):
    """Counts what it was asked."""

    def __init__(self, respond: Respond) -> None:
        self._respond = respond
        self.udp_queries: list[dns.message.QueryMessage] = []
        self.tcp_queries: list[dns.message.QueryMessage] = []
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket that answers go out on."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        """Answer one query."""
        query = cast(dns.message.QueryMessage, dns.message.from_wire(data))
        self.udp_queries.append(query)
        for wire in self._respond(query, True):
            self._transport.sendto(wire, addr)

    async def serve_stream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer one query over TCP, then close."""
        size = int.from_bytes(await reader.readexactly(2), "big")
        query = dns.message.from_wire(await reader.readexactly(size))
        self.tcp_queries.append(cast(dns.message.QueryMessage, query))
        for wire in self._respond(self.tcp_queries[-1], False):
            writer.write(len(wire).to_bytes(2, "big") + wire)
        writer.close()


@asynccontextmanager
async def name_server(respond: Respond) -> AsyncIterator[NameServer]:
    """Run one on a free port of 127.0.0.1."""
    server = NameServer(respond)
    while True:
        stream = socket.create_server(("127.0.0.1", 0))
        packets = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            packets.bind(stream.getsockname())
            break
        except OSError:  # somebody has that UDP port
            stream.close()
            packets.close()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: server, sock=packets)
    tcp = await asyncio.start_server(server.serve_stream, sock=stream)
    server.address = f"127.0.0.1:{stream.getsockname()[1]}"
    try:
        yield server
    finally:
        transport.close()
        tcp.close()
        await tcp.wait_closed()


@contextmanager
def name_server_in_thread(respond: Respond) -> Iterator[str]:
    """Run one beside code that has a loop of its own; gives its address."""
    addresses: list[str] = []
    ready, done = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with name_server(respond) as server:
            addresses.append(server.address)
            ready.set()
            await done.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        ready.wait()
        yield addresses[0]
    finally:
        loop.call_soon_threadsafe(done.set)
        thread.join()
        loop.close()


@contextmanager
def zone_server(zone: Zone) -> Iterator[str]:
    """Answer from a zone, beside code that has a loop of its own; gives ``127.0.0.1:PORT``."""
    with name_server_in_thread(functools.partial(_answer_from, zone)) as address:
        yield address


def _answer_from(zone: Zone, query: dns.message.QueryMessage, _by_udp: bool) -> list[bytes]:
    response = dns.message.make_response(query)
    response.flags |= dns.flags.RA
    name, kind = query.question[0].name, query.question[0].rdtype
    asked = Question(name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(kind))
    found = answer_from_zone(zone, asked)
    if found.outcome is Outcome.FAILED:
        response.set_rcode(dns.rcode.SERVFAIL)
    elif found.outcome is Outcome.NO_NAME:
        response.set_rcode(dns.rcode.NXDOMAIN)
    elif found.outcome is Outcome.FOUND:
        texts = [_in_zone_file(asked.type, value) for value in found.values]
        response.answer.append(dns.rrset.from_text(name, TTL_SECONDS, "IN", asked.type, *texts))
    return [response.to_wire()]


def _in_zone_file(kind: str, value: str) -> str:
    if kind != "TXT":
        return value
    pieces = [value[at : at + 255] for at in range(0, len(value), 255)] or [""]
    return " ".join(
        '"{}"'.format("".join(c if c.isalnum() else f"\\{ord(c):03d}" for c in piece))
        for piece in pieces
    )
