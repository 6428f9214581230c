"""A zone on a real UDP port, in a thread: for commands, which have an event loop of their own."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from kit.zone import TTL_SECONDS, Zone, answer_from_zone
from zajil.dns.flow import Outcome, Question


@contextmanager
def zone_server(zone: Zone) -> Iterator[str]:
    """Answer from a zone on a free port of 127.0.0.1; gives ``127.0.0.1:PORT``."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as packets:
        packets.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=_serve, args=(packets, zone))
        thread.start()
        address = packets.getsockname()
        try:
            yield f"127.0.0.1:{address[1]}"
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
                end.sendto(b"", address)
            thread.join()


def _serve(packets: socket.socket, zone: Zone) -> None:
    while True:
        data, address = packets.recvfrom(65_535)
        if not data:
            return
        packets.sendto(_answer(zone, data), address)


def _answer(zone: Zone, data: bytes) -> bytes:
    query = dns.message.from_wire(data)
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
    return response.to_wire()


def _in_zone_file(kind: str, value: str) -> str:
    if kind != "TXT":
        return value
    pieces = [value[at : at + 255] for at in range(0, len(value), 255)] or [""]
    return " ".join(
        '"{}"'.format("".join(c if c.isalnum() else f"\\{ord(c):03d}" for c in piece))
        for piece in pieces
    )
