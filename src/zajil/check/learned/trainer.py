"""Learns in the background from what users said of their mail.

One worker of all nodes runs it; each mail has a lease, so two at a time do no harm. Nothing is
learned from a mail that is gone. ``check.learned.reputation`` learns from the same moves.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

from zajil.check.learned.lessons import ShareRule, count_left_to_learn, is_junk, is_undo, is_weak
from zajil.check.learned.tokens import tokens_of
from zajil.config.options_words import WordOptions
from zajil.core.clock import Clock
from zajil.core.ids import AccountId, BlobId
from zajil.message.view import MAX_READ
from zajil.net.logger import get_logger
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.engine.reader import Snapshot
from zajil.store.feedback.feedback import find_unlearned, load_model
from zajil.store.feedback.training import Lesson, find_learned, learn
from zajil.store.feedback.training_bounds import Bounds, prune_words
from zajil.store.feedback.training_queue import Feedback, TrainingClaim, claim_training
from zajil.store.mail.blobs import Blobs, NoSuchBlob

_LEASE_MS = 120_000
_IDLE_SECONDS = 5.0
_REST = 15
"""How long it rests after some lessons, to the time that they took: nobody waits for it."""

Learner = Callable[[Feedback, bytes], Awaitable[None]]
"""Is told what was said of a mail, with its bytes as far as they are read; ``b""``: it is gone."""


class Trainer:
    """Learns for one store."""

    def __init__(
        self, store: Store, options: WordOptions, clock: Clock, learners: Sequence[Learner] = ()
    ) -> None:
        self._store = store
        self._options = options
        self._clock = clock
        self._learners = learners
        self._share = ShareRule(options.share_percent)
        self._log = get_logger()

    async def run(self) -> None:
        """Learn what is due, again and again; until cancelled."""
        while True:
            done, began = 0, time.monotonic()
            try:
                done = await self.learn_due()
            except StoreUnavailable as error:
                self._log.warning("cannot learn from moved mail", reason=str(error))
            took = time.monotonic() - began
            await asyncio.sleep(took * _REST if done else _IDLE_SECONDS)

    async def learn_due(self) -> int:
        """Learn some of what waits; return how many mails it was.

        Raises:
            StoreUnavailable: what was not learned is due again when its lease has ended.
        """
        now_ms = self._clock.now_ms()
        claim = TrainingClaim(now_ms, now_ms + _LEASE_MS)
        due = await self._store.write(claim_training, claim)
        if not due:
            return 0
        known = await self._store.read(lambda conn: find_learned(conn, due))
        lessons = []
        for said in due:
            head = await self._read(said.blob_id)
            for learner in self._learners:
                await learner(said, head)
            is_vain = is_weak(said.kind) and (said.account_id, said.blob_id) in known
            lesson = Lesson(
                account_id=said.account_id,
                blob_id=said.blob_id,
                is_junk=is_junk(said.kind),
                tokens=frozenset() if is_vain else await self._tokens(head),
                kind=said.kind,
                lease_until_ms=claim.lease_until_ms,
                is_weak=is_weak(said.kind),
                is_undo=is_undo(said.kind),
                may_share=self._share.permits,
            )
            lessons.append(lesson)
        learned = await self._learn(lessons)
        junk = Counter([one.account_id for one in learned if one.is_junk and not one.is_undo])
        for account_id, count in junk.items():
            await self._learn_left(account_id, count)
        return len(due)

    async def _learn_left(self, account_id: AccountId, learned: int) -> None:
        """Learn a little of what the account has read and left, beside what it does not want."""
        left = await self._store.read(lambda conn: _find_left(conn, account_id, learned))
        lessons = [
            Lesson(
                account_id=account_id,
                blob_id=blob_id,
                is_junk=False,
                tokens=await self._tokens(await self._read(blob_id)),
                is_weak=True,
                may_share=self._share.permits,
            )
            for blob_id in left
        ]
        await self._learn(lessons)

    async def _learn(self, lessons: Sequence[Lesson]) -> list[Lesson]:
        """Learn in one commit; return those of which something was learned."""
        writes = [self._store.write(learn, one) for one in lessons]
        results = await asyncio.gather(*writes)
        return [one for one, is_done in zip(lessons, results, strict=True) if is_done]

    async def _tokens(self, head: bytes) -> frozenset[str]:
        """Return the words to learn; those of a large mail take some milliseconds in a thread."""
        if not self._options.learn or not head:
            return frozenset()
        return await asyncio.to_thread(tokens_of, head)

    async def _read(self, blob_id: BlobId) -> bytes:
        """Return a message as far as it is read; nothing: it is gone."""
        return await self._store.read(lambda conn: _read_head(self._store.blobs, conn, blob_id))

    async def prune(self) -> None:
        """Forget the rarest words of models that have too many.

        Raises:
            StoreUnavailable: nothing was forgotten.
        """
        options = self._options
        bounds = Bounds(options.max_words, options.max_words_per_account)
        await self._store.write(prune_words, bounds)


def _read_head(blobs: Blobs, conn: Snapshot, blob_id: BlobId) -> bytes:
    try:
        with blobs.open(conn, blob_id) as reader:
            return reader.read_at(0, MAX_READ)
    except NoSuchBlob:
        return b""


def _find_left(conn: Snapshot, account_id: AccountId, learned: int) -> list[BlobId]:
    model = load_model(conn, account_id)
    limit = 0 if model is None else count_left_to_learn(model.junk, model.ham, learned)
    return find_unlearned(conn, account_id, limit) if limit else []
