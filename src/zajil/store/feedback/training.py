"""The words that are learned from what users say of their mail (``training_queue``).

Laws:
- One mail teaches an account once; what is said last counts, and what was learned is unlearned.
- An account teaches the installation (account 0) too, as far as the rule of the caller permits
  (``check.learned.lessons``).
- Rows are written in the order of their keys, so that two nodes cannot deadlock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.feedback import FeedbackKind
from zajil.core.ids import AccountId, BlobId
from zajil.core.value_class import value_class
from zajil.store.engine.rows import AT_ONCE, execute_text, portions, values
from zajil.store.feedback.training_queue import Feedback, forget_claimed
from zajil.store.schema import trained, training, word, word_model

INSTALLATION = AccountId(0)
"""Whose words count for every account."""


@value_class(frozen=True, slots=True, kw_only=True)
class Lesson:
    """One mail that is learned; ``tokens`` is empty if it is gone."""

    account_id: AccountId
    blob_id: BlobId
    is_junk: bool
    tokens: frozenset[str]
    kind: FeedbackKind | None = None
    """As it was claimed; ``None``: it was not in the queue."""
    lease_until_ms: int = 0
    is_weak: bool = False
    """It does not change what was learned of this mail before."""
    is_undo: bool = False
    """It unlearns what was learned of this mail, if that was ``is_junk``."""
    may_share: Callable[[int, int], bool]
    """The rule (``check.learned.lessons``): whether the account may teach the installation too.
    Arguments: mails of this kind that the account has taught it, and that it has learned in all."""


@value_class(frozen=True, slots=True)
class ModelState:
    """How much a model has learned."""

    account_id: AccountId
    version: int
    junk: int
    ham: int


# ---- learning -----------------------------------------------------------------------------------


def learn(tx: Connection, items: Sequence[Lesson]) -> list[bool]:
    """Count the words of mails, and take back what was learned of them before.

    Unit of work: idempotent for a mail; locks the models it changes, in the order of their ids.

    Returns:
        For each item whether anything was learned.
    """
    touched = sorted({item.account_id for item in items} | {INSTALLATION})
    models = _lock_models(tx, touched)
    changes = _Changes(models, _find_trained(tx, items))
    results = [_learn_one(item, changes) for item in items]
    if any(results):
        _write_trained(tx, changes)
        _write_words(tx, changes)
        _write_models(tx, changes)
    claimed = [
        (item.account_id, item.blob_id, item.kind, item.lease_until_ms)
        for item in items
        if item.kind is not None
    ]
    forget_claimed(tx, claimed)
    return results


@dataclass(slots=True)
class _Model:
    junk: int
    ham: int
    shared_junk: int
    shared_ham: int
    is_changed: bool = False

    def add(self, is_junk: bool, sign: int, shared: bool) -> None:
        self.is_changed = True
        if is_junk:
            self.junk = max(0, self.junk + sign)
            self.shared_junk = max(0, self.shared_junk + sign * shared)
        else:
            self.ham = max(0, self.ham + sign)
            self.shared_ham = max(0, self.shared_ham + sign * shared)


class _Trained(NamedTuple):
    """What was learned of one mail."""

    is_junk: bool
    is_shared: bool


class _Changes:
    """What one batch does to the counts."""

    def __init__(
        self, models: dict[AccountId, _Model], trained: dict[tuple[AccountId, BlobId], _Trained]
    ) -> None:
        self.models = models
        self.trained = trained
        """What was learned of each mail, as far as anything was."""
        self.new: set[tuple[AccountId, BlobId]] = set()
        """Mails of which something else was learned now."""
        self.gone: set[tuple[AccountId, BlobId]] = set()
        """Mails of which everything was unlearned now."""
        self.words: Counter[tuple[AccountId, str, str]] = Counter()
        """By account, word and column."""

    def count(self, lesson: Lesson, is_junk: bool, is_shared: bool, sign: int) -> None:
        """Learn (1) or unlearn (-1) the words of a mail."""
        column = "junk" if is_junk else "ham"
        account_id = lesson.account_id
        self.models[account_id].add(is_junk, sign, is_shared)
        if is_shared:
            self.models[INSTALLATION].add(is_junk, sign, False)
        for token in lesson.tokens:
            self.words[account_id, token, column] += sign
            if is_shared:
                self.words[account_id, token, "shared_" + column] += sign
                self.words[INSTALLATION, token, column] += sign

    def may_share(self, lesson: Lesson) -> bool:
        """Whether the account is still within its share of what the installation learned."""
        if lesson.account_id == INSTALLATION:
            return False
        own, all_ = self.models[lesson.account_id], self.models[INSTALLATION]
        given, total = (
            (own.shared_junk, all_.junk) if lesson.is_junk else (own.shared_ham, all_.ham)
        )
        return lesson.may_share(given, total)


def _learn_one(item: Lesson, changes: _Changes) -> bool:
    if not item.tokens:
        return False
    key = item.account_id, item.blob_id
    before = changes.trained.get(key)
    if item.is_undo:
        return _unlearn_one(item, changes)
    if before is not None:
        if item.is_weak or before.is_junk == item.is_junk:
            return False
        changes.count(item, before.is_junk, before.is_shared, -1)
    is_shared = changes.may_share(item)
    changes.count(item, item.is_junk, is_shared, 1)
    changes.trained[key] = _Trained(item.is_junk, is_shared)
    changes.new.add(key)
    changes.gone.discard(key)
    return True


def _unlearn_one(item: Lesson, changes: _Changes) -> bool:
    key = item.account_id, item.blob_id
    before = changes.trained.get(key)
    if before is None or before.is_junk != item.is_junk:
        return False
    changes.count(item, before.is_junk, before.is_shared, -1)
    del changes.trained[key]
    changes.new.discard(key)
    changes.gone.add(key)
    return True


def _find_trained(
    tx: Connection, items: Sequence[Lesson]
) -> dict[tuple[AccountId, BlobId], _Trained]:
    found: dict[tuple[AccountId, BlobId], _Trained] = {}
    for some in portions({item.blob_id for item in items}):
        for row in tx.execute(_TRAINED, {"ids_": some}):
            found[row.account_id, row.blob_id] = _Trained(row.is_junk, row.is_shared)
    return found


def _write_trained(tx: Connection, changes: _Changes) -> None:
    for account_id, blob_id in sorted(changes.gone):
        tx.execute(
            sa.delete(trained).where(
                trained.c.account_id == account_id, trained.c.blob_id == blob_id
            )
        )
    rows = [
        (*key, changes.trained[key].is_junk, changes.trained[key].is_shared)
        for key in sorted(changes.new)
    ]
    for start in range(0, len(rows), AT_ONCE):
        marks, parameters = values(tx, rows[start : start + AT_ONCE])
        execute_text(
            tx,
            f"INSERT INTO trained (account_id, blob_id, is_junk, is_shared) {marks}"
            " ON CONFLICT (account_id, blob_id)"
            " DO UPDATE SET is_junk = excluded.is_junk, is_shared = excluded.is_shared",
            parameters,
        )


def _lock_models(tx: Connection, account_ids: Sequence[AccountId]) -> dict[AccountId, _Model]:
    marks, parameters = values(tx, [(one, 0, 0, 0, 0, 0) for one in account_ids])
    execute_text(
        tx,
        "INSERT INTO word_model (account_id, version, junk, ham, shared_junk, shared_ham)"
        f" {marks} ON CONFLICT (account_id) DO NOTHING",
        parameters,
    )
    rows = tx.execute(
        sa.select(word_model)
        .where(word_model.c.account_id.in_(account_ids))
        .order_by(word_model.c.account_id)
        .with_for_update()
    )
    return {
        row.account_id: _Model(row.junk, row.ham, row.shared_junk, row.shared_ham) for row in rows
    }


def _write_models(tx: Connection, changes: _Changes) -> None:
    for account_id, model in sorted(changes.models.items()):
        if model.is_changed:
            tx.execute(
                sa.update(word_model)
                .where(word_model.c.account_id == account_id)
                .values(
                    version=word_model.c.version + 1,
                    junk=model.junk,
                    ham=model.ham,
                    shared_junk=model.shared_junk,
                    shared_ham=model.shared_ham,
                )
            )


_TRAINED = sa.select(trained).where(trained.c.blob_id.in_(sa.bindparam("ids_", expanding=True)))
_COLUMNS = ("junk", "ham", "shared_junk", "shared_ham")
_FEWER = ", ".join(
    f"{name} = CASE WHEN word.{name} > d.column{at} THEN word.{name} - d.column{at} ELSE 0 END"
    for at, name in enumerate(_COLUMNS, 3)
)
_MORE = ", ".join(f"{name} = word.{name} + excluded.{name}" for name in _COLUMNS)
_ROWS_AT_ONCE = 2000


def _write_words(tx: Connection, changes: _Changes) -> None:
    more, fewer = _rows(changes, 1), _rows(changes, -1)
    for start in range(0, len(fewer), _ROWS_AT_ONCE):
        marks, parameters = values(tx, fewer[start : start + _ROWS_AT_ONCE])
        execute_text(
            tx,
            f"UPDATE word SET {_FEWER} FROM ({marks}) AS d"  # noqa: S608
            " WHERE word.account_id = d.column1 AND word.word = d.column2",
            parameters,
        )
    for start in range(0, len(more), _ROWS_AT_ONCE):
        marks, parameters = values(tx, more[start : start + _ROWS_AT_ONCE])
        execute_text(
            tx,
            f"INSERT INTO word (account_id, word, {', '.join(_COLUMNS)}) {marks}"
            f" ON CONFLICT (account_id, word) DO UPDATE SET {_MORE}",
            parameters,
        )


def _rows(changes: _Changes, sign: int) -> list[tuple[int, str, int, int, int, int]]:
    by_word: dict[tuple[AccountId, str], dict[str, int]] = {}
    for (account_id, token, column), count in changes.words.items():
        if count * sign > 0:
            by_word.setdefault((account_id, token), {})[column] = count * sign
    return [
        (
            key[0],
            key[1],
            counts.get("junk", 0),
            counts.get("ham", 0),
            counts.get("shared_junk", 0),
            counts.get("shared_ham", 0),
        )
        for key, counts in sorted(by_word.items())
    ]


# ---- reading ------------------------------------------------------------------------------------


def find_learned(conn: Connection, said: Iterable[Feedback]) -> set[tuple[AccountId, BlobId]]:
    """Return of which of these mails their accounts have learned something."""
    wanted = {(one.account_id, one.blob_id) for one in said}
    found: set[tuple[AccountId, BlobId]] = set()
    for some in portions({blob_id for _, blob_id in wanted}):
        rows = conn.execute(_TRAINED, {"ids_": some})
        found.update((row.account_id, row.blob_id) for row in rows)
    return found & wanted


def list_models(conn: Connection, least: int) -> list[ModelState]:
    """Return the models that have learned at least so many mails of both kinds."""
    rows = conn.execute(
        sa.select(word_model).where(word_model.c.junk >= least, word_model.c.ham >= least)
    )
    return [ModelState(row.account_id, row.version, row.junk, row.ham) for row in rows]


def load_words(conn: Connection, account_id: AccountId) -> list[tuple[str, int, int]]:
    """Return all words of a model with their counts in junk and in ham."""
    rows = conn.execute(
        sa.select(word.c.word, word.c.junk, word.c.ham).where(word.c.account_id == account_id)
    )
    return [(row[0], row[1], row[2]) for row in rows]


def find_trained(conn: Connection, account_id: AccountId, blob_id: BlobId) -> bool | None:
    """Return whether an account learned a mail as junk; ``None``: it learned nothing of it."""
    return conn.scalar(
        sa.select(trained.c.is_junk).where(
            trained.c.account_id == account_id, trained.c.blob_id == blob_id
        )
    )


# ---- upkeep -------------------------------------------------------------------------------------


def forget_training(tx: Connection, account_id: AccountId) -> None:
    """Delete what an account taught, and take it from the installation's words too."""
    models = _lock_models(tx, sorted({INSTALLATION, account_id}))
    own, all_ = models[account_id], models[INSTALLATION]
    mine = sa.select(word.c.word, word.c.shared_junk, word.c.shared_ham).where(
        word.c.account_id == account_id, word.c.shared_junk + word.c.shared_ham > 0
    )
    rows = [(0, row[0], row[1], row[2], 0, 0) for row in tx.execute(mine.order_by(word.c.word))]
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        marks, parameters = values(tx, rows[start : start + _ROWS_AT_ONCE])
        execute_text(
            tx,
            f"UPDATE word SET {_FEWER} FROM ({marks}) AS d"  # noqa: S608
            " WHERE word.account_id = d.column1 AND word.word = d.column2",
            parameters,
        )
    tx.execute(
        sa.delete(word).where(word.c.account_id == INSTALLATION, word.c.junk == 0, word.c.ham == 0)
    )
    tx.execute(
        sa.update(word_model)
        .where(word_model.c.account_id == INSTALLATION)
        .values(
            version=word_model.c.version + 1,
            junk=max(0, all_.junk - own.shared_junk),
            ham=max(0, all_.ham - own.shared_ham),
        )
    )
    for table in (word, word_model, trained, training):
        tx.execute(sa.delete(table).where(table.c.account_id == account_id))
