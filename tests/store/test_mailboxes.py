"""Mailboxes in the store: names, UIDVALIDITY, blobs that are let go, whose they are."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from kit.store import NOW_MS, make_account
from zajil.core.directory import AccountEntry
from zajil.core.ids import MailboxId
from zajil.store.engine.open import Store
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.deleted import purge_old
from zajil.store.mail.mailbox_changes import (
    BelowItself,
    DeleteMailbox,
    MailboxExists,
    MailboxIsFixed,
    NameTooLong,
    NewMailbox,
    RenameMailbox,
    create_mailbox,
    delete_mailbox,
    rename_mailbox,
)
from zajil.store.mail.mailboxes import (
    MailboxCounts,
    count_messages,
    find_mailbox,
    find_role,
    get_mailbox,
    list_mailboxes,
)
from zajil.store.mail.message_changes import PutMessage, put_messages
from zajil.store.schema import blob, message


def names(store: Store, account: AccountEntry) -> list[str]:
    boxes = store.read_now(lambda conn: list_mailboxes(conn, account.account_id))
    return [box.name for box in boxes]


def make(store: Store, account: AccountEntry, name: str) -> MailboxId:
    return store.write_now(create_mailbox, NewMailbox(account.account_id, name, NOW_MS))


def put(store: Store, account: AccountEntry, box: MailboxId, text: bytes = b"x") -> None:
    staged = store.blobs.stage([text])
    store.write_now(put_messages, PutMessage(account.account_id, box, staged, frozenset(), NOW_MS))


def test_what_lies_above_is_made_too(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    first = names(store, amal)
    assert first == ["INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"]
    make(store, amal, "أ/ب/ج")
    assert set(names(store, amal)) - set(first) == {"أ", "أ/ب", "أ/ب/ج"}
    with pytest.raises(MailboxExists):
        make(store, amal, "أ/ب")
    junk = store.read_now(lambda conn: find_role(conn, amal.account_id, "junk"))
    assert junk is not None
    assert (junk.name, junk.mailbox_id) == ("Junk", amal.junk)


def test_two_accounts_do_not_see_each_other(store: Store) -> None:
    amal, sami = make_account(store, "amal@north.test"), make_account(store, "sami@north.test")
    box = make(store, amal, "own")
    assert store.read_now(lambda conn: find_mailbox(conn, sami.account_id, "own")) is None
    assert store.read_now(lambda conn: get_mailbox(conn, sami.account_id, box)) is None
    with pytest.raises(NoSuchMailbox):
        store.write_now(delete_mailbox, DeleteMailbox(sami.account_id, "own"))
    with pytest.raises(NoSuchMailbox):
        put(store, sami, box)


def test_delete_lets_go_of_the_blobs(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    put(store, amal, make(store, amal, "gone"))
    store.write_now(delete_mailbox, DeleteMailbox(amal.account_id, "gone"))

    def count(table: sa.Table) -> int:
        query = sa.select(sa.func.count()).select_from(table)
        return store.read_now(lambda conn: conn.execute(query).scalar_one())

    # The message can be restored until it is too old.
    assert (count(message), count(blob)) == (0, 1)
    store.write_now(purge_old, 1 << 50)
    assert (count(message), count(blob)) == (0, 0)
    for fixed in ("INBOX", "Sent"):
        with pytest.raises(MailboxIsFixed):
            store.write_now(delete_mailbox, DeleteMailbox(amal.account_id, fixed))


def test_rename_with_all_below_and_never_over_another(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    make(store, amal, "a/b/c")
    make(store, amal, "taken/b")

    def rename(name: str, new_name: str) -> None:
        item = RenameMailbox(amal.account_id, name, new_name, NOW_MS)
        store.write_now(rename_mailbox, item)

    before = store.read_now(lambda conn: find_mailbox(conn, amal.account_id, "a/b/c"))
    rename("a", "new/a")
    after = store.read_now(lambda conn: find_mailbox(conn, amal.account_id, "new/a/b/c"))
    assert before is not None
    assert after is not None
    assert after.mailbox_id == before.mailbox_id
    assert after.uid_validity != before.uid_validity
    assert {"new", "new/a", "new/a/b", "new/a/b/c"} <= set(names(store, amal))
    assert "a" not in names(store, amal)
    with pytest.raises(MailboxExists):
        rename("new/a", "taken")
    with pytest.raises(BelowItself):
        rename("new", "new/below")
    with pytest.raises(NoSuchMailbox):
        rename("none", "x")
    with pytest.raises(NameTooLong):
        rename("new", "y" * 250)
    assert "new/a/b/c" in names(store, amal), "a rename that failed left all as it was"


def test_counts(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    put(store, amal, amal.inbox, b"12345")
    counts = store.read_now(lambda conn: count_messages(conn, [amal.inbox, amal.junk]))
    assert counts == {amal.inbox: MailboxCounts(1, 1, 5), amal.junk: MailboxCounts(0, 0, 0)}
