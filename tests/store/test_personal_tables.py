"""Each table that can say something about a person is classified."""

from __future__ import annotations

from zajil.store.people.personal_tables import TABLES, Erase, Restore
from zajil.store.schema import metadata


def test_each_table_says_what_becomes_of_a_person() -> None:
    """A new table: decide in ``store.people.personal_tables`` whether it is erased, exported, and
    restored from a backup."""
    assert set(TABLES) == set(metadata.tables)


def test_what_is_restored_as_rows_belongs_to_an_account() -> None:
    for name, treatment in TABLES.items():
        columns = metadata.tables[name].c
        if treatment.restore is Restore.ROWS:
            assert "account_id" in columns, name
        assert {column for column, _ in treatment.reset} <= set(columns.keys()), name
        if "account_id" in columns:
            assert treatment.erase is not Erase.NOBODY, name


def test_what_stays_or_is_not_exported_says_why() -> None:
    for name, treatment in TABLES.items():
        is_shown = treatment.export or treatment.erase is Erase.NOBODY
        assert treatment.why or (is_shown and treatment.erase is not Erase.STAYS), name
