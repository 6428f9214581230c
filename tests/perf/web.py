"""How long the pages of webmail take, and what they weigh, in a small and in a large mailbox.

``python tests/perf/web.py [--messages 2000,100000] [--rounds 5] [--keep FOLDER]``

One worker, one client with a connection for each page, on loopback without TLS. For each page: the
median and the longest of the rounds, from the request to the last byte of the response; the
processor time of the server for one of them, which other work on the machine changes less; and the
bytes of the HTML, compressed (gzip) and not. Each round opens other messages and searches for other
words, so no round repeats what the one before has read. (What a worker reads once and keeps was
read before.)
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the kit

from kit.certificates import TestAuthority
from kit.installation import Installation, serving
from kit.load import tree_cpu
from made_mailbox import RARE
from readers import set_up_filled
from report import machine_lines

SEARCHES = {
    "rare word": (RARE, "report-1234", "report-777", "report-4321", "report-52", "report-9999"),
    "common word": ("meeting", "التقرير", "invoice", "garden", "budget", "الفاتورة"),
    "two common words": (
        "invoice report",
        "السلام عليكم",
        "office water",
        "paper window",
        "travel hotel",
        "picture history",
    ),
    "three with OR": (
        "report OR invoice OR التقرير",
        "garden OR paper OR letter",
        "السفر OR التذكرة OR الفندق",
        "office OR water OR light",
        "team OR result OR server",
        "school OR teacher OR student",
    ),
    "from:": ("from:haddad", "from:miller", "from:layla", "from:omar", "from:sara", "from:brown"),
    "subject:": (
        "subject:budget",
        "subject:invoice",
        "subject:garden",
        "subject:العميل",
        "subject:hotel",
        "subject:music",
    ),
    "has:attachment": tuple(f"has:attachment after:{year}" for year in range(2019, 2025)),
    "before:": tuple(f"before:2022-0{month}-15" for month in range(1, 7)),
    "unread, starred": ("is:unread", "is:starred", "is:answered", "-is:read", "is:read", "is:new"),
    "combined": (
        "meeting from:miller before:2023",
        "invoice has:attachment is:unread",
        "السلام from:layla larger:4K",
        "subject:budget -report after:2021",
        '"annual report" from:sara',
        "budget review to:saleh -is:read",
    ),
}
"""A query for each round, and one for before."""


class Client:
    """A browser's connection, with its cookies."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._http = http.client.HTTPConnection(*address, timeout=600)
        self._cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, **form: str) -> tuple[http.client.HTTPResponse, bytes]:
        """Send a request; return the response and its body as it came."""
        headers = {
            "Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items()),
            "Accept-Encoding": "gzip",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        self._http.request(method, path, urlencode(form) if form else None, headers)
        response = self._http.getresponse()
        body = response.read()
        self._http.close()
        for one in response.headers.get_all("Set-Cookie") or []:
            name, _, value = one.partition(";")[0].partition("=")
            self._cookies[name] = value.strip('"')
        return response, body

    def log_in(self, login: str, password: str) -> str:
        """Log in by the form; return the address of the INBOX."""
        _, body = self.ask("GET", "/login")
        token = re.search(r'name="csrf" value="([0-9a-f]+)"', text_of(body))
        form = {"login": login, "password": password, "next": "/mail"}
        response, _ = self.ask("POST", "/login", csrf=token[1] if token else "", **form)
        if response.status != 303:
            raise RuntimeError(f"the log-in was answered by {response.status}")
        response, _ = self.ask("GET", "/mail")
        return str(response.headers["Location"])


def text_of(body: bytes) -> str:
    """Return the HTML of a response."""
    return (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).decode()


@dataclass(frozen=True, slots=True)
class Line:
    """What one page takes."""

    name: str
    median_ms: float
    longest_ms: float
    cpu_ms: float
    """Of the server, for one response."""
    compressed: int
    """Bytes."""
    plain: int
    """Bytes."""


def pages(inbox: str, count: int, rounds: int) -> dict[str, Callable[[int], str]]:
    """Return the address of each page by the number of its round."""

    def uid(number: int) -> int:
        return max(1, count - 1 - number * max(1, count // (rounds + 1)))

    return {
        "first page": lambda _number: inbox,
        "message": lambda number: f"{inbox}/{uid(number)}",
        **{f"search: {name}": _search(queries) for name, queries in SEARCHES.items()},
        "new message": lambda _number: "/compose",
        "reply": lambda number: f"/compose?reply={inbox.rpartition('/')[2]}.{uid(number)}",
        "account": lambda _number: "/account",
    }


def measure(server: Installation, count: int, rounds: int) -> Iterator[Line]:
    """Open each page so often, after one time that does not count."""
    client = Client(server.address("web"))
    inbox = client.log_in(server.login, server.password)
    for name, address in pages(inbox, count, rounds).items():
        client.ask("GET", address(rounds))
        taken, sizes = [], []
        before = tree_cpu([server.pid])
        for number in range(rounds):
            begin = time.perf_counter()
            response, body = client.ask("GET", address(number))
            taken.append((time.perf_counter() - begin) * 1000)
            if response.status != 200:
                raise RuntimeError(f"{address(number)} was answered by {response.status}")
            sizes.append((len(body), len(text_of(body).encode())))
        cpu = (tree_cpu([server.pid]) - before).total * 1000 / rounds
        compressed, plain = max(sizes)
        yield Line(name, statistics.median(taken), max(taken), cpu, compressed, plain)


def _search(queries: Sequence[str]) -> Callable[[int], str]:
    return lambda number: f"/search?q={quote(queries[number % len(queries)])}"


@contextmanager
def mailbox_folder(kept: Path | None) -> Iterator[Path]:
    """Give the folder of the filled mailboxes; what nobody keeps is removed."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
        return
    with tempfile.TemporaryDirectory(prefix="web-", dir="/var/tmp") as name:
        yield Path(name)


def main() -> int:
    """Fill, open, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--messages", default="2000,100000")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="keep the mailboxes here, and use them again")
    arguments = parser.parse_args()
    print("\n".join(machine_lines()))
    with mailbox_folder(arguments.keep) as folder:
        (folder / "tls").mkdir(exist_ok=True)
        tls = TestAuthority(folder / "tls").issue("mx.y.test")
        for count in map(int, arguments.messages.split(",")):
            made = set_up_filled(folder / f"zajil-{count}", count)
            print(f"\n{count} messages\n")
            print("| Page | median, ms | longest, ms | CPU, ms | gzip, kB | HTML, kB |")
            print("|---|---|---|---|---|---|")
            with serving(made, tls, workers=1) as server:
                for one in measure(server, count, arguments.rounds):
                    print(
                        f"| {one.name} | {one.median_ms:.0f} | {one.longest_ms:.0f} "
                        f"| {one.cpu_ms:.0f} | {one.compressed / 1000:.1f} "
                        f"| {one.plain / 1000:.1f} |",
                        flush=True,
                    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
