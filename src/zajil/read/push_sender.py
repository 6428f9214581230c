"""Tells browsers of new messages in INBOX, through their push services (RFC 8030).

One worker of all nodes runs it, beside the delivery of mail: a push service that is slow or away
delays nothing else. What was told is in the store, so that another worker goes on from there; a
worker that dies while it tells leaves it to be told once more.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import urlsplit

from zajil.core.clock import Clock, Random
from zajil.core.ids import MailboxId, Uid
from zajil.core.value_class import value_class
from zajil.message.header_view import Person
from zajil.net.logger import get_logger
from zajil.read.guarded_fetch import FetchFailed, GuardedFetcher
from zajil.read.indexer import read_page
from zajil.read.web_push import MAX_CONTENT, BadPushKey, PushKeys, ServerKey, encrypt_push
from zajil.store.engine.batch import PUSH, mailbox_topic
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.people.push_subscriptions import (
    PushResult,
    PushTarget,
    drop_push,
    list_push_targets,
    prune_push,
    read_push_key,
    record_push,
)

CHOICES = ("full", "plain", "off")
"""How a browser is told: with sender and subject, without, not at all; the first is the default."""
_MOST_SINGLE = 3
"""New messages that are each told of; of more together only their number."""
_MOST_COUNTED = 100
_LONGEST_NAME = 100
_LONGEST_SUBJECT = 200
_LIFE_SECONDS = 86_400
"""How long a push service keeps a message for a browser that is away. (RFC 8030 section 5.2)"""
_GONE = frozenset({404, 410})
"""The subscription has ended. (RFC 8030 section 7.3)"""


class PushTexts(Protocol):
    """What notifications say, in one language."""

    def one(self, name: str) -> str:
        """Return the title of one message; ``""``: nobody is named as its sender."""

    def many(self, number: int, *, more: bool) -> str:
        """Return the title of messages that are only counted; ``more``: of so many or more."""

    def no_subject(self) -> str:
        """Return what stands for an empty subject."""


@value_class(frozen=True, slots=True)
class PushTimes:
    """How patient the sender is."""

    look_seconds: float = 60
    """Between two looks where nothing is heard."""
    retry_seconds: tuple[float, ...] = (5, 30)
    """Pauses before each try after the first."""
    burst: int = 10
    """Requests for one browser in ``burst_seconds``; after them it waits, and tells a number."""
    burst_seconds: float = 60
    most_failures: int = 20
    """Failed requests in a row after which a browser is forgotten."""
    at_a_time: int = 16
    """Browsers that are told at the same time."""


@value_class(frozen=True, slots=True)
class Notification:
    """What a browser shows."""

    title: str
    body: str
    tag: str
    """A later notification with the same tag takes its place."""
    path: str
    """What a click opens."""

    @property
    def content(self) -> bytes:
        """Return what is encrypted."""
        fields = {"title": self.title, "body": self.body, "tag": self.tag, "path": self.path}
        return json.dumps(fields, ensure_ascii=False).encode()


class PushSender:
    """Tells the browsers of one store."""

    def __init__(
        self,
        store: Store,
        outside: GuardedFetcher,
        clock: Clock,
        random: Random,
        contact: str,
        texts: Callable[[str], PushTexts],
        times: PushTimes | None = None,
    ) -> None:
        """Do nothing yet.

        Args:
            store: is started.
            outside: asks push services.
            clock: the time.
            random: for keys and salts.
            contact: URI by which the operators of push services reach us.
            texts: of a language, by its code.
            times: how patient it is.
        """
        self._store = store
        self._outside = outside
        self._clock = clock
        self._random = random
        self._contact = contact
        self._texts = texts
        self._times = times or PushTimes()
        self._slots = asyncio.Semaphore(self._times.at_a_time)
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._sent: dict[str, deque[int]] = {}
        """When requests for each browser were made."""
        self._topics: dict[MailboxId, Callable[[], None]] = {}
        self._wake = asyncio.Event()
        self._log = get_logger()

    async def run(self) -> None:
        """Tell of what is new, again and again; until cancelled."""
        end = self._store.changes.subscribe(PUSH, self._wake.set)
        try:
            while True:
                self._wake.clear()
                try:
                    await self._look()
                except StoreUnavailable as error:
                    self._log.warning("cannot look for new mail to notify", reason=str(error))
                try:
                    async with asyncio.timeout(self._times.look_seconds):
                        await self._wake.wait()
                except TimeoutError:
                    await self._prune()
        finally:
            end()
            for unsubscribe in self._topics.values():
                unsubscribe()
            tasks = list(self._busy.values())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self) -> None:
        """Begin to tell each browser that has something new and is not being told."""
        now_ms = self._clock.now_ms()
        targets = await self._store.read(lambda conn: list_push_targets(conn, now_ms))
        self._follow({one.inbox for one in targets})
        for target in targets:
            key = target.subscription.id
            if target.uid_next > target.told_uid and key not in self._busy:
                task = asyncio.create_task(self._tell_safely(target))
                self._busy[key] = task
                task.add_done_callback(lambda _, key=key: self._ended(key))  # type: ignore[misc]

    def _follow(self, inboxes: set[MailboxId]) -> None:
        for gone in self._topics.keys() - inboxes:
            self._topics.pop(gone)()
        for inbox in inboxes - self._topics.keys():
            topic = mailbox_topic(inbox)
            self._topics[inbox] = self._store.changes.subscribe(topic, self._wake.set)
            self._wake.set()  # it may have changed since it was read

    def _ended(self, key: str) -> None:
        self._busy.pop(key, None)
        self._wake.set()  # more may have come meanwhile

    async def _prune(self) -> None:
        now_ms = self._clock.now_ms()
        self._sent = {key: sent for key, sent in self._sent.items() if self._recent(sent)}
        try:
            await self._store.write(prune_push, now_ms)
        except StoreUnavailable as error:
            self._log.warning("cannot forget browsers that logged out", reason=str(error))

    async def _tell_safely(self, target: PushTarget) -> None:
        try:
            async with self._slots:
                await self._tell(target)
        except StoreUnavailable as error:
            self._log.warning("cannot notify a browser", reason=str(error))
            await asyncio.sleep(self._times.retry_seconds[0])

    async def _tell(self, target: PushTarget) -> None:
        """Tell one browser of all that is new, and keep that it was told."""
        key = target.subscription.id
        outcome = "sent"
        for one in await self._notifications(target):
            outcome = await self._send(target, one)
            if outcome != "sent":
                break
        failed = outcome == "failed"
        if outcome == "gone" or (failed and target.failures + 1 >= self._times.most_failures):
            self._sent.pop(key, None)
            await self._store.write(drop_push, key)
            return
        await self._store.write(record_push, PushResult(key, target.uid_next, failed))

    async def _notifications(self, target: PushTarget) -> list[Notification]:
        """Return what is to be shown; nothing for messages that were read elsewhere already."""
        if target.choice == CHOICES[2]:
            return []
        blobs, inbox = self._store.blobs, target.inbox
        account_id = target.subscription.account_id
        most = min(target.uid_next - target.told_uid, _MOST_COUNTED)
        page = await self._store.read(
            lambda conn: read_page(conn, blobs, inbox, most, before=target.uid_next),
            account_id,
        )
        new = [
            (found.uid, summary.senders, summary.subject)
            for found, summary in page.lines
            if found.uid >= target.told_uid and "\\Seen" not in found.flags
        ]
        texts = self._texts(target.subscription.language)
        sent = self._sent.setdefault(target.subscription.id, deque())
        is_many = self._times.burst - len(self._recent(sent)) < len(new)
        if len(new) > _MOST_SINGLE or (new and is_many):
            return [_counted(texts, target, len(new))]
        shows = target.choice != CHOICES[1]
        return [_single(texts, target, one, shows=shows) for one in reversed(new)]

    def _recent(self, sent: deque[int]) -> deque[int]:
        since = self._clock.now_ms() - 1000 * self._times.burst_seconds
        while sent and sent[0] < since:
            sent.popleft()
        return sent

    async def _send(self, target: PushTarget, one: Notification) -> str:
        """Return ``sent``, ``gone`` or ``failed``."""
        sent = self._sent.setdefault(target.subscription.id, deque())
        if len(self._recent(sent)) >= self._times.burst:
            await asyncio.sleep(self._times.burst_seconds)
        sent.append(self._clock.now_ms())
        reason = ""
        for pause in (0.0, *self._times.retry_seconds):
            await asyncio.sleep(pause)
            try:
                status = await self._post(target, one)
            except (FetchFailed, BadPushKey) as error:
                reason = str(error)
                continue
            if 200 <= status < 300:
                return "sent"
            if status in _GONE:
                return "gone"
            reason = f"the push service answered {status}"
            if status != 429 and status < 500:
                break  # another try would be answered alike
        host = urlsplit(target.subscription.endpoint).hostname or ""
        self._log.info("a browser could not be notified", service=host, reason=reason)
        return "failed"

    async def _post(self, target: PushTarget, one: Notification) -> int:
        subscription = target.subscription
        seed = await self._store.read(read_push_key)
        keys = PushKeys(subscription.public_key, subscription.auth)
        body = encrypt_push(one.content[:MAX_CONTENT], keys, self._random)
        await self._store.standing.require()
        now_ms = self._clock.now_ms()
        headers: Mapping[str, str] = {
            "Authorization": ServerKey(seed).authorization(
                subscription.endpoint, self._contact, now_ms
            ),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(_LIFE_SECONDS),
            "Urgency": "normal",
        }
        return (await self._outside.post(subscription.endpoint, body, headers)).status


def _single(
    texts: PushTexts,
    target: PushTarget,
    new: tuple[Uid, tuple[Person, ...], str],
    *,
    shows: bool,
) -> Notification:
    uid, senders, subject = new
    tag, path = f"{target.inbox}/{uid}", f"/mail/{target.inbox}/{uid}"
    if not shows:
        return Notification(texts.many(1, more=False), "", tag, path)
    title = texts.one(_name(senders[0]) if senders else "")
    return Notification(title, subject[:_LONGEST_SUBJECT] or texts.no_subject(), tag, path)


def _counted(texts: PushTexts, target: PushTarget, count: int) -> Notification:
    title = texts.many(count, more=count >= _MOST_COUNTED)
    return Notification(title, "", f"{target.inbox}", f"/mail/{target.inbox}")


def _name(person: Person) -> str:
    """Return who wrote; the address where a name could be taken for another one."""
    label = person.address if person.poses_as_address else person.label
    return label[:_LONGEST_NAME]
