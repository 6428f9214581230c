"""How much memory an idle connection takes, SMTP or IMAP, and how fast a further one is greeted.

``python tests/perf/idle.py [--connections 5000] [--probes 1000]``

One worker. Idle means: EHLO was said, and nothing after it; with TLS, the second EHLO; in IMAP, the
greeting came, or the client has logged in, selected INBOX and waits in IDLE. The figures are the
growth of the proportional and the resident set (PSS, RSS of proc(5)) of the server's processes for
each connection. The buffers of the kernel are not in it; an idle socket has hardly any.
"""

from __future__ import annotations

import argparse
import resource
import socket
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the kit

from kit.certificates import TestAuthority
from kit.installation import Installation
from kit.load import descendants
from peers import Place, installation

_WAYS = {
    "plain": "smtp",
    "STARTTLS": "smtp",
    "TLS from the first byte": "submissions",
    "IMAP plain": "imap",
    "IMAP in IDLE": "imaps",
}
_TLS_FIRST = ("submissions", "imaps")
_SERVICES = ("smtp", "submission", "submissions", "imap", "imaps")
_WARM_UP = 1000
"""Connections held already before the first look: they fill what lay free after the start."""
_PER_SOURCE = 10_000
"""Connections from one address; beyond, its ports may run out."""
_SPARE_FILES = 500
_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Memory:
    """Of all processes of the server, in KiB."""

    pss: int
    rss: int


def memory(pids: list[int]) -> Memory:
    """Give what they take now."""
    found = {"Pss": 0, "Rss": 0}
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in found:
                found[name] += int(value.split()[0])
    return Memory(found["Pss"], found["Rss"])


class Client:
    """One connection that becomes idle."""

    tag = ""
    goodbye = "QUIT"

    def __init__(self, address: tuple[str, int], number: int, tls: ssl.SSLContext | None) -> None:
        source = f"127.0.0.{2 + number // _PER_SOURCE}"
        self.sock: socket.socket = socket.create_connection(address, _SECONDS, (source, 0))
        if tls is not None:
            self.encrypt(tls)
        self._reply()

    def encrypt(self, tls: ssl.SSLContext) -> None:
        """Shake hands."""
        self.sock = tls.wrap_socket(self.sock)

    def say(self, line: str) -> None:
        """Send a command, and read the reply, which must not be a refusal."""
        self.sock.sendall(f"{self.tag}{line}\r\n".encode())
        self._reply()

    def prove(self) -> None:
        """Show that the connection is still open."""
        self.say("NOOP")

    def _reply(self) -> None:
        data = b""
        while not self._is_whole(data):
            part = self.sock.recv(4096)
            data += part
            if not part or self._is_refusal(data):
                raise RuntimeError(f"the server said {data!r}")

    def _is_whole(self, data: bytes) -> bool:
        return data.endswith(b"\r\n") and data[data.rfind(b"\n", 0, -1) + 1 :][3:4] == b" "

    def _is_refusal(self, data: bytes) -> bool:
        return not data.startswith(b"2")


class ImapClient(Client):
    """One that speaks IMAP."""

    tag = "a "
    goodbye = "LOGOUT"
    idling = False

    def idle(self) -> None:
        """Select INBOX and begin IDLE."""
        self.say("SELECT INBOX")
        self.say("IDLE")
        self.idling = True

    def prove(self) -> None:
        """Show that the connection is still open."""
        if self.idling:
            self.tag = ""
            self.say("DONE")
        else:
            super().prove()

    def _is_whole(self, data: bytes) -> bool:
        last = data[data.rfind(b"\n", 0, -1) + 1 :]
        is_greeting = data.startswith(b"* OK ") and data.count(b"\n") == 1
        return data.endswith(b"\r\n") and (is_greeting or last.startswith((b"a OK ", b"+ ")))

    def _is_refusal(self, data: bytes) -> bool:
        return b"a NO" in data or b"a BAD" in data or b"* BYE" in data


def first_client(ours: Installation, way: str, number: int, tls: ssl.SSLContext) -> Client:
    """Connect in one of the ways; the greeting has come."""
    service = _WAYS[way]
    kind = ImapClient if service.startswith("imap") else Client
    return kind(ours.address(service), number, tls if service in _TLS_FIRST else None)


def connect(ours: Installation, way: str, number: int, tls: ssl.SSLContext) -> Client:
    """Connect in one of the ways, and say what comes before the connection is idle."""
    client = first_client(ours, way, number, tls)
    if isinstance(client, ImapClient):
        if way == "IMAP in IDLE":
            client.say(f"LOGIN {ours.login} {ours.password}")
            client.idle()
        return client
    client.say("EHLO client.x.test")
    if way == "STARTTLS":
        client.say("STARTTLS")
        client.encrypt(tls)
        client.say("EHLO client.x.test")
    return client


@contextmanager
def idle(ours: Installation, way: str, numbers: range, tls: ssl.SSLContext) -> Iterator[None]:
    """Hold so many idle connections, and see at the end that they were still there."""
    clients = []
    with ExitStack() as stack:
        for number in numbers:
            clients.append(connect(ours, way, number, tls))
            stack.enter_context(clients[-1].sock)
        yield
        for client in clients:
            client.prove()


def greeted_ms(ours: Installation, way: str, count: int, tls: ssl.SSLContext) -> list[float]:
    """Give the milliseconds from connect to greeting of further connections, one at a time."""
    taken = []
    for _ in range(count):
        begin = time.perf_counter()
        client = first_client(ours, way, 0, tls)
        taken.append((time.perf_counter() - begin) * 1000)
        client.sock.sendall(f"{client.tag}{client.goodbye}\r\n".encode())
        client.sock.close()
    return taken


def measure(ours: Installation, way: str, count: int, probes: int, tls: ssl.SSLContext) -> str:
    """Measure one way; give its row of the table."""
    pids = descendants([ours.pid])
    with idle(ours, way, range(_WARM_UP), tls):
        before = memory(pids)
        with idle(ours, way, range(_WARM_UP, _WARM_UP + count), tls):
            after = memory(pids)
            taken = statistics.quantiles(greeted_ms(ours, way, probes, tls), n=100)
    pss, rss = (after.pss - before.pss) / count, (after.rss - before.rss) / count
    return f"| {way} | {count} | {pss:.1f} | {rss:.1f} | {taken[49]:.2f} | {taken[98]:.2f} |"


def allow_files(count: int) -> None:
    """Raise our limit of open files, which the server inherits.

    Raises:
        SystemExit: the hard limit is too low.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + _WARM_UP + _SPARE_FILES
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise SystemExit(f"{wanted} open files are needed: raise the hard limit (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def main() -> int:
    """Measure every way, each in a server of its own; give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--connections", type=int, default=5000)
    parser.add_argument("--probes", type=int, default=1000)
    parser.add_argument("--way", choices=_WAYS, action="append")
    arguments = parser.parse_args()
    allow_files(arguments.connections)
    client_tls = ssl.create_default_context()
    client_tls.check_hostname, client_tls.verify_mode = False, ssl.CERT_NONE  # loopback
    settings = [
        f"limits.sessions={arguments.connections + _WARM_UP + _SPARE_FILES}",
        "limits.idle=1h",
    ]
    print("| way | connections | PSS KiB each | RSS KiB each | greeting p50 ms | p99 ms |")
    print("|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory(prefix="zajil-idle-") as name:
        tls = TestAuthority(Path(name)).issue("mx.y.test")
        for number, way in enumerate(arguments.way or _WAYS):
            place = Place(Path(name) / f"zajil-{number}", tls)
            # Or the caps of all services ask for more files than many a system allows.
            others = [f"listen.{one}=[]" for one in _SERVICES if one != _WAYS[way]]
            with installation(place, *settings, *others, workers=1) as ours:
                row = measure(ours, way, arguments.connections, arguments.probes, client_tls)
            print(row, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
