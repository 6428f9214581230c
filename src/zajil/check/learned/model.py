"""The words that were learned, kept in memory by each worker, and what they say of a mail.

Law: who has trained nothing pays nothing: ``judge`` looks at no word then, and asks nobody. What
was learned meanwhile is loaded beside the mails, which do not wait for it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import field

from zajil.check.learned.classifier import WordsOpinion, classify, telling_words
from zajil.check.learned.tokens import find_tokens
from zajil.check.verdict.signals import SIGNALS, make_reason
from zajil.check.verdict.verdict import Reason
from zajil.config.options_words import WordOptions
from zajil.core.clock import Clock
from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.message.view import MessageView
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.feedback.training import INSTALLATION, ModelState, list_models, load_words

_LOOK_EVERY_MS = 30_000
"""How late a worker hears of what another one learned."""


@value_class(frozen=True, slots=True)
class WordFindings:
    """What the words say."""

    reasons: tuple[Reason, ...] = ()
    """By the installation's words: for everybody."""
    by_account: Mapping[AccountId, tuple[Reason, ...]] = field(default_factory=dict)
    """By the words of an account, beside them."""

    def without_praise(self) -> WordFindings:
        """Return what speaks against the mail alone."""
        return WordFindings(
            _against(self.reasons),
            {one: found for one, own in self.by_account.items() if (found := _against(own))},
        )


NOTHING_SAID = WordFindings()


def _against(reasons: tuple[Reason, ...]) -> tuple[Reason, ...]:
    return tuple([reason for reason in reasons if reason.weight > 0])


_MEANT = 2.0
"""What a sign of deceit weighs at least; newsletters have lighter ones."""


def deceives(reasons: Iterable[Reason]) -> bool:
    """Whether a mail was found to deceive.

    Security: a thief writes as those write whom he wants to be taken for, so that words speak for
    his mail too. They do not count then.
    """
    return any(
        [one.weight >= _MEANT and one.signal.startswith(("phish.", "attach.")) for one in reasons]
    )


@value_class(frozen=True, slots=True)
class _Model:
    version: int
    words: dict[str, float]


class Models:
    """The models of one worker."""

    def __init__(self, store: Store, options: WordOptions, clock: Clock) -> None:
        self._store = store
        self._options = options
        self._clock = clock
        self._states: dict[AccountId, ModelState] = {}
        """Models that learned enough to say something."""
        self._models: OrderedDict[AccountId, _Model] = OrderedDict()
        self._looked_ms: int | None = None
        self._look: asyncio.Task[None] | None = None

    async def judge(self, view: MessageView, account_ids: Iterable[AccountId]) -> WordFindings:
        """Return what the words of a mail say, for all and for each of these accounts.

        A store that is away says nothing.
        """
        if not self._options.enabled:
            return NOTHING_SAID
        await self._keep_current()
        if not self._states:
            return NOTHING_SAID
        tokens = None
        reasons: tuple[Reason, ...] = ()
        by_account: dict[AccountId, tuple[Reason, ...]] = {}
        for account_id in (INSTALLATION, *account_ids):
            model = await self._model(account_id)
            if model is None:
                continue
            if tokens is None:
                tokens = find_tokens(view)
            found = reasons_of(classify(tokens, model.words), own=account_id != INSTALLATION)
            if account_id == INSTALLATION:
                reasons = found
            elif found:
                by_account[account_id] = found
        return WordFindings(reasons, by_account) if reasons or by_account else NOTHING_SAID

    async def look(self) -> None:
        """Find out what was learned, now."""
        self._looked_ms = self._clock.now_ms()
        least = self._options.min_mails
        with suppress(StoreUnavailable):
            states = await self._store.read(lambda conn: list_models(conn, least))
            self._states = {one.account_id: one for one in states}
            for account_id in list(self._models):
                state = self._states.get(account_id)
                if state is None:
                    del self._models[account_id]
                elif state.version != self._models[account_id].version:
                    await self._load(state)

    async def _keep_current(self) -> None:
        if self._looked_ms is None:
            await self.look()
        elif self._clock.now_ms() - self._looked_ms >= _LOOK_EVERY_MS and (
            self._look is None or self._look.done()
        ):
            self._look = asyncio.create_task(self.look())

    async def _model(self, account_id: AccountId) -> _Model | None:
        state = self._states.get(account_id)
        if state is None:
            return None
        model = self._models.get(account_id)
        if model is None:
            with suppress(StoreUnavailable):
                return await self._load(state)
            return None
        self._models.move_to_end(account_id)
        return model

    async def _load(self, state: ModelState) -> _Model:
        account_id = state.account_id
        # In the reader's thread: a large model takes a tenth of a second.
        words = await self._store.read(
            lambda conn: telling_words(load_words(conn, account_id), state.junk, state.ham)
        )
        model = _Model(state.version, words)
        self._models[account_id] = model
        self._models.move_to_end(account_id)
        while len(self._models) > self._options.models_in_memory + 1:
            oldest = next(iter(self._models))
            if oldest == INSTALLATION:
                self._models.move_to_end(oldest)
                continue
            del self._models[oldest]
        return model


def reasons_of(opinion: WordsOpinion, *, own: bool) -> tuple[Reason, ...]:
    """Return what an opinion adds to the verdict; nothing if it is none.

    Args:
        opinion: what ``classify`` gave.
        own: by the words of the account itself.
    """
    certainty = opinion.certainty
    if not certainty:
        return ()
    is_junk = opinion.probability > 0.5
    signal = ("words.own-" if own else "words.") + ("junk" if is_junk else "ham")
    words = opinion.junk_words if is_junk else opinion.ham_words
    weight = round(SIGNALS[signal].weight * certainty, 2)
    return (make_reason(signal, weight=weight, words=spell_words(words)),)


def spell_words(words: Iterable[str]) -> str:
    """Write words for a person: ``"pills", "cheap"``; where they stood is left out."""
    plain = dict.fromkeys([word.rpartition(":")[2] or word.rstrip(":") for word in words])
    return ", ".join([f"“{word}”" for word in plain])
