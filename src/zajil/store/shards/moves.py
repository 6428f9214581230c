"""Accounts on their way, in the catalogue: one row for each, with the step that was reached."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.errors import Refused
from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.store.engine.batch import DIRECTORY, touch
from zajil.store.schema import shard_move
from zajil.store.shards.catalogue import NewPlace, set_places


class MoveStep(StrEnum):
    """How far a move is."""

    COPYING = "copying"
    """Bytes of messages are copied; the account works."""
    HOLDING = "holding"
    """It is suspended in its old shard; this can be undone."""
    EMPTIED = "emptied"
    """Its messages are in the new shard alone: the move can only go on."""
    SWITCHED = "switched"
    """The catalogue names the new shard; what is left of it in the old one is removed later."""


class OnItsWay(Refused):
    """The account is being moved, elsewhere or otherwise; the text says how far it is."""


@value_class(frozen=True, slots=True, kw_only=True)
class Move:
    """One account on its way."""

    address_key: str
    login: str
    account_id: AccountId
    from_shard: str
    to_shard: str
    step: MoveStep
    was_active: bool
    """It was not suspended before."""
    since_ms: int
    switched_ms: int | None = None


def list_moves(conn: Connection) -> list[Move]:
    """Return all accounts on their way, the oldest first."""
    return [_move(row) for row in conn.execute(sa.select(shard_move).order_by(_BEGUN))]


def find_move(conn: Connection, account_id: AccountId) -> Move | None:
    """Return how far an account is, whatever its names were; ``None``: it is not on its way."""
    search = sa.select(shard_move).where(shard_move.c.account_id == account_id)
    row = conn.execute(search).one_or_none()
    return None if row is None else _move(row)


def put_move(tx: Connection, items: Sequence[Move]) -> list[None]:
    """Write how far accounts are.

    Unit of work: idempotent; touches the directory, so that workers know who is on the way.
    """
    for item in items:
        tx.execute(sa.delete(shard_move).where(shard_move.c.account_id == item.account_id))
        tx.execute(
            sa.insert(shard_move).values(
                address_key=item.address_key,
                login=item.login,
                account_id=item.account_id,
                from_shard=item.from_shard,
                to_shard=item.to_shard,
                step=item.step.value,
                was_active=item.was_active,
                since_ms=item.since_ms,
                switched_ms=item.switched_ms,
            )
        )
    touch(tx, DIRECTORY)
    return [None] * len(items)


def end_move(tx: Connection, address_keys: Sequence[str]) -> list[None]:
    """Forget moves that were undone, or of which nothing is left to do.

    Unit of work: idempotent; touches the directory.
    """
    tx.execute(sa.delete(shard_move).where(shard_move.c.address_key.in_(address_keys)))
    touch(tx, DIRECTORY)
    return [None] * len(address_keys)


@value_class(frozen=True, slots=True)
class Switch:
    """What ``switch`` takes."""

    move: Move
    """As it is from now on."""
    places: tuple[NewPlace, ...]


def switch(tx: Connection, items: Sequence[Switch]) -> list[None]:
    """Name the new shards of accounts: the one commit that moves them.

    Unit of work: idempotent; touches the directory.
    """
    for item in items:
        set_places(tx, item.places)
        put_move(tx, [item.move])
    return [None] * len(items)


def _move(row: Any) -> Move:
    return Move(
        address_key=row.address_key,
        login=row.login,
        account_id=AccountId(row.account_id),
        from_shard=row.from_shard,
        to_shard=row.to_shard,
        step=MoveStep(row.step),
        was_active=row.was_active,
        since_ms=row.since_ms,
        switched_ms=row.switched_ms,
    )


_BEGUN = shard_move.c.since_ms
