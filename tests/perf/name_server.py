"""The name server that all compared servers ask: every answer is computed once.

Rspamd asks a dozen questions for each mail and has no cache of its own, because a resolver on the
same machine has one. So the answers must cost next to nothing here, or the benchmark would measure
this server.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from zajil.lab.dns_answer import Zones, answer_wire
from zajil.lab.zones import Record, Zone

_ZONE = Zone(
    "",
    (
        Record("", "SOA", "ns.test. postmaster.test. 1 1 1 1 3600"),
        Record("z.test", "MX", "10 mx.z.test."),
        Record("mx.z.test", "A", "127.0.0.1"),
    ),
)
_ID_SIZE = 2
_PACKET_SIZE = 4096
_MAX_CACHED = 100_000


@contextmanager
def running_name_server() -> Iterator[str]:
    """Answer queries in a thread: z.test exists, no other name does; yield ``HOST:PORT``."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=_answer, args=(sock,))
        thread.start()
        try:
            host, port = sock.getsockname()
            yield f"{host}:{port}"
        finally:
            # An empty packet ends the thread.
            sock.sendto(b"", sock.getsockname())
            thread.join()


def _answer(sock: socket.socket) -> None:
    zones = Zones([_ZONE], None)
    answers: dict[bytes, bytes] = {}
    while True:
        query, client = sock.recvfrom(_PACKET_SIZE)
        if not query:
            return
        question = query[_ID_SIZE:]
        answer = answers.get(question)
        if answer is None:
            response = answer_wire(zones, query, udp=True)
            if response is None:
                continue
            answer = response[_ID_SIZE:]
            if len(answers) < _MAX_CACHED:
                answers[question] = answer
        sock.sendto(query[:_ID_SIZE] + answer, client)
