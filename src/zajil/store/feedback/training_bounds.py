"""The bounds of what is learned: the rarest words of a model that has too many are forgotten."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.value_class import value_class
from zajil.store.feedback.training import INSTALLATION
from zajil.store.schema import word


@value_class(frozen=True, slots=True)
class Bounds:
    """Most words that a model may have."""

    installation: int
    account: int


def prune_words(tx: Connection, items: Sequence[Bounds]) -> list[int]:
    """Forget the rarest words of models that have too many; give how many went.

    Unit of work: idempotent.
    """
    return [_prune(tx, item) for item in items]


def _prune(tx: Connection, item: Bounds) -> int:
    sizes = sa.select(word.c.account_id, sa.func.count().label("size")).group_by(word.c.account_id)
    gone = 0
    for account_id, size in tx.execute(sizes).all():
        bound = item.installation if account_id == INSTALLATION else item.account
        if size > bound:
            # A tenth below the bound, so that this is not done for every mail.
            rarest = (
                sa.select(word.c.word)
                .where(word.c.account_id == account_id)
                .order_by(word.c.junk + word.c.ham, word.c.word)
                .limit(size - bound * 9 // 10)
            )
            gone += tx.execute(
                sa.delete(word).where(word.c.account_id == account_id, word.c.word.in_(rarest))
            ).rowcount
    return gone
