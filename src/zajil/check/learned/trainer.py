"""Learns in the background from what users said of their mail.

One worker of all nodes runs it; each mail has a lease, so two at a time do no harm. Nothing is
learned from a mail that is gone. ``check.learned.reputation`` learns from the same moves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from zajil.check.learned.lessons import ShareRule, count_left_to_learn, is_junk, is_weak
from zajil.check.learned.tokens import tokens_of
from zajil.config.options_words import WordOptions
from zajil.core.clock import Clock
from zajil.core.ids import AccountId, BlobId
from zajil.message.view import MAX_READ
from zajil.net.logger import get_logger
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.feedback.feedback import find_unlearned, load_model
from zajil.store.feedback.training import (
    Bounds,
    Feedback,
    Lesson,
    TrainingClaim,
    claim_training,
    learn,
    prune_words,
)
from zajil.store.mail.blobs import NoSuchBlob

_LEASE_MS = 120_000
_IDLE_SECONDS = 5.0

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
            done = 0
            try:
                done = await self.learn_due()
            except StoreUnavailable as error:
                self._log.warning("cannot learn from moved mail", reason=str(error))
            if not done:
                await asyncio.sleep(_IDLE_SECONDS)

    async def learn_due(self) -> int:
        """Learn some of what waits; return how many mails it was.

        Raises:
            StoreUnavailable: what was not learned is due again when its lease has ended.
        """
        now_ms = self._clock.now_ms()
        claim = TrainingClaim(now_ms, now_ms + _LEASE_MS)
        due = await self._store.write(claim_training, claim)
        for said in due:
            head = await self._store.read(lambda conn, said=said: self._read(conn, said.blob_id))  # type: ignore[misc]
            for learner in self._learners:
                await learner(said, head)
            # The words of a large mail take a millisecond; the loop has others to serve.
            tokens = frozenset[str]()
            if self._options.learn and head:
                tokens = await asyncio.to_thread(tokens_of, head)
            lesson = Lesson(
                account_id=said.account_id,
                blob_id=said.blob_id,
                is_junk=is_junk(said.kind),
                tokens=tokens,
                kind=said.kind,
                lease_until_ms=claim.lease_until_ms,
                is_weak=is_weak(said.kind),
                may_share=self._share.permits,
            )
            learned = await self._store.write(learn, lesson)
            if learned and lesson.is_junk:
                await self._learn_left(said.account_id)
        return len(due)

    async def _learn_left(self, account_id: AccountId) -> None:
        """Learn a little of what the account has read and left, beside what it does not want."""
        left = await self._store.read(lambda conn: _find_left(conn, account_id))
        for blob_id in left:
            head = await self._store.read(lambda conn, one=blob_id: self._read(conn, one))  # type: ignore[misc]
            tokens = await asyncio.to_thread(tokens_of, head) if head else frozenset[str]()
            item = Lesson(
                account_id=account_id,
                blob_id=blob_id,
                is_junk=False,
                tokens=tokens,
                is_weak=True,
                may_share=self._share.permits,
            )
            await self._store.write(learn, item)

    async def prune(self) -> None:
        """Forget the rarest words of models that have too many.

        Raises:
            StoreUnavailable: nothing was forgotten.
        """
        options = self._options
        bounds = Bounds(options.max_words, options.max_words_per_account)
        await self._store.write(prune_words, bounds)

    def _read(self, conn: Any, blob_id: BlobId) -> bytes:
        try:
            with self._store.blobs.open(conn, blob_id) as reader:
                return reader.read_at(0, MAX_READ)
        except NoSuchBlob:
            return b""


def _find_left(conn: Any, account_id: AccountId) -> list[BlobId]:
    model = load_model(conn, account_id)
    limit = 0 if model is None else count_left_to_learn(model.junk, model.ham)
    return find_unlearned(conn, account_id, limit) if limit else []
