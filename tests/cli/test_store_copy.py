"""`zajil store copy` as an operator meets it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from kit.command_line import Run


@pytest.fixture
def address(postgres_url: str, tmp_path: Path) -> Iterator[Path]:
    """A file with the address of a schema that nobody has made."""
    file = tmp_path / "store.url"
    file.write_text(f"{postgres_url}_cli\n")
    file.chmod(0o600)
    yield file
    name = f"{postgres_url}_cli".rpartition("%3D")[2]
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(f'DROP SCHEMA IF EXISTS "{name}" CASCADE'.encode())


def test_a_store_is_moved_as_the_page_says(run: Run, address: Path) -> None:
    """The accounts are in PostgreSQL afterwards, and the old store says so."""
    assert run("account", "add", "amal@north.test")[0] == 0
    accounts = json.loads(run("account", "list", "--json")[1])
    status, out, err = run("store", "copy", "--url-file", str(address))
    assert status == 0, err  # progress may stand on standard error
    assert "copied and compared: 0 messages, " in out
    assert "the store is now the schema test_" in out
    status, out, err = run("account", "list")
    assert (status, out) == (1, "")
    assert "has moved to the schema test_" in err
    assert "set store.url to its address" in err
    moved = ("--set", f'store.url={{ file = "{address}" }}')
    assert json.loads(run(*moved, "account", "list", "--json")[1]) == accounts
    assert run(*moved, "store", "check")[0] == 0


def test_a_wrong_address_changes_nothing(run: Run, tmp_path: Path) -> None:
    """And its password is not printed."""
    file = tmp_path / "store.url"
    file.write_text("postgresql://zajil:secret@127.0.0.1:1/zajil\n")
    other = "mysql://zajil:secret@127.0.0.1/zajil"
    for expected, arguments in ((1, ["--url-file", str(file)]), (2, [other])):
        status, out, err = run("store", "copy", *arguments)
        assert (status, out) == (expected, "")
        assert "secret" not in err
    file.write_text("postgresql://zajil:sec@ret@127.0.0.1:1/zajil\n")
    status, _, err = run("store", "copy", "--url-file", str(file))
    assert (status, "special character" in err, "ret@" in err) == (2, True, False)
    assert "is not an address" in run("store", "copy", "sqlite")[2]
    assert run("store", "copy")[0] == 2
    assert run("account", "list")[0] == 0
