"""Subscriptions: of names, whose they are, and what an older store had."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Connection

from kit.store import NOW_MS, make_account
from zajil.core.directory import AccountEntry
from zajil.store import migrations
from zajil.store.engine.open import Store
from zajil.store.mail import subscriptions
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.mailbox_changes import (
    DeleteMailbox,
    NewMailbox,
    RenameMailbox,
    create_mailbox,
    delete_mailbox,
    rename_mailbox,
)
from zajil.store.mail.subscriptions import (
    Subscription,
    TooManySubscriptions,
    list_subscriptions,
    set_subscribed,
)
from zajil.store.people.accounts import delete_account
from zajil.store.schema import metadata, subscription

FIRST = {"INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"}


def names(store: Store, account: AccountEntry) -> frozenset[str]:
    return store.read_now(lambda conn: list_subscriptions(conn, account.account_id))


def subscribe(store: Store, account: AccountEntry, name: str, *, to: bool = True) -> None:
    store.write_now(set_subscribed, Subscription(account.account_id, name, to))


def test_a_subscription_is_of_a_name(store: Store) -> None:
    amal, sami = make_account(store, "amal@north.test"), make_account(store, "sami@north.test")
    assert names(store, amal) == FIRST
    store.write_now(create_mailbox, NewMailbox(amal.account_id, "a/b", NOW_MS))
    subscribe(store, amal, "a/b")
    subscribe(store, amal, "a/b")
    assert names(store, amal) == FIRST | {"a/b"}
    store.write_now(rename_mailbox, RenameMailbox(amal.account_id, "a", "c", NOW_MS))
    both = FIRST | {"a/b", "c/b"}
    assert names(store, amal) == both, "only UNSUBSCRIBE removes a name"
    store.write_now(delete_mailbox, DeleteMailbox(amal.account_id, "c/b"))
    assert names(store, amal) == both
    # A subscription of the new name that was left is the same one.
    store.write_now(create_mailbox, NewMailbox(amal.account_id, "d", NOW_MS))
    subscribe(store, amal, "d")
    store.write_now(rename_mailbox, RenameMailbox(amal.account_id, "d", "c/b", NOW_MS))
    assert names(store, amal) == both | {"d"}
    assert names(store, sami) == FIRST
    with pytest.raises(NoSuchMailbox):
        subscribe(store, sami, "c/b")
    for name in ("c/b", "c/b", "a/b", "d"):  # of "c/b" the mailbox is there: nothing to refuse
        subscribe(store, amal, name, to=False)
    assert names(store, amal) == FIRST


def test_a_new_name_does_not_go_beyond_the_limit(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    amal = make_account(store, "amal@north.test")
    store.write_now(create_mailbox, NewMailbox(amal.account_id, "a", NOW_MS))
    subscribe(store, amal, "a")
    monkeypatch.setattr(subscriptions, "MAX_SUBSCRIPTIONS", len(FIRST) + 1)
    store.write_now(rename_mailbox, RenameMailbox(amal.account_id, "a", "b", NOW_MS))
    assert names(store, amal) == FIRST | {"a"}


def test_they_end_with_the_account(store: Store) -> None:
    amal = make_account(store, "amal@north.test")
    store.write_now(delete_account, amal.account_id)
    count = sa.select(sa.func.count()).select_from(subscription)
    assert store.read_now(lambda conn: conn.execute(count).scalar_one()) == 0


def test_there_is_a_most(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deleting what one subscribed to must not fill the store without end."""
    monkeypatch.setattr(subscriptions, "MAX_SUBSCRIPTIONS", 8)
    amal = make_account(store, "amal@north.test")
    for number in range(3):
        store.write_now(create_mailbox, NewMailbox(amal.account_id, f"{number}", NOW_MS))
        if number < 2:
            subscribe(store, amal, f"{number}")
            store.write_now(delete_mailbox, DeleteMailbox(amal.account_id, f"{number}"))
    with pytest.raises(TooManySubscriptions):
        subscribe(store, amal, "2")
    subscribe(store, amal, "0", to=False)
    subscribe(store, amal, "2")


def test_an_older_store_keeps_its_subscriptions(store: Store) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with store._dialect.writer.begin() as conn:
        _upgrade(conn, config, "0008")
        conn.execute(
            sa.text(
                "INSERT INTO mailbox (account_id, name, uid_validity, uid_next, modseq, subscribed)"
                " VALUES (7, 'a', 1, 1, 1, :yes), (7, 'b', 1, 1, 1, :no), (8, 'a', 1, 1, 1, :yes)"
            ),
            {"yes": True, "no": False},
        )
        command.upgrade(config, "head")
        found = conn.execute(sa.select(subscription).order_by(subscription.c.account_id)).all()
        assert [tuple(row) for row in found] == [(7, "a"), (8, "a")]


def _upgrade(conn: Connection, config: Config, revision: str) -> None:
    metadata.drop_all(conn)
    conn.execute(sa.text("DROP TABLE alembic_version"))
    config.attributes["connection"] = conn
    command.upgrade(config, revision)
