"""What accounts did with the mail of correspondents: counts that fade, never texts.

A key names a correspondent (``check.sender.correspondent`` makes them). Account 0 is the
installation: its counts are voices. How a deed changes the counts is decided above
(``check.learned.voices``).

Laws:
- A count is halved every 90 days; it is kept as it stood at ``at_ms``.
- The rows of an account go with it. Voices it has given name nobody, and fade.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.store.engine.batch import Topic, touch
from zajil.store.engine.rows import execute_text, values
from zajil.store.schema import reputation

INSTALLATION = AccountId(0)
HISTORY = Topic("history")
"""Somebody judged mail by hand: what is remembered of counts is to be read anew."""
HALF_LIFE_MS = 90 * 86_400_000
MOST_ROWS = 20_000
"""Correspondents kept for one account, and ten times as many for the installation."""
FORGET_MS = 4 * HALF_LIFE_MS
"""After so long without a change, what is left of a count decides nothing."""


class Did(Enum):
    """What an account did with a mail, or what became of it."""

    JUNKED = "junked"
    """Moved to Junk."""
    KEPT = "kept"
    """Moved back from Junk."""
    WRITTEN = "written"
    """Wrote to the correspondent, or answered."""
    SEEN = "seen"
    """Took it into a mailbox other than Junk."""
    UNJUNKED = "unjunked"
    """Undid a move to Junk."""
    UNKEPT = "unkept"
    """Undid a move back from Junk."""


@value_class(frozen=True, slots=True)
class CorrespondentCounts:
    """What is known of one key."""

    junked: float = 0.0
    kept: float = 0.0
    written: float = 0.0
    seen: float = 0.0

    def faded(self, elapsed_ms: int) -> CorrespondentCounts:
        """Return what is left of them after so long; a clock that went back changes nothing."""
        if elapsed_ms <= 0:
            return self
        left = 0.5 ** (elapsed_ms / HALF_LIFE_MS)
        return CorrespondentCounts(
            self.junked * left, self.kept * left, self.written * left, self.seen * left
        )


NOTHING = CorrespondentCounts()


@value_class(frozen=True, slots=True)
class HistoryChange:
    """One deed of an account, about everything that names the correspondent of one mail."""

    account_id: AccountId
    keys: tuple[str, ...]
    did: Did
    at_ms: int


def change_counts(
    tx: Connection,
    items: Sequence[HistoryChange],
    count: Callable[[HistoryRow, HistoryRow, Did], None],
) -> list[None]:
    """Let ``count`` change the row of an account and that of the installation, for each deed.

    Unit of work: not idempotent; locks the rows it changes, in the order of account and key;
    touches ``HISTORY`` where somebody judged by hand.

    Args:
        tx: the transaction.
        items: the deeds.
        count: the rule; gets the row of the account, that of the installation, both brought to the
            time of the deed, and the deed.
    """
    wanted = {(account, key) for item in items for key in item.keys for account in _whose(item)}
    rows = _load_locked(tx, sorted(wanted), max(item.at_ms for item in items))
    for item in items:
        for key in item.keys:
            everybody, own = rows[INSTALLATION, key], rows[item.account_id, key]
            own.fade(item.at_ms)
            everybody.fade(item.at_ms)
            count(own, everybody, item.did)
    _write(tx, rows)
    if any([item.did not in (Did.WRITTEN, Did.SEEN) for item in items]):
        touch(tx, HISTORY)
    return [None] * len(items)


def _whose(item: HistoryChange) -> tuple[AccountId, AccountId]:
    return INSTALLATION, item.account_id


@dataclass(slots=True, kw_only=True)
class HistoryRow:
    """One row while it changes, in the order of the columns."""

    at_ms: int
    junked: float = 0.0
    kept: float = 0.0
    written: float = 0.0
    seen: float = 0.0
    junked_voice: float = 0.0
    kept_voice: float = 0.0
    written_voice: float = 0.0
    seen_voice: float = 0.0

    def fade(self, at_ms: int) -> None:
        """Bring the counts to a later time; a clock that went back changes nothing."""
        if at_ms <= self.at_ms:
            return
        left = 0.5 ** ((at_ms - self.at_ms) / HALF_LIFE_MS)
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) * left)
        self.at_ms = at_ms


_COUNTS = tuple(field.name for field in fields(HistoryRow) if field.name != "at_ms")
_Rows = dict[tuple[AccountId, str], HistoryRow]


def _load_locked(tx: Connection, wanted: Sequence[tuple[AccountId, str]], at_ms: int) -> _Rows:
    """Return these rows, made where they are missing, each locked until the commit."""
    made = [(*pair, at_ms, *[0.0] * len(_COUNTS)) for pair in wanted]
    # It changes nothing, and locks.
    locked = _upsert(tx, made, f"at_ms = reputation.at_ms RETURNING {_NAMES}")
    return {
        (AccountId(account), key): HistoryRow(**dict(zip(("at_ms", *_COUNTS), rest, strict=True)))
        for account, key, *rest in locked
    }


def _write(tx: Connection, rows: _Rows) -> None:
    changed = [
        (*pair, row.at_ms, *[getattr(row, name) for name in _COUNTS])
        for pair, row in sorted(rows.items())
    ]
    _upsert(tx, changed, ", ".join([f"{name} = excluded.{name}" for name in ("at_ms", *_COUNTS)]))


def _upsert(tx: Connection, rows: Sequence[tuple[Any, ...]], change: str) -> list[Any]:
    """Write whole rows; where there is one already, ``change`` says what becomes of it."""
    found: list[Any] = []
    for start in range(0, len(rows), _AT_ONCE):
        marks, parameters = values(tx, rows[start : start + _AT_ONCE])
        # The names are those of ``schema``; every value is a parameter.
        text = f"INSERT INTO reputation ({_NAMES}) {marks}"
        text += f" ON CONFLICT (account_id, key) DO UPDATE SET {change}"
        found += execute_text(tx, text, parameters)
    return found


_AT_ONCE = 2000
"""Rows of one statement: SQLite takes 32,766 parameters."""
_NAMES = ", ".join(["account_id", "key", "at_ms", *_COUNTS])


def note_written(tx: Connection, account_id: AccountId, keys: Iterable[str], at_ms: int) -> None:
    """Remember whom an account writes to; part of another unit.

    Locks the rows, in the order of their keys. It gives no voice: who sends to thousands must not
    vouch for them before all others.
    """
    zeros = [0.0] * len(_COUNTS)
    zeros[_COUNTS.index("written")] = 1.0
    rows = [(account_id, key, at_ms, *zeros) for key in sorted(set(keys))]
    _upsert(tx, rows, _FADE_AND_ADD)


_LEFT = (
    "pow(CAST(0.5 AS DOUBLE PRECISION),"
    f" CAST(excluded.at_ms - reputation.at_ms AS DOUBLE PRECISION) / {HALF_LIFE_MS})"
)
_FADE_AND_ADD = ", ".join(
    ["at_ms = excluded.at_ms"]
    + [f"{name} = reputation.{name} * {_LEFT} + excluded.{name}" for name in _COUNTS]
)


# ---- reading --------------------------------------------------------------------------------


def is_anything_known(conn: Connection) -> bool:
    """Whether anybody has done anything yet."""
    return conn.execute(_ANY).first() is not None


def load_counts(
    conn: Connection, accounts: Iterable[AccountId], keys: Iterable[str], now_ms: int
) -> Mapping[tuple[AccountId, str], CorrespondentCounts]:
    """Return the counts of these accounts for these keys, as they are now; many have none."""
    whose, wanted = tuple(accounts), tuple(keys)
    if not whose or not wanted:
        return {}
    mark = "?" if conn.dialect.paramstyle == "qmark" else "%s"
    # By the driver itself: it is on the way of each mail of somebody new.
    text = (
        "SELECT account_id, key, at_ms, junked, kept, written, seen FROM reputation"  # noqa: S608
        f" WHERE account_id IN ({', '.join([mark] * len(whose))})"
        f" AND key IN ({', '.join([mark] * len(wanted))})"
    )
    return {
        (AccountId(account), key): CorrespondentCounts(*counts).faded(now_ms - at_ms)
        for account, key, at_ms, *counts in execute_text(conn, text, (*whose, *wanted))
    }


def load_written(conn: Connection, account_id: AccountId, keys: Sequence[str]) -> dict[str, int]:
    """Return those of the keys that the account has written to, and when their counts changed."""
    mark = "?" if conn.dialect.paramstyle == "qmark" else "%s"
    found: dict[str, int] = {}
    for start in range(0, len(keys), 10_000):
        part = keys[start : start + 10_000]
        text = (
            f"SELECT key, at_ms FROM reputation WHERE account_id = {mark} AND written > 0"  # noqa: S608
            f" AND key IN ({', '.join([mark] * len(part))})"
        )
        found.update(execute_text(conn, text, (account_id, *part)))
    return found


_ANY = sa.select(reputation.c.key).limit(1)


# ---- forgetting -----------------------------------------------------------------------------


@value_class(frozen=True, slots=True)
class Forgetting:
    """What is to be forgotten."""

    now_ms: int
    too_many: tuple[tuple[AccountId, int], ...] = ()
    """Accounts that know more correspondents than are kept, and how many more."""


def find_too_many(conn: Connection, most: int = MOST_ROWS) -> tuple[tuple[AccountId, int], ...]:
    """Return the accounts that know too many correspondents, and how many too many."""
    count = sa.func.count()
    rows = conn.execute(
        sa.select(reputation.c.account_id, count.label("rows"))
        .group_by(reputation.c.account_id)
        .having(count > most)
    )
    over = [(AccountId(row.account_id), row.rows - _most(row.account_id, most)) for row in rows]
    return tuple([pair for pair in over if pair[1] > 0])


def _most(account_id: int, most: int) -> int:
    return most * 10 if account_id == INSTALLATION else most


def forget(tx: Connection, items: Sequence[Forgetting]) -> list[None]:
    """Forget what has faded, and the oldest that nobody did anything with where there are too many.

    Unit of work: idempotent.
    """
    for item in items:
        tx.execute(sa.delete(reputation).where(reputation.c.at_ms < item.now_ms - FORGET_MS))
        for account_id, excess in item.too_many:
            # Security: who floods an account with made-up senders must not push out those it
            # knows: what it was merely shown goes first.
            oldest = (
                sa.select(reputation.c.key)
                .where(reputation.c.account_id == account_id)
                .order_by(
                    reputation.c.junked + reputation.c.kept + reputation.c.written > 0,
                    reputation.c.at_ms,
                )
                .limit(excess)
            )
            tx.execute(
                sa.delete(reputation).where(
                    reputation.c.account_id == account_id, reputation.c.key.in_(oldest)
                )
            )
    return [None] * len(items)


def delete_reputation_of(tx: Connection, account_ids: Sequence[AccountId]) -> None:
    """Forget what accounts did; part of ``store.people.accounts.delete_account``."""
    tx.execute(sa.delete(reputation).where(reputation.c.account_id.in_(account_ids)))
