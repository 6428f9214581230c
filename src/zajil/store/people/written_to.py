"""To whom an account wrote, and the words by which completion finds people.

Law: ``words`` of a row are the beginnings by which completion finds it, each behind a space, in the
form in which SEARCH compares texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.core.address import BadAddress, parse_address
from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.message.normal_form import search_form
from zajil.store.schema import account, written_to

MOST_WRITTEN_TO = 3000
"""Addresses of one account that are remembered; those that were not written to longest go first."""
_MOST_WORDS = 2000
"""Characters of ``words``."""
_AT_ONCE = 500


@value_class(frozen=True, slots=True)
class WrittenTo:
    """An account wrote to somebody."""

    account_id: AccountId
    address: str
    """In Unicode form."""
    name: str
    at_ms: int


@value_class(frozen=True, slots=True)
class PastRecipient:
    """Somebody whom an account wrote to."""

    address: str
    name: str
    times: int
    last_ms: int


# ---- queries ------------------------------------------------------------------------------------


def find_written_to(
    conn: Connection, account_id: AccountId, beginning: str, limit: int
) -> list[PastRecipient]:
    """Return people to whom an account wrote, of whom a word begins so; the last ones first."""
    query = sa.select(*_HISTORY).where(written_to.c.account_id == account_id)
    for word in search_form(beginning).split():
        query = query.where(begins(written_to.c.words, word))
    rows = conn.execute(query.order_by(written_to.c.last_ms.desc()).limit(limit))
    return [PastRecipient(row.address, row.name, row.times, row.last_ms) for row in rows]


def get_written_to(
    conn: Connection, account_id: AccountId, addresses: Iterable[str]
) -> list[PastRecipient]:
    """Return those of the addresses to which an account wrote."""
    keys = sorted({search_form(one) for one in addresses})
    found: list[PastRecipient] = []
    for start in range(0, len(keys), _AT_ONCE):
        query = sa.select(*_HISTORY).where(
            written_to.c.account_id == account_id,
            written_to.c.address_key.in_(keys[start : start + _AT_ONCE]),
        )
        found += [
            PastRecipient(row.address, row.name, row.times, row.last_ms)
            for row in conn.execute(query)
        ]
    return found


def known_domains(conn: Connection, account_id: AccountId) -> frozenset[str]:
    """Return the domains to which an account wrote more than once, in ASCII."""
    query = (
        sa.select(written_to.c.address)
        .where(written_to.c.account_id == account_id, written_to.c.times > 1)
        .order_by(written_to.c.last_ms.desc())
        .limit(_AT_ONCE)
    )
    found: set[str] = set()
    for address in conn.scalars(query):
        with suppress(BadAddress):
            found.add(parse_address(address).domain)
    return frozenset(found)


# ---- units of work ------------------------------------------------------------------------------


def note_written_to(tx: Connection, items: Sequence[Sequence[WrittenTo]]) -> list[None]:
    """Count that accounts wrote to people. Unit of work: locks the rows of the accounts."""
    flat = [one for item in items for one in item]
    for account_id in sorted({one.account_id for one in flat}):
        if not lock_account(tx, account_id):
            continue
        for one in flat:
            if one.account_id == account_id:
                _note(tx, one)
        _forget_oldest(tx, account_id)
    return [None] * len(items)


def forget_written_to(tx: Connection, items: Sequence[tuple[AccountId, str]]) -> list[None]:
    """Forget that accounts wrote to addresses. Unit of work: idempotent."""
    for account_id, address in items:
        tx.execute(
            sa.delete(written_to).where(
                written_to.c.account_id == account_id,
                written_to.c.address_key == search_form(address),
            )
        )
    return [None] * len(items)


# ---- shared with contacts -----------------------------------------------------------------------

_SEPARATORS = re.compile(r"[\s.@_+,;:()\"'<>/-]+")


def words_of(*texts: str) -> str:
    """Return the beginnings by which completion finds texts, each behind a space."""
    words: dict[str, None] = {}
    for text in texts:
        form = search_form(text).strip()
        words.update(dict.fromkeys([form, *_SEPARATORS.split(form)]))
        # Arabic names are remembered without their article, too.
        words.update(dict.fromkeys(one[2:] for one in list(words) if one.startswith("ال")))
    words.pop("", None)
    return "".join(f" {word}" for word in words)[:_MOST_WORDS]


def begins(column: sa.ColumnElement[str], word: str) -> sa.ColumnElement[bool]:
    """Return whether one of the words of a row begins so."""
    return column.contains(f" {word}", autoescape=True)


def lock_account(tx: Connection, account_id: AccountId) -> bool:
    """Lock the row of an account until the commit; return whether there is one."""
    query = sa.select(account.c.id).where(account.c.id == account_id)
    return tx.execute(query.with_for_update()).first() is not None


# ---- inside -------------------------------------------------------------------------------------

_HISTORY = (
    written_to.c.address,
    written_to.c.name,
    written_to.c.times,
    written_to.c.last_ms,
)


def _note(tx: Connection, one: WrittenTo) -> None:
    key = search_form(one.address)
    row = sa.and_(written_to.c.account_id == one.account_id, written_to.c.address_key == key)
    known = tx.execute(
        sa.select(written_to.c.name, written_to.c.times, written_to.c.last_ms).where(row)
    ).one_or_none()
    name = one.name or (known.name if known else "")
    values = {
        "address": one.address,
        "name": name,
        "words": words_of(name, one.address),
        "times": (known.times if known else 0) + 1,
        "last_ms": max(one.at_ms, known.last_ms if known else 0),
    }
    if known:
        tx.execute(sa.update(written_to).where(row).values(values))
    else:
        values |= {"account_id": one.account_id, "address_key": key}
        tx.execute(sa.insert(written_to).values(values))


def _forget_oldest(tx: Connection, account_id: AccountId) -> None:
    here = written_to.c.account_id == account_id
    oldest = (
        sa.select(written_to.c.last_ms)
        .where(here)
        .order_by(written_to.c.last_ms.desc())
        .offset(MOST_WRITTEN_TO)
        .limit(1)
    )
    last = tx.scalar(oldest)
    if last is not None:
        tx.execute(sa.delete(written_to).where(here, written_to.c.last_ms <= last))
