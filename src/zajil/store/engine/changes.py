"""Who must hear of a commit: readers of a mailbox, the queue, the directory.

Three ways lead to a subscriber, each the fallback of the one before:
1. A commit of this process: its writer says so, before its callers go on.
2. A hint of another process (``store.engine.hints``): a datagram, or NOTIFY of PostgreSQL.
3. A look once a second at what the subscribed topics stand at (MODSEQ, counter, next due row).

A callback means "look": it may come without a change, and once for many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.service import RecipientState
from zajil.store.engine.batch import CERTIFICATES, DIRECTORY, QUEUE, Topic
from zajil.store.engine.dialect import Dialect
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.hints import EVERYTHING, Hints
from zajil.store.engine.reader import Reader
from zajil.store.engine.rows import execute_text, marks_of, number_array, portions
from zajil.store.schema import counter, recipient

Callback = Callable[[], None]

_LOOK_SECONDS = 1.0
"""How late a change is noticed when its hint was lost."""


class Changes:
    """The subscribers of one open store; all but ``announce_on`` belongs to the loop."""

    def __init__(self, dialect: Dialect, hints: Hints, reader: Reader) -> None:
        self._dialect = dialect
        self._hints = hints
        self._reader = reader
        self._callbacks: dict[Topic, list[Callback]] = {}
        self._seen: dict[Topic, object] = {}
        self._timer: asyncio.Task[None] | None = None

    def subscribe(self, topic: Topic | str, callback: Callback) -> Callable[[], None]:
        """Call ``callback`` in the event loop after each change of ``topic``.

        A reader subscribes first and looks then, so that it misses nothing in between.

        Returns:
            A function that ends the subscription; it may be called twice.
        """
        known = Topic(topic)
        self._callbacks.setdefault(known, []).append(callback)

        def unsubscribe() -> None:
            callbacks = self._callbacks.get(known, [])
            if callback in callbacks:
                callbacks.remove(callback)
            if not callbacks:
                self._callbacks.pop(known, None)
                self._seen.pop(known, None)

        return unsubscribe

    def publish(self, topics: Set[Topic]) -> None:
        """Call who subscribed to these topics; runs in the event loop."""
        wanted = self._callbacks.keys() if EVERYTHING in topics else topics & self._callbacks.keys()
        for topic in list(wanted):
            for callback in list(self._callbacks.get(topic, ())):
                callback()

    def connect(self) -> None:
        """Do that part of ``start`` before it that may block, in any thread.

        Raises:
            StoreUnavailable: the line to the other processes cannot be opened.
        """
        self._hints.connect()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Listen to other processes, and look once a second."""
        self._hints.start(loop, self.publish)
        self._timer = loop.create_task(self._watch())

    def close_now(self) -> None:
        """Let go of a line that was never started."""
        self._hints.close()

    async def close(self) -> None:
        """Listen no more."""
        self._hints.close()
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
            await asyncio.wait([timer])

    def announce(self, topics: Set[Topic]) -> None:
        """Publish a commit of this process, here and to the others."""
        if topics:
            self._hints.send(topics)
            self.publish(topics)

    def announce_on(self, conn: Connection, topics: Set[Topic]) -> None:
        """Notify other processes through the database, in the thread that committed."""
        self._hints.send_on(conn, topics)

    async def _watch(self) -> None:
        stamp: object = None
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            try:
                await self._hints.revive()
                before = stamp
                if self._dialect.is_local:  # else there is none, and to ask costs a round trip
                    stamp = await self._reader.read(lambda _: self._dialect.stamp())
                if stamp is None or stamp != before:
                    await self.look()
            except StoreUnavailable:
                continue  # whoever needs the store tells of it; the next look may work

    async def look(self) -> None:
        """Compare what the subscribed topics stand at with the last look, and publish."""
        topics = set(self._callbacks)
        if not topics:
            return
        values = await self._reader.read(lambda conn: _values_of(conn, topics))
        changed = {
            topic for topic, value in values.items() if self._seen.get(topic, value) != value
        }
        first = values.keys() - self._seen.keys()
        self._seen.update({topic: value for topic, value in values.items() if topic in topics})
        # A subscriber that came since the last look may have missed a change in between.
        self.publish(changed | first)


def _values_of(conn: Connection, topics: Iterable[Topic]) -> dict[Topic, object]:
    values: dict[Topic, object] = {}
    mailboxes: dict[int, Topic] = {}
    accounts: dict[int, Topic] = {}
    for topic in topics:
        kind, _, number = topic.partition(":")
        if kind == "mailbox":
            mailboxes[int(number)] = topic
        elif kind == "names":
            accounts[int(number)] = topic
        elif topic in _STANDS_AT:
            values[topic] = conn.execute(_STANDS_AT[topic]).first()
    for wanted, statements in ((mailboxes, _MODSEQS), (accounts, _NAMES)):
        stands: dict[Topic, tuple[Any, ...]] = dict.fromkeys(wanted.values(), ())
        for statement in statements:
            for number, value in _ask(conn, statement, list(wanted)):
                stands[wanted[number]] += (statement, value)
        values |= stands
    return values


def _ask(conn: Connection, statement: str, ids: Sequence[int]) -> Iterator[Sequence[Any]]:
    # By the driver itself: as parameters of SQLAlchemy, ten thousand ids take a fifth of a second,
    # each second.
    if ids and conn.dialect.name == "postgresql":
        text = statement.format("= ANY(%s::bigint[])")
        yield from execute_text(conn, text, (number_array(ids),))
        return
    for some in portions(ids):
        yield from execute_text(conn, statement.format(f"IN {marks_of(conn, some)}"), some)


_STANDS_AT: dict[Topic, sa.Select[Any]] = {
    DIRECTORY: sa.select(counter.c.value).where(counter.c.name == DIRECTORY),
    CERTIFICATES: sa.select(counter.c.value).where(counter.c.name == CERTIFICATES),
    QUEUE: sa.select(recipient.c.mail_id, recipient.c.position, recipient.c.next_try_ms)
    .where(recipient.c.state == RecipientState.WAITING)
    .order_by(recipient.c.next_try_ms)
    .limit(1),
}


_MODSEQS = ("SELECT id, modseq FROM mailbox WHERE id {}",)
_NAMES = (
    # A mailbox that is made or renamed has a UIDVALIDITY that none had before.
    "SELECT account_id, sum(uid_validity) FROM mailbox WHERE account_id {} GROUP BY account_id",
    "SELECT account_id, count(*) FROM subscription WHERE account_id {} GROUP BY account_id",
    "SELECT account_id, sum(mailbox_id) FROM mailbox_right WHERE account_id {} GROUP BY account_id",
    "SELECT account_id, count(*) FROM annotation WHERE account_id {} GROUP BY account_id",
)
"""What changes with nearly every change of the names that an account sees."""
