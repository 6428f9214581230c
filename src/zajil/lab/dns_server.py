"""The lab's name server: UDP and TCP on one loopback port, in the lab's own event loop."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterable
from typing import cast

from zajil.lab.dns_answer import FindText, Zones, answer_wire
from zajil.lab.zones import Zone

_IDLE_SECONDS = 10
"""RFC 7766 section 6.2.3: a server may close an idle TCP connection after seconds."""
_PORT_TRIES = 50


class DnsServer:
    """Answers for the zones until ``close``.

    ``start`` binds; whoever called it closes.
    """

    def __init__(self, zones: Iterable[Zone], find_key: FindText | None = None) -> None:
        self._zones = Zones(zones, find_key)
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self.address = ""
        """``127.0.0.1:PORT``, once started."""

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen on a port, the same for UDP and TCP; 0: any that is free."""
        stream, packets = _bind_both(host, port)
        loop = asyncio.get_running_loop()
        self._udp, _ = await loop.create_datagram_endpoint(
            lambda: _Packets(self._zones), sock=packets
        )
        self._tcp = await asyncio.start_server(self._serve_stream, sock=stream)
        self.address = f"{host}:{stream.getsockname()[1]}"

    async def close(self) -> None:
        """Stop listening; connections that are open end with their peer or the event loop."""
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()

    async def _serve_stream(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while True:
                async with asyncio.timeout(_IDLE_SECONDS):
                    # RFC 1035 section 4.2.2: two octets of length before each message.
                    size = int.from_bytes(await reader.readexactly(2), "big")
                    wire = await reader.readexactly(size)
                response = answer_wire(self._zones, wire, udp=False)
                if response is None:
                    return
                writer.write(len(response).to_bytes(2, "big") + response)
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


class _Packets(asyncio.DatagramProtocol):
    def __init__(self, zones: Zones) -> None:
        self._zones = zones
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        response = answer_wire(self._zones, data, udp=True)
        if response is not None and self._transport is not None:
            self._transport.sendto(response, addr)


def _bind_both(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    for _ in range(_PORT_TRIES):
        stream = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        packets = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            # Connections of an earlier lab that have just ended do not count.
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1 if port else 0)
            stream.bind((host, port))
            packets.bind((host, stream.getsockname()[1]))
        except OSError as error:
            stream.close()
            packets.close()
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return stream, packets
    raise OSError(errno.EADDRINUSE, f"no port of {host} is free for both UDP and TCP")
