"""The mark of what is recent: each message is taken once, and nobody is told of it."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from kit.store import NOW_MS, make_account
from zajil.core.directory import AccountEntry
from zajil.core.ids import MailboxId, ModSeq, Uid
from zajil.store import migrations
from zajil.store.engine.open import Store
from zajil.store.mail.mailbox_changes import (
    NewMailbox,
    RenameMailbox,
    create_mailbox,
    rename_mailbox,
)
from zajil.store.mail.mailboxes import find_mailbox
from zajil.store.mail.message_changes import (
    ExpungeMessages,
    PutMessage,
    expunge_messages,
    put_messages,
)
from zajil.store.mail.messages import changes_since
from zajil.store.mail.recent import TakeRecent, count_recent, take_recent
from zajil.store.schema import mailbox, metadata


def put(store: Store, account: AccountEntry, box: MailboxId, count: int) -> None:
    for _ in range(count):
        staged = store.blobs.stage([b"Subject: x\r\n\r\n"])
        item = PutMessage(account.account_id, box, staged, frozenset(), NOW_MS)
        store.write_now(put_messages, item)


def take(store: Store, account: AccountEntry, until: int) -> int:
    return store.write_now(take_recent, TakeRecent(account.account_id, account.inbox, Uid(until)))


def recent(store: Store, box: MailboxId) -> int:
    return store.read_now(lambda conn: count_recent(conn, [box]))[box]


def test_each_message_is_taken_once(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    put(store, amal, amal.inbox, 5)
    modseq = ModSeq(store.read_now(lambda conn: _inbox_modseq(conn, amal)))
    assert recent(store, amal.inbox) == 5
    # A session that knows of the first three takes those; the next one the rest.
    assert take(store, amal, 4) == 1
    assert recent(store, amal.inbox) == 2
    assert take(store, amal, 6) == 4
    assert take(store, amal, 6) == 6
    assert take(store, amal, 3) == 3
    assert recent(store, amal.inbox) == 0
    store.write_now(
        expunge_messages,
        ExpungeMessages(amal.account_id, amal.inbox, (Uid(5),), deleted_only=False),
    )
    put(store, amal, amal.inbox, 1)
    assert recent(store, amal.inbox) == 1
    place = (amal.account_id, amal.inbox, modseq, Uid(6))
    changes = store.read_now(lambda conn: changes_since(conn, *place))
    assert changes is not None
    assert [one.uid for one in changes.changed] == [6], "taking changed nothing that is followed"
    assert (changes.recent_from, changes.uid_next) == (6, 7)


def _inbox_modseq(conn: sa.Connection, account: AccountEntry) -> int:
    box = find_mailbox(conn, account.account_id, "INBOX")
    assert box is not None
    return box.modseq


def test_sessions_of_one_batch_do_not_share(store: Store) -> None:
    """What the writer commits together is as good as one after the other."""
    amal = make_account(store, "amal@north.test")
    put(store, amal, amal.inbox, 2)
    item = TakeRecent(amal.account_id, amal.inbox, Uid(3))
    taken = store.write_now(lambda tx, _: [take_recent(tx, [item, item])], None)
    assert taken == [1, 3]


def test_nobody_takes_what_is_anothers(store: Store) -> None:
    amal, sami = make_account(store, "amal@north.test"), make_account(store, "sami@north.test")
    put(store, amal, amal.inbox, 2)
    assert store.write_now(take_recent, TakeRecent(sami.account_id, amal.inbox, Uid(3))) == 3
    assert recent(store, amal.inbox) == 2


def test_renaming_inbox_takes_the_mark_along(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    put(store, amal, amal.inbox, 3)
    take(store, amal, 3)
    store.write_now(create_mailbox, NewMailbox(amal.account_id, "other", NOW_MS))
    store.write_now(rename_mailbox, RenameMailbox(amal.account_id, "INBOX", "old", NOW_MS))
    old = store.read_now(lambda conn: find_mailbox(conn, amal.account_id, "old"))
    assert old is not None
    assert (recent(store, old.mailbox_id), recent(store, amal.inbox)) == (1, 0)
    put(store, amal, amal.inbox, 1)
    assert recent(store, amal.inbox) == 1


def test_in_an_older_store_nothing_is_recent(store: Store) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with store._dialect.writer.begin() as conn:
        metadata.drop_all(conn)
        conn.execute(sa.text("DROP TABLE alembic_version"))
        config.attributes["connection"] = conn
        command.upgrade(config, "0010")
        conn.execute(
            sa.text(
                "INSERT INTO mailbox (account_id, name, uid_validity, uid_next, modseq)"
                " VALUES (7, 'a', 1, 12, 1)"
            )
        )
        command.upgrade(config, "head")
        assert conn.scalar(sa.select(mailbox.c.recent_from)) == 12
