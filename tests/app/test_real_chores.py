"""A real server: each chore has one holder, whatever number of workers there is."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from kit.certificates import TestAuthority
from kit.installation import running_installation
from kit.store import small_store_options
from zajil.net.system import SystemClock
from zajil.store.engine.chores import ChoreRow, load_chores
from zajil.store.engine.open import open_store

EVERY_CHORE = {
    *("history", "tracking", "traffic", "held accounts", "signing keys"),
    *("reports received", "DMARC reports sent", "TLS reports sent", "learning", "learned words"),
    *("alerts", "store check", "digests", "garbage"),
    *("indexing", "notifications", "threads", "expunged messages", "quotas", "deleted messages"),
    *("MTA-STS policies", "backups"),
}


@pytest.mark.timeout(120)
def test_workers_share_the_chores(tmp_path: Path) -> None:
    authority = TestAuthority(tmp_path)
    folder = tmp_path / "mail"
    with running_installation(folder, authority.issue("mail.y.test"), workers=3):
        store = open_store(
            small_store_options("sqlite"),
            folder / "data",
            clock=SystemClock(),
            random=os.urandom,
        )
        rows: dict[str, ChoreRow] = {}
        while not set(rows) >= EVERY_CHORE:  # the workers take them right after they serve
            time.sleep(0.05)
            rows = store.read_now(load_chores)
        assert set(rows) == EVERY_CHORE
        node = store.node_id
        assert {row.holder for row in rows.values()} <= {f"{node}/{worker}" for worker in range(3)}
    rows = store.read_now(load_chores)
    store.close_now()
    assert {row.holder for row in rows.values()} == {""}
