"""What a mailbox holds is counted exactly, whatever several processes do with it at once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import sqlalchemy as sa

from kit.store import make_account
from zajil.store.engine.open import Store
from zajil.store.repair.check import find_damage
from zajil.store.schema import mailbox

_CHILD = """
import asyncio, os, random, sys
from pathlib import Path
from zajil.core.address import parse_address
from zajil.core.ids import Uid
from zajil.store.mail.intake import write_intakes
from zajil.store.mail.mailbox_changes import (
    DeleteMailbox,
    NewMailbox,
    RenameMailbox,
    create_mailbox,
    delete_mailbox,
    rename_mailbox,
)
from zajil.store.mail.message_changes import (
    ExpungeMessages, PutMessage, expunge_messages, put_messages,
)
from zajil.store.mail.message_copies import CopyMessages, copy_messages, move_messages
from kit.store import NOW_MS, make_intake, open_test_store, running

url, data_dir, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
chosen = random.Random(seed)

async def change(store, amal, number):
    mine, inbox, junk = amal.account_id, amal.inbox, amal.junk
    for step in range(40):
        source, target = chosen.sample([inbox, junk], 2)
        uids = tuple(Uid(chosen.randint(1, 60)) for _ in range(5))
        staged = await store.blobs.stage_any([os.urandom(chosen.randint(1, 3000))])
        name = f"Box {seed} {number} {step}"
        match chosen.randint(0, 6):
            case 0 | 1:
                await store.write(write_intakes, make_intake(staged, local=[amal]))
            case 2:
                await store.write(
                    put_messages, PutMessage(mine, source, staged, frozenset(), NOW_MS)
                )
            case 3:
                await store.write(expunge_messages, ExpungeMessages(mine, source, uids, False))
            case 4:
                await store.write(move_messages, CopyMessages(mine, source, uids, target))
            case 5:
                await store.write(copy_messages, CopyMessages(mine, source, uids, target))
            case 6:
                new = await store.write(create_mailbox, NewMailbox(mine, name, NOW_MS))
                await store.write(copy_messages, CopyMessages(mine, source, uids, new))
                if chosen.random() < 0.5:
                    await store.write(delete_mailbox, DeleteMailbox(mine, name))
                else:
                    moved = RenameMailbox(mine, "INBOX", name + " old", NOW_MS)
                    await store.write(rename_mailbox, moved)

async def main():
    store = open_test_store(url, data_dir, worker=os.getpid())
    async with running(store):
        amal = (await store.directory.find(parse_address("amal@north.test"))).entry
        await asyncio.gather(*[change(store, amal, number) for number in range(4)])

asyncio.run(main())
"""


def test_counts_are_exact_under_concurrency(store: Store, store_url: str, tmp_path: Path) -> None:
    """Two processes put, copy, move, expunge, delete and rename at once."""
    make_account(store, "amal@north.test")
    arguments = [store_url, str(tmp_path / "data")]
    children = [
        subprocess.Popen([sys.executable, "-c", _CHILD, *arguments, str(seed)]) for seed in (1, 2)
    ]
    assert [child.wait(timeout=60) for child in children] == [0, 0]
    assert find_damage(store, is_served=False, progress=lambda done, total: None) == []
    total = sa.select(sa.func.sum(mailbox.c.messages), sa.func.sum(mailbox.c.size))
    messages, size = store.read_now(lambda conn: conn.execute(total).one())
    assert messages > 0
    assert size > messages
