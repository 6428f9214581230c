"""Where the CPU of one delivered mail goes, from the queue to the next server's 250.

``python tests/perf/sending_stages.py [--size 5120] [--repeats 7]``

First the whole way with real sockets to an smtp-sink, by thread, as one worker does it; then parts
of it alone, in one process without sockets. The best repeat counts, so that a busy machine matters
little. How mails are accepted is in ``stages.py``.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.engine import Connection

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the kit

from kit.load import Sink, running_sink
from kit.store import make_intake, open_test_store, running
from kit.zone import ZoneResolver
from peers import free_port
from plan import Plan, message
from zajil.config.options import DeliverOptions, QueueOptions
from zajil.core.address import parse_address
from zajil.core.ids import MailId
from zajil.deliver.attempt_result import settle_pairs, sort_results
from zajil.deliver.outgoing_mail import Outgoing, RecipientResult, group_leased, result_of
from zajil.deliver.run import Deliverer
from zajil.mailauth.arc_seal import SEAL_NEED, seal_arc
from zajil.mailauth.dkim_body import BodyDigests, body_of
from zajil.mailauth.dkim_sign import SigningKey
from zajil.message.fields import read_fields, split_message
from zajil.net.system import SystemClock
from zajil.smtp.client import ClientConnection
from zajil.smtp.reply import Reply
from zajil.store.engine.open import Store
from zajil.store.mail.intake import Intake, write_intakes
from zajil.store.queue.queue import Claim, LeasedRecipient, claim, read_small
from zajil.store.queue.settlement import Settlement, settle_together

_HOSTNAME, _SINK = "mx.y.test", "mx.z.test"
_ZONE = {"z.test": {"MX": [f"10 {_SINK}"]}, _SINK: {"A": ["127.0.0.1"]}}
_LEASE_MS, _READ_AHEAD = 900_000, 32_768
_ENVELOPE_REPLIES = b"250 2.1.0 ok\r\n250 2.1.5 ok\r\n354 go ahead\r\n"


def accept_all(tx: Connection, items: Sequence[Sequence[Intake]]) -> list[list[MailId]]:
    """Take several mails as one item, as the writer does with those that wait together."""
    return [write_intakes(tx, mails) for mails in items]


@dataclass(slots=True)
class Bench:
    """A store, and what is put into its queue."""

    store: Store
    body: bytes
    count: int
    """Mails of each repeat."""
    repeats: int

    async def put(self, count: int) -> None:
        """Let mails wait for an address that an alias of ours stands for."""
        now_ms, alias = time.time_ns() // 1_000_000, parse_address("away@y.test")
        items = []
        for _ in range(count):
            blob = self.store.blobs.stage((self.body,))
            item = make_intake(blob, remote=("c@z.test",), at_ms=now_ms)
            remote = tuple(replace(copy, addressed_as=alias) for copy in item.remote)
            items.append(replace(item, remote=remote))
        await self.store.write(accept_all, items)

    async def lease(self, count: int) -> list[LeasedRecipient]:
        """Claim as a worker does."""
        now_ms = time.time_ns() // 1_000_000
        return await self.store.write(claim, Claim("x/", "t", now_ms, now_ms + _LEASE_MS, count))


# ---- the whole way ------------------------------------------------------------------------------


async def deliver_all(bench: Bench, sink: Sink) -> None:
    """Deliver with a worker's queue, and print the CPU of each kind of thread."""
    port = int(sink.address.rpartition(":")[2])
    deliverer = Deliverer(
        bench.store,
        ZoneResolver(_ZONE),
        DeliverOptions(port=port),
        QueueOptions(),
        hostname=_HOSTNAME,
        tls=None,
        clock=SystemClock(),
        random=os.urandom,
        worker=1,
    )
    found: list[tuple[float, dict[str, float], int]] = []
    for _ in range(bench.repeats + 1):  # the first one opens the connections
        await bench.put(bench.count)
        commits, before, start = bench.store.writer.commits, _thread_seconds(), time.process_time()
        await deliverer.run_due()
        whole, after = time.process_time() - start, _thread_seconds()
        used = {name: seconds - before.get(name, 0) for name, seconds in after.items()}
        found.append((whole, used, bench.store.writer.commits - commits))
    await deliverer.drain(1)
    whole, used, commits = min(found[1:], key=lambda one: one[0])
    tell("a mail, from the queue to the sink", whole / bench.count)
    for name, seconds in sorted(used.items(), key=lambda item: -item[1]):
        tell(f"- of these: {name}", seconds / bench.count)
    print(f"| (commits for {bench.count} mails) | {commits} |", flush=True)


def _thread_seconds() -> dict[str, float]:
    """Return the CPU time of the threads of this process, those of a pool together."""
    seconds: dict[str, float] = defaultdict(float)
    for thread in threading.enumerate():
        if thread.ident is not None:
            clock = time.pthread_getcpuclockid(thread.ident)
            name = "event loop" if thread is threading.main_thread() else thread.name
            seconds[name.partition("_")[0]] += time.clock_gettime(clock)
    return seconds


# ---- parts --------------------------------------------------------------------------------------


async def tell_parts(bench: Bench) -> None:
    """Measure and print each part alone."""
    for group in (1, 8, 32):
        await _tell_queue(bench, group)
    await bench.put(1)
    ((_, outgoing),) = group_leased(await bench.lease(1), {}, str)
    tell("result made of the replies", best(lambda: _settlement(outgoing), bench))
    conn = ClientConnection(_HOSTNAME)
    conn.receive_data(b"220 sink\r\n")
    conn.next_reply()
    conn.ehlo()
    conn.receive_data(b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 52428800\r\n")
    conn.next_reply()
    tell("engine: a mail over an open connection", best(lambda: _converse(conn, bench.body), bench))


async def _tell_queue(bench: Bench, group: int) -> None:
    """Measure what the store does, so many mails at a time; the best repeat counts."""
    store, count = bench.store, bench.count // group * group
    costs: dict[str, float] = {}

    def keep(stage: str, start: float) -> None:
        seconds = (time.process_time() - start) / count
        costs[stage] = min(seconds, costs.get(stage, seconds))

    for _ in range(bench.repeats):
        await bench.put(count)
        start = time.process_time()
        leased = [one for _ in range(0, count, group) for one in await bench.lease(group)]
        keep("claim and commit", start)
        parts = [leased[at : at + group] for at in range(0, count, group)]
        start = time.process_time()
        for part in parts:
            await store.read(partial(read_small, claimed=part, limit=_READ_AHEAD))
        keep("messages read", start)
        settlements = [
            [_settlement(one) for _, one in group_leased(part, {}, str)] for part in parts
        ]
        start = time.process_time()
        for some in settlements:
            await store.write(settle_together, some)
        keep("results and commit", start)
    for stage, seconds in costs.items():
        tell(f"{stage}, {group} at a time", seconds)


def _settlement(outgoing: Outgoing) -> Settlement:
    said = result_of(Reply(250, ("2.0.0 ok",)), _SINK)
    results: dict[LeasedRecipient, RecipientResult] = dict.fromkeys(outgoing.recipients, said)
    now_ms = time.time_ns() // 1_000_000
    found = sort_results(outgoing, results, now_ms, QueueOptions())
    return settle_pairs(found.silent, now_ms, lambda _: now_ms, after=found.events)


def _converse(conn: ClientConnection, body: bytes) -> None:
    """Send one mail with the engine alone; the replies are always the same."""
    conn.mail(parse_address("a@x.test"), size=len(body), body="8BITMIME")
    conn.rcpt(parse_address("c@z.test"))
    conn.data()
    conn.data_to_send()
    conn.receive_data(_ENVELOPE_REPLIES)
    for _ in range(3):
        conn.next_reply()
    conn.body(body)
    conn.end_body()
    conn.data_to_send()
    conn.receive_data(b"250 2.0.0 ok\r\n")
    conn.next_reply()
    conn.dialogue.clear()


def tell_seals(bench: Bench) -> None:
    """Measure and print the ARC seal that a forwarded mail gets when it is accepted."""
    end, _ = split_message(bench.body)
    header, body = bench.body[:end], bench.body[end:]
    fields, digests = read_fields(header), BodyDigests((SEAL_NEED,))
    digests.feed(body_of(body))
    keys = (
        SigningKey("y.test", "r", "rsa-sha256", rsa.generate_private_key(65537, 2048)),
        SigningKey("y.test", "e", "ed25519-sha256", Ed25519PrivateKey.generate()),
    )
    for key in keys:

        def seal(key: SigningKey = key) -> None:
            seal_arc(
                header,
                fields,
                digests,
                key,
                authserv_id=_HOSTNAME,
                results=b"spf=none",
                cv="none",
                now_s=0,
            )

        tell(f"ARC seal, {key.algorithm}", best(seal, bench))


# ---- measuring ----------------------------------------------------------------------------------


def best(stage: Callable[[], object], bench: Bench) -> float:
    """Return the seconds of CPU of the best repeat."""
    costs = []
    for _ in range(bench.repeats):
        start = time.process_time()
        for _ in range(bench.count):
            stage()
        costs.append(time.process_time() - start)
    return min(costs) / bench.count


def tell(stage: str, seconds: float) -> None:
    """Print one row."""
    print(f"| {stage} | {seconds * 1e6:.1f} |", flush=True)


async def run(arguments: argparse.Namespace, folder: Path, sink: Sink) -> None:
    """Measure everything."""
    store = open_test_store("sqlite", folder)
    body = message(Plan(mails=1, size=arguments.size))
    bench = Bench(store, body, arguments.count, arguments.repeats)
    async with running(store):
        await store.directory.load()
        await deliver_all(bench, sink)
        await tell_parts(bench)
    tell_seals(bench)


def main() -> int:
    """Measure; give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--size", type=int, default=5120, help="of the body, in bytes")
    parser.add_argument("--repeats", type=int, default=7, help="of which the best counts")
    parser.add_argument("--count", type=int, default=400, help="mails of each repeat")
    arguments = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.2f}, body of {arguments.size} bytes\n")
    print("| stage | CPU µs a mail |\n|---|---|")
    gc.freeze()
    with (
        tempfile.TemporaryDirectory(prefix="zajil-sending-") as folder,
        running_sink(free_port()) as sink,
    ):
        asyncio.run(run(arguments, Path(folder), sink))
    return 0


if __name__ == "__main__":
    sys.exit(main())
