"""What can be measured: the servers of each question, and the loads that they take in turns."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import peers
from chain import chain
from filling import fill_mailbox, fill_queue
from kit.load import running_sink
from kit.postfix import maildirs, relay_to
from measuring import Run, Send, measure
from peers import ACCEPTING, NotInstalled, Peer, Place, free_port
from plan import Plan
from sending import SendingFailed, send, send_by_smtp_source
from zajil.store.engine.open import Store

QUESTIONS = {
    "accept": "until the last 250; the others only queue, Postfix on hold: its fastest mode",
    "accept-no-dns": "the same, Zajil without the checks that ask DNS",
    "starttls-fresh": "the same as accept, a new TLS session for each connection",
    "starttls-resumed": "the same as accept, all connections resume one TLS session",
    "relay": "until the mails are at the next server, an smtp-sink",
    "deliver": "until they are in the mailbox, by IMAP; Postfix's virtual(8) in a Maildir",
    "read": "until IMAP shows them; the other is Postfix with Rspamd and Dovecot",
    "filled": "accept of Zajil with mails in its store, beside an empty Zajil",
    "waiting": "accept of Zajil with mails in its queue, beside an empty Zajil",
}
MODES = {"one": 1, "many": 0}
"""Mails of one connection; 0: all mails of a session."""
GENERATORS = ("own", "smtp-source")
_NO_DNS = ("check.sender.enabled=false", "check.peer.enabled=false")
WARM_UP = 200
"""Mails that each server takes before the first run, if a run has as many."""

Start = Callable[[Place], AbstractContextManager[Peer]]


@dataclass(frozen=True, slots=True)
class Cell:
    """One load that all servers of a question take in turns."""

    question: str
    plan: Plan
    mode: str
    generator: str = "own"


@dataclass(frozen=True, slots=True)
class Fill:
    """What ``filled`` and ``waiting`` put into the store before the first run."""

    stored: int = 20_000
    waiting: int = 20_000
    size: int = 5120


@contextmanager
def servers(question: str, names: Sequence[str], base: Place, fill: Fill) -> Iterator[list[Peer]]:
    """Start the servers of a question; name and leave out those that are not installed."""
    with ExitStack() as stack:
        started: list[Peer] = []
        for name, start in _starts(question, names, fill).items():
            place = replace(base, folder=base.folder / f"{question}-{name}")
            try:
                started.append(stack.enter_context(start(place)))
            except (NotInstalled, RuntimeError) as error:
                print(f"left out of {question}: {error}", flush=True)
        yield started


def _starts(question: str, names: Sequence[str], fill: Fill) -> dict[str, Start]:
    """Return how to start each server of a question."""
    if question == "relay":
        return _only(names, {"zajil": _zajil_relay, "postfix": _postfix_relay})
    if question == "deliver":
        return _only(names, {"zajil": peers.zajil_deliver, "postfix": _postfix_deliver})
    if question == "read":
        return {"zajil": peers.zajil_deliver, "chain": chain}
    if question == "filled":
        put = functools.partial(fill_mailbox, count=fill.stored, size=fill.size)
        return _beside_empty(f"{fill.stored:,} mails stored", put)
    if question == "waiting":
        put = functools.partial(fill_queue, count=fill.waiting, size=fill.size)
        return _beside_empty(f"{fill.waiting:,} mails waiting", put)
    wanted: dict[str, Start] = {name: ACCEPTING[name] for name in names}
    if question == "accept-no-dns" and "zajil" in wanted:
        wanted["zajil"] = _zajil_without_dns
    return wanted


def _only(names: Sequence[str], able: dict[str, Start]) -> dict[str, Start]:
    return {name: start for name, start in able.items() if name in names}


def _beside_empty(name: str, put: Callable[[Store], None]) -> dict[str, Start]:
    return {"empty": _empty, "full": functools.partial(peers.zajil_with, name=name, fill=put)}


@contextmanager
def _empty(place: Place) -> Iterator[Peer]:
    with peers.zajil(place) as peer:
        yield replace(peer, is_reference=True)


def _zajil_without_dns(place: Place) -> AbstractContextManager[Peer]:
    return peers.zajil(replace(place, settings=(*_NO_DNS, *place.settings)))


@contextmanager
def _zajil_relay(place: Place) -> Iterator[Peer]:
    with (
        running_sink(free_port()) as sink,
        peers.zajil_relay(place, sink.address, sink.count) as peer,
    ):
        yield peer


@contextmanager
def _postfix_relay(place: Place) -> Iterator[Peer]:
    with (
        running_sink(free_port()) as sink,
        peers.postfix(place, relay_to(sink.address), sink.count) as peer,
    ):
        yield peer


def _postfix_deliver(place: Place) -> AbstractContextManager[Peer]:
    mail = place.folder / "mail"
    count = functools.partial(_count_files, mail / "b" / "new")
    return peers.postfix(place, maildirs(mail), count)


def _count_files(folder: Path) -> int:
    return sum(1 for _ in os.scandir(folder)) if folder.exists() else 0


# ---- runs ---------------------------------------------------------------------------------------


def warm_up(cell: Cell, started: Sequence[Peer], processes: int) -> list[Peer]:
    """Return the servers that take a load of this kind; the others are named."""
    able = []
    for peer in started:
        plan = replace(cell.plan, recipient=peer.recipient, mails=min(WARM_UP, cell.plan.mails))
        try:
            measure(peer, plan, _sender(cell, processes))
        except SendingFailed as error:
            print(f"left out of {cell.question}: {peer.name}: {error}", flush=True)
        else:
            able.append(peer)
    return able


def in_turns(
    cells: Sequence[Cell], able: Sequence[Peer], rounds: int, processes: int
) -> list[dict[str, list[Run]]]:
    """Measure all cells and servers; return the runs of each cell, by the name of the server.

    A round takes each cell once, so the rounds of a cell are spread over the whole time. The
    servers of a cell run directly one after the other, in every other round in the opposite order.
    """
    runs: list[dict[str, list[Run]]] = [{peer.name: [] for peer in able} for _ in cells]
    for number in range(rounds):
        for cell, found in zip(cells, runs, strict=True):
            for peer in able if number % 2 == 0 else reversed(able):
                plan = replace(cell.plan, recipient=peer.recipient)
                found[peer.name].append(measure(peer, plan, _sender(cell, processes)))
    return runs


def _sender(cell: Cell, processes: int) -> Send:
    if cell.generator == "smtp-source":
        return send_by_smtp_source
    return functools.partial(send, processes=processes)
