"""Zajil beside Dovecot (Maildir and mdbox): what a client of a large mailbox waits for.

``python tests/perf/reading.py [--messages 100000] [--rounds 5] [--keep FOLDER] [--only NAME,...]``

Each server has the same messages in INBOX (``made_mailbox.py``) and serves IMAP and POP3 with TLS
from the first byte. For every line of the table each server in turn does the same; the first time
in a newly started server is *cold* (Dovecot has no index or cache file of the mailbox yet), the
median of the others is *warm*. The ratio is our time to that of the quicker Dovecot: below 1 we
are faster. CPU is the server's alone. ``--keep`` keeps the filled servers for the next time.

``--idle N`` measures how long N clients in IDLE wait for the news of an APPEND.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the kit

from kit.certificates import TestAuthority
from kit.load import tree_cpu
from made_mailbox import RARE, made_messages
from raw_client import RawImap, RawPop3, insecure_context
from readers import Reader, Running, dovecot_maildir, dovecot_mdbox, zajil
from report import machine_lines, speed_line

_MANY = 10_000
_FEW = 2_000
_APPENDS = 100
_CHANGES = 1_000
_FIELDS = b"BODY.PEEK[HEADER.FIELDS (DATE FROM TO SUBJECT MESSAGE-ID)]"


@dataclass(frozen=True, slots=True)
class Taken:
    """One measurement."""

    seconds: float
    cpu: float
    """Seconds of the server's processes."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table."""

    name: str
    do: Callable[[Place], None]
    prepare: Callable[[Place], None] = lambda place: None
    """Before each measurement; not measured."""


class Place:
    """A server that runs, with a client that has logged in and selected INBOX."""

    def __init__(self, running: Running, messages: int) -> None:
        self.running = running
        self.messages = messages
        self.many = min(_MANY, messages)
        self.context = insecure_context()
        self.imap = self.connect()
        self.token = ""
        self.select()

    def connect(self) -> RawImap:
        """Return a further client that has logged in."""
        imap = RawImap(self.running.imaps, self.context)
        imap.log_in(self.running.login, self.running.password)
        return imap

    def select(self) -> bytes:
        """Select INBOX."""
        return self.imap.command(b"SELECT INBOX")


def _says(command: str) -> Callable[[Place], None]:
    def do(place: Place) -> None:
        place.imap.command(command.replace("MANY", str(place.many)).encode())

    return do


def _log_in(place: Place) -> None:
    for _ in range(20):
        place.connect().close()


def _append(place: Place) -> None:
    for one in made_messages(_APPENDS):
        place.imap.send(b"a APPEND Other {%d}\r\n" % len(one.data))
        place.imap.read_until(b"\r\n")
        place.imap.send(one.data + b"\r\n")
        place.imap.finish(b"a")


def _append_ahead(place: Place) -> None:
    messages = list(made_messages(_APPENDS))
    data = [
        b"b%d APPEND Other {%d+}\r\n%b\r\n" % (number, len(one.data), one.data)
        for number, one in enumerate(messages)
    ]
    place.imap.send(b"".join(data))
    place.imap.finish(b"b%d" % (len(messages) - 1))


def _other(place: Place) -> None:
    """Make an empty mailbox."""
    place.select()
    if b"Other" in place.imap.command(b'LIST "" Other'):
        place.imap.command(b"DELETE Other")
    place.imap.command(b"CREATE Other")


def _leave(place: Place) -> None:
    """Select another mailbox."""
    _other(place)
    place.imap.command(b"SELECT Other")


def _to_expunge(place: Place) -> None:
    _other(place)
    place.imap.command(b"COPY 1:%d Other" % place.many)
    place.imap.command(b"SELECT Other")
    place.imap.command(b"STORE 1:* +FLAGS.SILENT (\\Deleted)")


def _expunge(place: Place) -> None:
    place.imap.command(b"EXPUNGE")


def _changes(place: Place) -> None:
    """Note where the mailbox stands, then change a thousand messages."""
    place.imap.command(b"ENABLE QRESYNC")
    said = place.select()
    validity = re.search(rb"UIDVALIDITY (\d+)", said)
    modseq = re.search(rb"HIGHESTMODSEQ (\d+)", said)
    if validity is None or modseq is None:
        raise RuntimeError("no QRESYNC")
    place.token = f"{validity[1].decode()} {modseq[1].decode()}"
    step = max(1, place.messages // _CHANGES)
    some = ",".join(str(number) for number in range(1, place.messages + 1, step))
    flag = "\\Flagged"
    place.imap.command(f"STORE {some} -FLAGS.SILENT ({flag})".encode())
    place.imap.command(f"STORE {some} +FLAGS.SILENT ({flag})".encode())
    place.imap.command(b"UNSELECT")


def _resynchronize(place: Place) -> None:
    place.imap.command(f"SELECT INBOX (QRESYNC ({place.token}))".encode())


def _pop3(ahead: int) -> Callable[[Place], None]:
    def do(place: Place) -> None:
        if place.running.pop3s is None:
            raise RuntimeError("no POP3")
        client = RawPop3(place.running.pop3s, place.context)
        client.log_in(place.running.login, place.running.password)
        client.line(b"STAT")
        client.download(1, place.many, ahead)
        client.close()

    return do


LINES = [
    Line("20 log-ins", _log_in),
    Line("SELECT", _says("SELECT INBOX")),
    Line("STATUS", _says("STATUS INBOX (MESSAGES UNSEEN UIDNEXT)"), _leave),
    Line("FETCH 1:* (UID FLAGS)", _says("FETCH 1:* (UID FLAGS)")),
    Line("FETCH 1:* ENVELOPE", _says("FETCH 1:* (ENVELOPE)")),
    Line("FETCH 1:* BODYSTRUCTURE", _says("FETCH 1:* (BODYSTRUCTURE)")),
    Line("FETCH 1:* size and date", _says("FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)")),
    Line("FETCH 1:* five fields", _says(f"FETCH 1:* (UID {_FIELDS.decode()})")),
    Line("download of 10,000", _says("FETCH 1:MANY (BODY.PEEK[])")),
    Line("SEARCH UNSEEN", _says("SEARCH UNSEEN")),
    Line("SEARCH SINCE", _says("SEARCH SINCE 1-Jan-2021")),
    Line("SEARCH SENTSINCE", _says("SEARCH SENTSINCE 1-Jan-2021")),
    Line("SEARCH FROM", _says("SEARCH FROM mansour")),
    Line("SEARCH SUBJECT", _says("SEARCH SUBJECT invoice")),
    Line("SEARCH HEADER", _says("SEARCH HEADER Message-ID 77")),
    Line("SEARCH TEXT, rare", _says(f"SEARCH TEXT {RARE}")),
    Line("SEARCH TEXT, common", _says("SEARCH TEXT invoice")),
    Line("SORT DATE", _says("SORT (DATE) UTF-8 ALL")),
    Line("SORT SUBJECT", _says("SORT (SUBJECT) UTF-8 ALL")),
    Line("THREAD REFERENCES", _says("THREAD REFERENCES UTF-8 ALL")),
    Line(
        "flags of 10,000",
        _says("STORE 1:MANY +FLAGS ($Work)"),
        _says("STORE 1:MANY -FLAGS.SILENT ($Work)"),
    ),
    Line("COPY of 10,000", _says("COPY 1:MANY Other"), _other),
    Line("EXPUNGE of 10,000", _expunge, _to_expunge),
    Line("100 APPEND", _append, _other),
    Line("100 APPEND, pipelined", _append_ahead, _other),
    Line("QRESYNC after 1,000 changes", _resynchronize, _changes),
    Line("POP3 download of 10,000", _pop3(0)),
    Line("POP3 download, pipelined", _pop3(50)),
]


def measure(place: Place, line: Line) -> Taken:
    """Do what a line says once."""
    line.prepare(place)
    before = tree_cpu(place.running.pids)
    begin = time.perf_counter()
    line.do(place)
    seconds = time.perf_counter() - begin
    return Taken(seconds, (tree_cpu(place.running.pids) - before).total)


def take_turns(
    readers: Sequence[Reader], lines: Sequence[Line], rounds: int, messages: int
) -> dict[str, dict[str, list[Taken]]]:
    """Measure each line in each server, in turns; what a server cannot do has no measurement."""
    found: dict[str, dict[str, list[Taken]]] = {}
    with ExitStack() as stack:
        places = {
            reader.name: Place(stack.enter_context(reader.start()), messages) for reader in readers
        }
        for line in lines:
            by_server: dict[str, list[Taken]] = {name: [] for name in places}
            for _ in range(rounds + 1):
                for name, place in places.items():
                    try:
                        by_server[name].append(measure(place, line))
                    except RuntimeError as error:
                        print(f"{name} cannot do {line.name}: {error}", file=sys.stderr)
            for place in places.values():
                place.select()
            found[line.name] = by_server
            print(row(line.name, by_server), flush=True)
    return found


def header(names: Sequence[str]) -> str:
    """Write the head of the table: for each server the times cold and warm, and the CPU."""
    cells = [cell for name in names for cell in (f"{name} cold", "warm", "CPU")]
    cells += ["cold ratio", "warm ratio (smallest..largest)"]
    return f"| ms | {' | '.join(cells)} |\n|---|{'---:|' * len(cells)}"


def row(name: str, by_server: dict[str, list[Taken]]) -> str:
    """Write one line of the table; times in milliseconds."""
    ours, *others = by_server.values()
    cells = [name]
    for taken in by_server.values():
        if taken:
            warm = taken[1:] or taken
            cells += [
                _ms(taken[0].seconds),
                _ms(statistics.median(one.seconds for one in warm)),
                _ms(statistics.median(one.cpu for one in warm)),
            ]
        else:
            cells += ["-"] * 3
    there = [taken for taken in others if taken]
    if ours and there:
        cold = ours[0].seconds / min(taken[0].seconds for taken in there)
        pairs = zip(ours[1:] or ours, *[taken[1:] or taken for taken in there], strict=False)
        ratios = sorted(mine.seconds / min(one.seconds for one in rest) for mine, *rest in pairs)
        cells += [
            f"{cold:.2f}",
            f"**{statistics.median(ratios):.2f}** ({ratios[0]:.2f}..{ratios[-1]:.2f})",
        ]
    else:
        cells += ["-", "-"]
    return "| " + " | ".join(cells) + " |"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}" if seconds >= 0.01 else f"{seconds * 1000:.1f}"


def idle_waits(place: Place, clients: int) -> list[float]:
    """Return how long each of many clients in IDLE waits for the news of one APPEND; seconds."""
    waiting = []
    for _ in range(clients):
        imap = place.connect()
        imap.command(b"SELECT INBOX")
        imap.send(b"i IDLE\r\n")
        imap.read_until(b"\r\n")
        waiting.append(imap)
    one = next(made_messages(1))
    place.imap.send(b"a APPEND INBOX {%d}\r\n" % len(one.data))
    place.imap.read_until(b"\r\n")
    place.imap.send(one.data + b"\r\n")
    place.imap.finish(b"a")
    begin = time.perf_counter()
    waits = []
    for imap in waiting:
        imap.read_until(b"\r\n")
        waits.append(time.perf_counter() - begin)
        imap.close()
    return sorted(waits)


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.resolve()
        return
    folder = Path(tempfile.mkdtemp(prefix="reading-", dir="/var/tmp"))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder)


def main() -> int:
    """Fill the servers, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--only", default="", help="parts of the names of lines, divided by commas")
    parser.add_argument("--servers", default="zajil,maildir,mdbox")
    parser.add_argument("--idle", type=int, default=0, help="clients in IDLE")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    only = [word for word in arguments.only.split(",") if word]
    lines = [line for line in LINES if not only or any(word in line.name for word in only)]
    makers = {"zajil": zajil, "maildir": dovecot_maildir, "mdbox": dovecot_mdbox}
    with _folder(arguments.keep) as folder:
        (folder / "tls").mkdir(exist_ok=True)
        tls = TestAuthority(folder / "tls").issue("mx.y.test")
        readers = []
        for name in arguments.servers.split(","):
            place = folder / f"{name}-{arguments.messages}"
            if name != "zajil":
                place.mkdir(exist_ok=True)
            readers.append(makers[name](place, tls, arguments.messages))
        print(
            "\n".join([*machine_lines(), speed_line(), "", header([one.name for one in readers])])
        )
        found = take_turns(readers, lines, arguments.rounds, arguments.messages)
        if arguments.idle:
            for reader in readers:
                with reader.start() as running:
                    waits = idle_waits(Place(running, arguments.messages), arguments.idle)
                    at_99 = waits[min(len(waits) - 1, len(waits) * 99 // 100)]
                    print(f"IDLE, {arguments.idle} clients, {reader.name}: p99 {_ms(at_99)} ms")
    if arguments.json:
        data = {
            name: {server: [asdict(one) for one in taken] for server, taken in by.items()}
            for name, by in found.items()
        }
        arguments.json.write_text(json.dumps(data, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
