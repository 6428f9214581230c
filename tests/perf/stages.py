"""Where the CPU of one accepted mail goes, stage by stage, in one process without sockets.

``python tests/perf/stages.py [--size 5120] [--repeats 7]``

Each stage runs many times; the best repeat counts, so that a busy machine matters little. What is
not here, sockets and the event loop, is the difference to what ``bench.py`` measures.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from sqlalchemy.engine import Connection

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the kit

from kit.checks import make_checks
from kit.store import make_account, open_test_store, running
from kit.talk import HOSTNAME, PEER, NoConnection, acceptance_context
from plan import Plan, message
from zajil.accept.trace_fields import received_field
from zajil.check.facts import MessageFacts
from zajil.config.options import LimitOptions
from zajil.core.address import parse_address
from zajil.core.ids import ID_RANDOM_SIZE, MailId, new_mail_id
from zajil.core.line_engine import Wait
from zajil.message.fields import read_fields, split_message
from zajil.receive.patience import SlowAnswers
from zajil.receive.session import SmtpSession
from zajil.smtp.command import BodyChunk, Data, Quit
from zajil.smtp.extensions import Capabilities
from zajil.smtp.reply import Reply
from zajil.smtp.server import ServerConnection
from zajil.store.engine.open import Store
from zajil.store.mail.intake import Intake, write_intakes
from zajil.tracking.codec import encode_events

_REPLIES = {Data: Reply(354, ("go ahead",)), Quit: Reply(221, ("2.0.0 bye",))}
_OK = Reply(250, ("2.0.0 ok",))
_GREETING = Reply(220, (HOSTNAME,))


class InstantStore:
    """A store whose commit costs nothing; it keeps the last mail it was given."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.intake: Intake | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, unit: object, item: Any) -> object:
        """Take a mail, at once."""
        self.intake = item
        return item.mail_id

    def write_later(self, unit: object, item: object) -> None:
        """Forget events that nobody waits for."""


def run_engine(packets: Sequence[bytes], offer: Capabilities) -> None:
    """Let the engine read a whole connection, with replies that are always the same."""
    conn = ServerConnection(offer, _GREETING)
    conn.data_to_send()
    for packet in packets:
        conn.receive_data(packet)
        while not isinstance(event := conn.next_event(), Wait):
            if not isinstance(event, BodyChunk):
                conn.reply(_REPLIES.get(cast(Any, type(event)), _OK))
        conn.data_to_send()


async def run_session(packets: Sequence[bytes], offer: Capabilities, services: Any) -> None:
    """Let engine and session take a whole connection; all but sockets and the commit."""
    conn = ServerConnection(offer, _GREETING)
    session = SmtpSession(services, SlowAnswers(), PEER, conn, NoConnection())
    conn.data_to_send()
    for packet in packets:
        conn.receive_data(packet)
        while not isinstance(event := conn.next_event(), Wait):
            if isinstance(event, BodyChunk):
                session.take_body(event.data)
                continue
            answer = session.answer(event)
            conn.reply(
                answer if isinstance(answer, Reply) else await cast(Awaitable[Reply], answer)
            )
        conn.data_to_send()
    session.closed("quit")


def accept_all(tx: Connection, items: Sequence[Sequence[Intake]]) -> list[list[MailId]]:
    """Take several mails as one item, as the writer does with those that wait together."""
    return [write_intakes(tx, mails) for mails in items]


async def measure(size: int, repeats: int, count: int, folder: Path) -> None:
    """Measure and print every stage."""
    store = open_test_store("sqlite", folder)
    make_account(store, "b@y.test")
    async with running(store):
        instant = InstantStore(store)
        services = acceptance_context(cast(Store, instant))
        await store.directory.load()
        plan = Plan(mails=1, size=size)
        sent, offer = packets(plan), Capabilities(hostname=HOSTNAME, max_message_size=1 << 26)

        async def engine() -> None:
            run_engine(sent, offer)

        async def session() -> None:
            await run_session(sent, offer, services)

        engine_us = await best(engine, repeats, count)
        session_us = await best(session, repeats, count)
        if instant.intake is None:
            raise RuntimeError("the session took no mail")
        tell("engine: a connection with one mail", engine_us)
        tell("session, checks, fields, copies (engine taken off)", session_us - engine_us)
        tell("a reply in a task of its own, instead of returned", await best(_task, repeats, count))
        for name, stage in _parts_of_session(instant.intake, message(plan)).items():
            tell(f"- of these: {name}", await best(stage, repeats, count))
        body = [message(plan)]
        for batch in (1, 8, 32):
            await _tell_commit(store, instant.intake, body, batch, repeats)


async def _task() -> None:
    """Answer one event the way ``net.connection`` does where an answer has to wait."""

    async def answer() -> Reply:
        return _OK

    answered = asyncio.Event()
    task = asyncio.ensure_future(answer())
    task.add_done_callback(lambda _task: answered.set())
    await answered.wait()


def _parts_of_session(intake: Intake, data: bytes) -> dict[str, Callable[[], Awaitable[object]]]:
    end, _ = split_message(data)
    sender, recipient = parse_address("a@x.test"), parse_address("b@y.test")
    header = data[:end]

    def make_facts() -> MessageFacts:
        return MessageFacts(
            now_ms=intake.received_at_ms,
            peer=PEER,
            claimed_name="client.x.test",
            reverse_path=sender,
            recipients=(recipient,),
            header=header,
            fields=read_fields(header),
            size=len(data),
            smtputf8=False,
            login=None,
            authserv_id=HOSTNAME,
            limits=LimitOptions(),
            body=data[end:],
        )

    facts, checks = make_facts(), make_checks()

    async def read() -> object:
        return make_facts()

    async def check() -> object:
        return await checks.check_message(facts)

    async def trace() -> object:
        return received_field(
            claimed_name="client.x.test",
            peer=PEER,
            hostname=HOSTNAME,
            protocol="ESMTP",
            tls=None,
            mail_id=intake.mail_id,
            at_ms=intake.received_at_ms,
        )

    async def events() -> object:
        return encode_events(intake.events)

    return {
        "header fields read": read,
        "checks": check,
        "Received": trace,
        "events encoded (the writer does it)": events,
    }


async def _tell_commit(
    store: Store, intake: Intake, parts: list[bytes], batch: int, repeats: int
) -> None:
    def make() -> list[Intake]:
        ids = [new_mail_id(intake.received_at_ms, os.urandom(ID_RANDOM_SIZE)) for _ in range(batch)]
        return [replace(intake, mail_id=one, content=store.blobs.stage(parts)) for one in ids]

    batches = 64 // batch
    costs = []
    for _ in range(repeats):
        waiting = [make() for _ in range(batches)]
        start = time.process_time()
        for mails in waiting:
            await store.write(accept_all, mails)
        costs.append((time.process_time() - start) / (batches * batch) * 1e6)
    tell(f"intake and commit, {batch} a commit", min(costs))


async def best(stage: Callable[[], Awaitable[object]], repeats: int, count: int) -> float:
    """Give the microseconds of CPU of the best repeat."""
    costs = []
    for _ in range(repeats):
        start = time.process_time()
        for _ in range(count):
            await stage()
        costs.append(time.process_time() - start)
    return min(costs) / count * 1e6


def tell(stage: str, microseconds: float) -> None:
    """Print one row."""
    print(f"| {stage} | {microseconds:.1f} |", flush=True)


def packets(plan: Plan) -> list[bytes]:
    """Return a connection with one mail, as the peer sends it, packet by packet."""
    lines = ["EHLO client.x.test", f"MAIL FROM:<{plan.sender}>", f"RCPT TO:<{plan.recipient}>"]
    commands = [f"{line}\r\n".encode() for line in [*lines, "DATA"]]
    return [*commands, message(plan) + b".\r\n", b"QUIT\r\n"]


def main() -> int:
    """Measure; give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--size", type=int, default=5120, help="of the body, in bytes")
    parser.add_argument("--repeats", type=int, default=7, help="of which the best counts")
    parser.add_argument("--count", type=int, default=300, help="mails of each repeat")
    arguments = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.2f}, body of {arguments.size} bytes\n")
    print("| stage | CPU µs a mail |\n|---|---|")
    gc.freeze()
    with tempfile.TemporaryDirectory(prefix="zajil-stages-") as folder:
        asyncio.run(measure(arguments.size, arguments.repeats, arguments.count, Path(folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
