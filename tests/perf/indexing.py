"""What the index of words costs: CPU of each mail, bytes on disk, time of a search.

``python tests/perf/indexing.py [--mails 20000] [--accounts 1] [--beside 2000]``

A store in SQLite is filled with the messages of ``made_mailbox`` in commits of 500, dealt out to
the accounts; nothing is synced. Then it does the indexer's work, in batches of 64 with the merges
after each, and prints CPU of this process for each mail, the size of the index, and what searches
of the first account take: the look-up alone, without reading what it leaves.

``--beside N`` measures instead how many deliveries there are in a second of CPU of this process:
N mails are accepted one after the other, without the indexer and beside it, in turns, seven times
each; the median of the pairs is printed. The mails that the indexer has to read wait from the
beginning, and come anew.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the kit

from kit.store import make_account, make_intake, open_test_store, running
from made_mailbox import RARE, made_messages
from store_size import table_bytes
from zajil.core.directory import AccountEntry
from zajil.message.summary import summarize, thread_keys
from zajil.message.view import MessageView
from zajil.message.word_query import parse_query
from zajil.read.index_merger import merge_account_now
from zajil.read.indexer import BATCH, Indexer, make_summary, read_summaries
from zajil.store.engine.open import Store
from zajil.store.mail.append import Appended
from zajil.store.mail.intake import write_intakes
from zajil.store.mail.message_changes import PutMessage, put_messages
from zajil.store.mail.summaries import find_waiting, write_summaries
from zajil.store.mail.text_lookup import find_hits, find_words
from zajil.store.mail.text_merge import find_crowded
from zajil.store.schema import text_segment

T = TypeVar("T")

_AT_ONCE = 500
_INDEX = ("text_segment", "text_block")
_TERMS = (RARE, "zalcoat", "report", "repor", "التقرير", "project customer", "not-there-at-all")


def put_together(tx: Connection, items: Sequence[Sequence[PutMessage]]) -> list[list[Appended]]:
    """Unit of work: put several messages as one item."""
    return [put_messages(tx, messages) for messages in items]


def fill(store: Store, accounts: Sequence[AccountEntry], count: int) -> int:
    """Put the messages into the INBOX of each account in turn; return their bytes."""
    size, items = 0, []
    for number, made in enumerate(made_messages(count)):
        who = accounts[number % len(accounts)]
        staged = store.blobs.stage([made.data])
        items.append(PutMessage(who.account_id, who.inbox, staged, made.flags, made.received_at_ms))
        size += len(made.data)
        if len(items) == _AT_ONCE or number == count - 1:
            store.write_now(put_together, items)
            items = []
    return size


def index_all(store: Store) -> int:
    """Do the indexer's work; return how many messages it read."""
    count = 0
    while waiting := store.read_now(lambda conn: find_waiting(conn, BATCH)):
        new = store.read_now(lambda conn: read_summaries(conn, store.blobs, waiting))
        store.write_now(write_summaries, new)
        ids = [one.blob_id for one in waiting]
        for account_id in store.read_now(lambda conn: find_crowded(conn, ids)):  # noqa: B023
            merge_account_now(store, account_id)
        count += len(waiting)
    return count


def cpu_of(run: Callable[[], T]) -> tuple[float, T]:
    """Return the microseconds of CPU that a call takes, and its result."""
    start = time.process_time()
    result = run()
    return (time.process_time() - start) * 1e6, result


def measure_making(count: int) -> None:
    """Print what a summary takes without the words, and with them."""
    datas = [made.data for made in made_messages(count)]

    def summaries() -> None:
        for data in datas:
            thread_keys(summarize(MessageView.from_bytes(data)))

    def both() -> None:
        for data in datas:
            make_summary("b", data)  # type: ignore[arg-type]

    for name, run in (("summary alone", summaries), ("summary, IMAP forms, words", both)):
        best = min(cpu_of(run)[0] for _ in range(3))
        print(f"{name}: {best / count:.0f} µs of CPU a mail", flush=True)


def measure_searches(store: Store, who: AccountEntry) -> None:
    """Print what look-ups take, and how many messages they leave."""
    print("\n| look-up | ms of CPU | messages found | to be read |\n|---|---|---|---|")
    for term in _TERMS:

        def look(term: str = term) -> tuple[int, int]:
            hits = store.read_now(lambda conn: find_hits(conn, who.inbox, term))
            return (-1, -1) if hits is None else (len(hits.sure), len(hits.possible))

        best, (sure, possible) = min(cpu_of(look) for _ in range(3))
        print(f"| TEXT {term} | {best / 1000:.1f} | {sure} | {possible - sure} |", flush=True)
    for query in (RARE, "reports from:haddad", "سؤال"):

        def find(query: str = query) -> int:
            parsed = parse_query(query)
            return len(store.read_now(lambda conn: find_words(conn, who.account_id, parsed)))

        best, left = min(cpu_of(find) for _ in range(3))
        print(f"| words: {query} | {best / 1000:.1f} | {left} |", flush=True)


async def _deliver(store: Store, who: AccountEntry, datas: Sequence[bytes]) -> float:
    """Accept mails; return how many there are in a second of CPU."""
    start = time.process_time()
    for data in datas:
        await store.write(write_intakes, make_intake(store.blobs.stage([data]), local=[who]))
    return len(datas) / (time.process_time() - start)


async def _beside(store: Store, who: AccountEntry, datas: Sequence[bytes]) -> float:
    """The same while the indexer runs."""
    indexer = asyncio.create_task(Indexer(store).run())
    try:
        return await _deliver(store, who, datas)
    finally:
        indexer.cancel()
        await asyncio.gather(indexer, return_exceptions=True)


async def measure_deliveries(store: Store, who: AccountEntry, count: int) -> None:
    """Print how many deliveries there are in a second of CPU, without the indexer and beside it."""
    datas = [made.data for made in made_messages(count)]
    alone, beside = [], []
    async with running(store):
        await _deliver(store, who, datas)
        for _ in range(7):
            alone.append(await _deliver(store, who, datas))
            beside.append(await _beside(store, who, datas))
    best = max(alone), max(beside)
    print(f"deliveries in a second of CPU: {best[0]:.0f} alone, {best[1]:.0f} beside the indexer")
    ratio = statistics.median([one / other for one, other in zip(beside, alone, strict=True)])
    print(f"slower by {100 * (1 - ratio):.1f} %")
    waiting = store.read_now(lambda conn: len(find_waiting(conn, 1_000_000)))
    print(f"{waiting} of {15 * count} messages wait for the indexer")


def main() -> int:
    """Measure; give the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    add = parser.add_argument
    add("--mails", type=int, default=20_000)
    add("--accounts", type=int, default=1, help="that the mails are dealt out to")
    add("--beside", type=int, default=0, help="mails that are delivered beside the indexer")
    add("--dir", type=Path, help="on the disk that is meant; default: temporary")
    arguments = parser.parse_args()
    gc.freeze()
    if not arguments.beside:
        measure_making(500)
    with tempfile.TemporaryDirectory(prefix="zajil-index-", dir=arguments.dir) as name:
        folder = Path(name)
        store = open_test_store("sqlite", folder / "data")
        try:
            numbers = range(arguments.accounts)
            accounts = [make_account(store, f"b{number}@y.test") for number in numbers]
            if arguments.beside:
                asyncio.run(measure_deliveries(store, accounts[0], arguments.beside))
                return 0
            size = fill(store, accounts, arguments.mails)
            cpu, count = cpu_of(lambda: index_all(store))
            print(f"indexer, all its work: {cpu / count:.0f} µs of CPU a mail", flush=True)
            path = folder / "data" / "store.sqlite"
            tables = table_bytes(store, path)
            index = sum(
                taken for name, (taken, _) in tables.items() if any(one in name for one in _INDEX)
            )
            query = sa.select(sa.func.count()).select_from(text_segment)
            segments = store.read_now(lambda conn: conn.scalar(query))
            print(
                f"index: {index / count:.0f} bytes a mail of {size / count:.0f}:"
                f" {100 * index / size:.1f} %; {segments} segments"
            )
            measure_searches(store, accounts[0])
        finally:
            store.close_now()
    return 0


if __name__ == "__main__":
    sys.exit(main())
