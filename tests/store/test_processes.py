"""Several processes on one store, killed at any instruction: what was acknowledged is there."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from kit.store import make_account
from zajil.store.engine.open import Store
from zajil.store.schema import blob, mail, message, recipient

_CHILD = """
import asyncio, os, sys
from pathlib import Path
from zajil.core.address import parse_address
from zajil.store.mail.intake import write_intakes
from kit.store import make_intake, open_test_store, running

url, data_dir, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])

async def hand_in(store, amal, turn):
    while turn[0] < count:
        turn[0] += 1
        large = turn[0] % 50 == 0
        body = os.urandom(300_000 if large else 3000)
        item = make_intake(
            await store.blobs.stage_any([body]), local=[amal], remote=["a@south.test"]
        )
        mail_id = await store.write(write_intakes, item)
        os.write(1, f"{mail_id}\\n".encode())

async def main():
    store = open_test_store(url, data_dir, worker=os.getpid())
    async with running(store):
        amal = (await store.directory.find(parse_address("amal@north.test"))).entry
        turn = [0]
        await asyncio.gather(*[hand_in(store, amal, turn) for _ in range(16)])

asyncio.run(main())
"""


def start_child(url: str, tmp_path: Path, count: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", _CHILD, url, str(tmp_path / "data"), str(count)],
        stdout=subprocess.PIPE,
        bufsize=0,  # what readline() took too early, communicate() would not give back
    )


def check_all_there(store: Store, acknowledged: set[str]) -> int:
    """Every acknowledged mail is whole: its rows, its place in the mailbox, its bytes."""

    def check(conn: sa.Connection) -> int:
        mails = {row.id: row for row in conn.execute(sa.select(mail))}
        assert acknowledged <= mails.keys()
        copies = {row.mail_id: row for row in conn.execute(sa.select(message))}
        states = sa.select(recipient.c.mail_id, recipient.c.state)
        rows = {(row.mail_id, row.state) for row in conn.execute(states)}
        assert copies.keys() == mails.keys()
        assert sorted(row.uid for row in copies.values()) == list(range(1, len(mails) + 1))
        blobs = set(conn.scalars(sa.select(blob.c.id)))
        for mail_id, row in mails.items():
            assert {(mail_id, "delivered"), (mail_id, "waiting")} <= rows
            assert row.blob_id in blobs
            assert len(store.blobs.read(conn, row.blob_id)) == row.size
        return len(mails)

    return store.read_now(check)


def test_two_processes_write_one_store(store: Store, store_url: str, tmp_path: Path) -> None:
    make_account(store, "amal@north.test")
    children = [start_child(store_url, tmp_path, 300) for _ in range(2)]
    acknowledged: set[str] = set()
    for child in children:
        out, _ = child.communicate(timeout=60)
        assert child.returncode == 0
        acknowledged |= set(out.decode().split())
    assert len(acknowledged) == 600
    assert check_all_there(store, acknowledged) == 600


@pytest.mark.timeout(60)
def test_kill_9_loses_nothing_that_was_acknowledged(
    store: Store, store_url: str, tmp_path: Path
) -> None:
    make_account(store, "amal@north.test")
    acknowledged: set[str] = set()
    for lines in (1, 40, 133):
        child = start_child(store_url, tmp_path, 100_000)
        assert child.stdout is not None
        for _ in range(lines):
            acknowledged.add(child.stdout.readline().decode().strip())
        child.send_signal(signal.SIGKILL)
        out, _ = child.communicate(timeout=60)
        # What came before the kill was acknowledged too; a last line may be cut.
        acknowledged |= {line for line in out.decode().split("\n")[:-1] if line}
    assert len(acknowledged) >= 174
    assert check_all_there(store, acknowledged) >= len(acknowledged)
