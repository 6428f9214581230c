"""A PST file and an OST file of Outlook move in, read by readpst."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.foreign import need_node_packages, need_program
from kit.moving import held, move_in
from kit.store import make_account, open_test_store
from zajil.operations.moving.model import NoSource
from zajil.operations.moving.pst import PstSource
from zajil.store.engine.open import Store

pytestmark = [pytest.mark.interop, pytest.mark.timeout(240)]
CALLER = (os.geteuid(), os.getegid())


@pytest.fixture
def amal(tmp_path: Path) -> Iterator[Store]:
    store = open_test_store("sqlite", tmp_path / "data")
    make_account(store, "amal@north.test")
    yield store
    store.close_now()


@pytest.fixture(scope="module")
def files() -> Path:
    """Files of real Outlooks, which the package pst-extractor has for its own tests."""
    need_program("readpst")
    return need_node_packages()[1] / "pst-extractor" / "example" / "testdata"


def counts(store: Store) -> dict[str, int]:
    return {name: len(messages) for name, messages in held(store).items()}


def test_a_file_of_outlook(amal: Store, files: Path, tmp_path: Path) -> None:
    """Folders, dates, read or not; the second run brings nothing, though it reads other bytes."""
    work = tmp_path / "work"
    work.mkdir()
    report = move_in(amal, PstSource(files / "enron.pst", CALLER, work=work))
    top = "lokay-m/MLOKAY (Non-Privileged)"
    assert counts(amal) == {
        top: 1,
        f"{top}/Personal": 47,
        f"{top}/Sent Items": 2,
        f"{top}/Systems": 7,
        f"{top}/TW-Commercial Group": 14,
    }
    message, flags, at_ms = held(amal)[f"{top}/Systems"][0]
    assert b"Subject: How to prepare your expense report\r\n" in message
    assert (flags, at_ms) == (frozenset({"\\Seen"}), 999_151_383_000)
    again = move_in(amal, PstSource(files / "enron.pst", CALLER, work=work))
    assert (again.moved, again.known) == (0, report.moved)
    assert list(work.iterdir()) == []


def test_the_cache_of_an_exchange_account(amal: Store, files: Path) -> None:
    """Its folders have the names that Outlook gives them; appointments are named and left out."""
    path = files / "pstextractortest@outlook.com.ost"
    report = move_in(amal, PstSource(path, CALLER))
    assert counts(amal) == {"INBOX": 10, "Sent": 2, "Sync Issues": 1}
    assert Counter(one.what for one in report.left_out) == {
        "Calendar/calendar: 9 items": 1,
        "Calendar/United States holidays/calendar: 160 items": 1,
    }
    assert move_in(amal, PstSource(path, CALLER)).moved == 0


def test_what_is_no_pst(files: Path, tmp_path: Path) -> None:
    (tmp_path / "x.pst").write_bytes((files / "enron.pst").read_bytes()[:600])
    (tmp_path / "y.pst").write_bytes(b"x")
    for path in tmp_path.glob("*.pst"):
        with pytest.raises(NoSource):
            PstSource(path, CALLER)
