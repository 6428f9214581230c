"""Many rows in one statement, whatever is NULL in which of them."""

from __future__ import annotations

import random
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from zajil.store.engine.open import Store
from zajil.store.engine.rows import each_among, execute_text, insert_rows
from zajil.store.schema import account, event, recipient

Row = tuple[str | None, str | None, int, str]

COLUMNS = (event.c.mail_id, event.c.session_id, event.c.at_ms, event.c.body)


def insert(tx: Connection, items: Sequence[Sequence[Row]]) -> list[None]:
    for rows in items:
        insert_rows(tx, COLUMNS, rows)
    return [None] * len(items)


def stored(store: Store) -> list[Row]:
    query = sa.select(*COLUMNS).order_by(event.c.at_ms)
    return store.read_now(lambda conn: [tuple(row) for row in conn.execute(query)])


def test_null_in_all_rows_in_some_and_in_none(store: Store) -> None:
    batches: list[list[Row]] = [
        [(None, "s", 0, "x"), (None, None, 1, "y")],
        [("m", None, 2, "%s ? :x"), (None, None, 3, "")],
        [(None, None, 4, "سلام"), (None, None, 5, "'")],
    ]
    for first, rows in enumerate(batches):
        store.write_now(insert, rows)
        assert stored(store)[2 * first :] == rows


def test_more_rows_than_one_statement_takes(store: Store) -> None:
    rows: list[Row] = [("m", "s", number, "x") for number in range(20_000)]
    store.write_now(insert, rows)
    assert stored(store) == rows


def test_no_rows_need_no_statement(store: Store) -> None:
    store.write_now(insert, [])
    assert stored(store) == []


def test_booleans_and_large_numbers(store: Store) -> None:
    columns = (
        *(account.c.login, account.c.address, account.c.address_key, account.c.display_name),
        *(account.c.password_hash, account.c.admin, account.c.active, account.c.created_ms),
    )
    rows = [
        ("a", "a@b.test", "a@b.test", "", "", True, True, 1 << 50),
        ("b", "b@b.test", "b@b.test", "", "", False, True, 0),
    ]

    def unit(tx: Connection, items: Sequence[None]) -> list[None]:
        insert_rows(tx, columns, rows)
        return [None]

    store.write_now(unit, None)
    query = sa.select(*columns).order_by(account.c.login)
    assert store.read_now(lambda conn: [tuple(row) for row in conn.execute(query)]) == rows


def test_a_column_of_text_takes_only_nulls_too(store: Store) -> None:
    columns = (
        *(recipient.c.mail_id, recipient.c.position, recipient.c.address),
        *(recipient.c.address_key, recipient.c.state, recipient.c.reason, recipient.c.at_ms),
        *(recipient.c.tries, recipient.c.next_hop, recipient.c.next_try_ms),
    )
    rows = [
        ("m", 0, "a@b.test", "a@b.test", "waiting", "", 0, 0, "b.test", 7),
        ("m", 1, "c@b.test", "c@b.test", "refused", "", 0, 0, None, None),
    ]

    def unit(tx: Connection, items: Sequence[None]) -> list[None]:
        insert_rows(tx, columns, rows)
        return [None]

    store.write_now(unit, None)
    query = sa.select(*columns).order_by(recipient.c.position)
    assert store.read_now(lambda conn: [tuple(row) for row in conn.execute(query)]) == rows


def test_numbers_in_ranges_and_between(store: Store) -> None:
    """Each number is named once, whatever lies between them."""
    draw = random.Random(7)
    for count in (1, 49, 50, 51, 300, 3000):
        for gap in (1, 2, 40):
            numbers = sorted(draw.sample(range(1, count * gap + 1), count))
            numbers += range(numbers[-1] + 5, numbers[-1] + 5 + draw.randrange(200))

            def ask(conn: Connection, numbers: Sequence[int] = numbers) -> list[int]:
                every = range(1, numbers[-1] + 50)
                series = " UNION ALL ".join([f"SELECT {one} AS n" for one in every[:400]])
                found: list[int] = []
                for which, some in each_among(conn, "n", numbers):
                    query = f"SELECT n FROM ({series}) AS series WHERE {which}"  # noqa: S608
                    found += [n for (n,) in execute_text(conn, query, some)]
                return found

            assert sorted(store.read_now(ask)) == [one for one in numbers if one <= 400]
