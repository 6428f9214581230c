"""The sockets of the lab's name server, asked by dnspython's own resolver."""

from __future__ import annotations

import asyncio
from ipaddress import IPv4Address

import dns.asyncquery
import dns.message

from zajil.lab.dns_server import DnsServer
from zajil.lab.zones import MailHost, lab_zones

HOST = MailHost("north.test", "mx.north.test", IPv4Address("127.1.0.1"))


def test_udp_and_tcp_share_a_port() -> None:
    async def ask() -> list[str]:
        server = DnsServer(lab_zones([HOST], IPv4Address("127.0.0.1")))
        await server.start()
        host, _, port = server.address.rpartition(":")
        query = dns.message.make_query("north.test", "MX")
        try:
            udp = await dns.asyncquery.udp(query, host, timeout=60, port=int(port))
            tcp = await dns.asyncquery.tcp(query, host, timeout=60, port=int(port))
        finally:
            await server.close()
        return [str(response.answer[0][0]) for response in (udp, tcp)]

    assert asyncio.run(ask()) == ["10 mx.north.test.", "10 mx.north.test."]
