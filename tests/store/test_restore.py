"""Parts of a backup come back into a store that is in use: nothing twice, nothing changed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kit.backups import back_up as make_snapshot
from kit.backups import look_into
from kit.operations import runner
from kit.store import make_account, make_intake, open_test_store, running
from zajil.core.address import parse_address
from zajil.core.directory import AccountEntry
from zajil.core.ids import BlobId, MailboxId, Uid
from zajil.operations.restore_account import (
    Restored,
    RestoreWanted,
    WouldExceedQuota,
    restore_account,
    restore_account_contacts,
)
from zajil.store.backup.read import Snapshot as BackupSnapshot
from zajil.store.backup.target import DamagedBackup
from zajil.store.engine.batch import mailbox_topic
from zajil.store.engine.errors import StoreUnavailable, WrongSchema
from zajil.store.engine.migrate import run_migrations
from zajil.store.engine.open import Store
from zajil.store.engine.sqlite import Sqlite
from zajil.store.mail.annotations import NewAnnotations, set_annotations
from zajil.store.mail.deleted import Chosen, purge_deleted
from zajil.store.mail.intake import write_intakes
from zajil.store.mail.mailbox_changes import (
    DeleteMailbox,
    NewMailbox,
    RenameMailbox,
    create_mailbox,
    delete_mailbox,
    rename_mailbox,
)
from zajil.store.mail.mailboxes import find_mailbox
from zajil.store.mail.message_changes import (
    ExpungeMessages,
    PutMessage,
    expunge_messages,
    put_messages,
)
from zajil.store.mail.message_copies import CopyMessages, copy_messages, move_messages
from zajil.store.mail.room import NewQuota, set_quota
from zajil.store.people.accounts import delete_account
from zajil.store.people.aliases import (
    AliasRow,
    create_alias,
    delete_alias,
    set_targets,
)
from zajil.store.people.domains import DomainRow, create_domain, delete_domain
from zajil.store.people.settings import NewSettings, set_settings
from zajil.store.repair.check import find_damage
from zajil.store.restore import messages as restore_module
from zajil.store.restore.load import Needed, find_account_there, loaded_account
from zajil.store.restore.plan import AddressTaken, NotInBackup
from zajil.store.restore.source import AccountSource, Choice
from zajil.store.schema import (
    account,
    app_password,
    contact,
    mailbox,
    message,
    metadata,
    push_subscription,
    subscription,
)

DAY = 86_400_000

Backup = Callable[[AccountEntry], AccountSource]


@pytest.fixture
def back_up(store: Store, tmp_path: Path) -> Iterator[Backup]:
    """Return a function that makes a backup of the store as it is now, and reads an account."""
    with ExitStack() as stack:

        def copy(owner: AccountEntry) -> AccountSource:
            made = make_snapshot(store, tmp_path / "target")
            snapshot = look_into(tmp_path / "target", made.name)
            was = find_account_there(snapshot, str(owner.address))
            return stack.enter_context(
                loaded_account(snapshot, was, Needed(choice=Choice()), tmp_path)
            )

        yield copy


@pytest.fixture
def amal(store: Store) -> AccountEntry:
    return make_account(store, "amal@north.test")


def put(
    store: Store, owner: AccountEntry, mailbox_id: MailboxId, content: bytes, at_ms: int = 5
) -> Uid:
    flags = frozenset({"\\Seen", "$Important", "\\Deleted"})
    staged = store.blobs.stage([content])
    return store.write_now(
        put_messages, PutMessage(owner.account_id, mailbox_id, staged, flags, at_ms)
    ).uid


def mailbox_of(store: Store, owner: AccountEntry, name: str) -> Any:
    return store.read_now(lambda conn: find_mailbox(conn, owner.account_id, name))


def make_mailbox(store: Store, owner: AccountEntry, name: str) -> MailboxId:
    return store.write_now(create_mailbox, NewMailbox(owner.account_id, name, 1000))


def lose(store: Store, owner: AccountEntry, mailbox_id: MailboxId, *uids: int) -> None:
    """Expunge messages, and remove them for good."""
    item = ExpungeMessages(owner.account_id, mailbox_id, tuple(map(Uid, uids)), deleted_only=False)
    store.write_now(expunge_messages, item)


def contents(store: Store, owner: AccountEntry) -> dict[str, list[tuple[Any, ...]]]:
    """Return what is in each mailbox: flags, keywords, date, thread, bytes; by name, sorted."""

    def read(conn: Any) -> dict[str, list[tuple[Any, ...]]]:
        found: dict[str, list[tuple[Any, ...]]] = {}
        names = sa.select(mailbox).where(mailbox.c.account_id == owner.account_id)
        for box in conn.execute(names).all():
            rows = conn.execute(sa.select(message).where(message.c.mailbox_id == box.id)).all()
            found[box.name] = sorted(
                (
                    row.flags & ~8,
                    row.keywords,
                    row.received_at_ms,
                    row.thread_id or "",
                    row.mail_id or "",
                    row.prefix,
                    store.blobs.read(conn, row.blob_id),
                )
                for row in rows
            )
        return found

    return store.read_now(read)


def every_row(store: Store) -> dict[str, Counter[Any]]:
    def read(conn: Any) -> dict[str, Counter[Any]]:
        return {
            name: Counter(map(tuple, conn.execute(sa.select(table)).all()))
            for name, table in metadata.tables.items()
        }

    return store.read_now(read)


def restore(store: Store, source: AccountSource, **wanted: Any) -> Restored:
    done: Restored = runner(store).run(restore_account, source, RestoreWanted(**wanted))
    damage = find_damage(store, is_served=True, progress=lambda _done, _total: None)
    assert damage == []
    return done


def test_what_is_missing_comes_back_and_what_is_there_stays(
    store: Store, amal: AccountEntry, back_up: Backup
) -> None:
    """One message is there, one was moved, one expunged, one lies in a mailbox that is gone."""
    work = make_mailbox(store, amal, "Work")
    for text in (b"there", b"moved", b"lost"):
        put(store, amal, amal.inbox, b"Subject: " + text + b"\r\n\r\n")
    put(store, amal, work, b"in work\r\n" * 40_000)
    mail = make_intake(store.blobs.stage([b"by mail\r\n"]), local=[amal])
    store.write_now(write_intakes, mail)
    before = contents(store, amal)
    source = back_up(amal)
    archive = mailbox_of(store, amal, "Archive").mailbox_id
    store.write_now(move_messages, CopyMessages(amal.account_id, amal.inbox, (Uid(2),), archive))
    lose(store, amal, amal.inbox, 3, 4)
    store.write_now(delete_mailbox, DeleteMailbox(amal.account_id, "Work"))
    done = restore(store, source)
    assert done.plan.missing == done.messages == 3
    assert done.plan.new_mailboxes == ("Work",)
    after = contents(store, amal)
    moved = after["Archive"].pop()
    after["INBOX"] = sorted([*after["INBOX"], moved])
    assert after == before
    rows = every_row(store)
    assert not rows["deleted_message"]  # taking them back would double them
    again = restore(store, source)
    assert (again.plan.missing, again.messages, again.plan.new_mailboxes) == (0, 0, ())
    assert every_row(store) == rows


def test_a_mailbox_is_found_by_its_id_and_made_anew_with_what_belonged_to_it(
    store: Store, amal: AccountEntry, back_up: Backup
) -> None:
    basim = make_account(store, "basim@north.test")
    for name in ("Work", "Work/Offers", "Plans"):
        box_id = make_mailbox(store, amal, name)
        put(store, amal, box_id, name.encode())
    notes = NewAnnotations(amal.account_id, "Plans", {"/private/comment": b"mine"})
    store.write_now(set_annotations, notes)
    plans = mailbox_of(store, amal, "Plans")
    grant = sa.insert(metadata.tables["mailbox_right"])
    store.write_now(
        lambda tx, items: [
            tx.execute(
                grant, {"mailbox_id": plans.mailbox_id, "account_id": one, "rights": "lr"}
            ).rowcount
            for one in items
        ],
        basim.account_id,
    )
    store.write_now(
        lambda tx, items: [
            tx.execute(
                sa.insert(subscription), {"account_id": amal.account_id, "name": one}
            ).rowcount
            for one in items
        ],
        "Plans",
    )
    source = back_up(amal)
    work = mailbox_of(store, amal, "Work")
    lose(store, amal, work.mailbox_id, 1)
    store.write_now(rename_mailbox, RenameMailbox(amal.account_id, "Work", "Old", 2000))
    make_mailbox(store, amal, "Work")
    store.write_now(delete_mailbox, DeleteMailbox(amal.account_id, "Plans"))
    gone = sa.delete(subscription).where(subscription.c.name == "Plans")
    store.write_now(lambda tx, items: [tx.execute(gone).rowcount for _ in items], None)
    done = restore(store, source)
    assert done.messages == 2
    found = contents(store, amal)
    assert [len(found[name]) for name in ("Old", "Work", "Old/Offers", "Plans")] == [1, 0, 1, 1]
    made = mailbox_of(store, amal, "Plans")
    assert made.mailbox_id != plans.mailbox_id
    assert made.uid_validity > plans.uid_validity
    rows = every_row(store)
    assert [row[-1] for row in rows["annotation"]] == [b"mine"]
    assert [row[:2] for row in rows["mailbox_right"]] == [(made.mailbox_id, basim.account_id)]
    assert (amal.account_id, "Plans") in rows["subscription"]


def test_one_mailbox_and_some_days(store: Store, amal: AccountEntry, back_up: Backup) -> None:
    work, inner = make_mailbox(store, amal, "Work"), make_mailbox(store, amal, "Work/Offers")
    for day in range(4):
        for box_id in (amal.inbox, work, inner):
            put(store, amal, box_id, f"{box_id} {day}".encode(), day * DAY + 5)
    source = back_up(amal)
    for box_id in (amal.inbox, work, inner):
        lose(store, amal, box_id, 1, 2, 3, 4)
    with pytest.raises(NotInBackup, match="no mailbox Wor"):
        restore(store, source, choice=Choice(mailbox="Wor"))
    days = Choice(mailbox="Work", since_ms=DAY, until_ms=3 * DAY)
    assert restore(store, source, choice=days).messages == 4
    found = contents(store, amal)
    assert [len(found[name]) for name in ("INBOX", "Work", "Work/Offers")] == [0, 2, 2]
    assert restore(store, source, choice=Choice(since_ms=3 * DAY)).messages == 3
    assert restore(store, source).messages == 5


def test_all_copies_of_a_message_come_back_in_one_commit(
    store: Store, amal: AccountEntry, back_up: Backup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restore that is interrupted after any commit leaves nothing behind that is half restored:
    the next one adds the rest, and nothing twice."""
    archive = mailbox_of(store, amal, "Archive").mailbox_id
    for number in range(6):
        put(store, amal, amal.inbox, f"{number}".encode())
    uids = tuple(map(Uid, range(1, 7)))
    store.write_now(copy_messages, CopyMessages(amal.account_id, amal.inbox, uids, archive))
    before = contents(store, amal)
    source = back_up(amal)
    lose(store, amal, amal.inbox, *range(1, 7))
    lose(store, amal, archive, *range(1, 7))
    monkeypatch.setattr(restore_module, "BATCH_MESSAGES", 2)
    write_now, left = store.writer.write_now, 0

    def break_off(unit: Any, item: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise StoreUnavailable("killed")
        return write_now(unit, item)

    monkeypatch.setattr(store.writer, "write_now", break_off)
    for left_then in (1, 2, 3, 2, 99):
        left = left_then
        with suppress(StoreUnavailable):
            restore(store, source)
    assert contents(store, amal) == before


def test_an_account_that_is_gone_comes_back_with_all_that_belonged_to_it(
    store: Store, amal: AccountEntry, back_up: Backup
) -> None:
    basim = make_account(store, "basim@north.test")
    own, info, team, only = (
        parse_address(f"{name}@north.test") for name in ("amal", "info", "team", "only")
    )
    store.write_now(create_alias, AliasRow(info, (own,)))
    store.write_now(create_alias, AliasRow(team, (own, basim.address)))
    store.write_now(create_alias, AliasRow(only, (own,)))
    store.write_now(set_settings, NewSettings(amal.account_id, {"language": "ar"}))
    store.write_now(set_quota, NewQuota(amal.account_id, 1 << 30, None))
    work = make_mailbox(store, amal, "Work")
    put(store, amal, work, b"in work")
    put(store, amal, amal.inbox, b"in inbox")
    fill_rows_of(store, amal.account_id)
    rows, before = every_row(store), contents(store, amal)
    source = back_up(amal)
    store.write_now(set_targets, AliasRow(only, (basim.address,)))
    store.write_now(delete_alias, info)
    store.write_now(delete_account, amal.account_id)
    done = restore(store, source)
    assert done.account is not None
    assert done.account.account_id == amal.account_id
    assert sorted(map(str, done.account.aliases)) == ["info@north.test", "team@north.test"]
    assert done.account.not_restored == (
        "the alias only@north.test leads to basim@north.test now, and was left as it is",
    )
    assert contents(store, amal) == before
    after = every_row(store)
    for name in (
        "account_setting",
        "last_login",
        "subscription",
        "totp",
        "passkey",
        "account",
        "domain_admin",
    ):
        assert after[name] == rows[name], name
    assert [row[1:] for row in after["contact"]] == [row[1:] for row in rows["contact"]]
    assert [row[1:] for row in after["app_password"]] == [row[1:] for row in rows["app_password"]]
    (key,), (password,) = after["scram_key"], after["app_password"]
    assert key[1] == password[0]
    assert [row[4:] for row in after["word"] if row[0]] == [(0, 0)]
    assert restore(store, source).account is None
    assert every_row(store) == after


def fill_rows_of(store: Store, account_id: int) -> None:
    """Give an account a row in tables that are filled by log-ins and by learning."""
    rows: dict[str, dict[str, Any]] = {
        "last_login": {"at_ms": 1, "service": "imaps", "peer": "192.0.2.1"},
        "domain_admin": {"domain": "north.test"},
        "totp": {"secret": "A", "last_step": 1, "created_ms": 1},
        "passkey": {
            "credential_id": "c",
            "public_key": b"k",
            "sign_count": 0,
            "name": "key",
            "created_ms": 1,
            "last_challenge": "",
        },
        "word": {"word": "w", "junk": 1, "ham": 2, "shared_junk": 1, "shared_ham": 0},
        "contact": {
            "uid": "u",
            "name": "Salma",
            "sort_key": "salma",
            **dict.fromkeys(("emails", "phones", "groups"), "[]"),
            **dict.fromkeys(("organisation", "note", "words", "photo_type"), ""),
        },
        "app_password": {
            "name": "phone",
            "scope": "imap",
            "label": "abc",
            "password_hash": "!",
            "created_ms": 1,
        },
    }

    def fill(tx: Any, items: Any) -> list[None]:
        for name, row in rows.items():
            tx.execute(sa.insert(metadata.tables[name]), {"account_id": account_id, **row})
        tx.execute(
            sa.insert(metadata.tables["scram_key"]),
            {
                "login": "amal",
                "app_password_id": tx.scalar(sa.select(app_password.c.id)),
                "iterations": 1,
                **dict.fromkeys(("salt", "stored_key", "server_key"), b"s"),
            },
        )
        return [None] * len(items)

    store.write_now(fill, None)


def test_an_address_that_somebody_else_has_is_not_taken(
    store: Store, amal: AccountEntry, back_up: Backup
) -> None:
    put(store, amal, amal.inbox, b"mine")
    source = back_up(amal)
    store.write_now(delete_account, amal.account_id)
    new = make_account(store, "amal@north.test", "amal2")
    late = sa.update(account).values(created_ms=account.c.created_ms + 1)
    store.write_now(lambda tx, items: [tx.execute(late).rowcount for _ in items], None)
    with pytest.raises(AddressTaken, match=r"account amal2 \(amal@north\.test\) has its address"):
        restore(store, source)
    assert restore(store, source, into="amal2").messages == 1
    assert len(contents(store, new)["INBOX"]) == 1
    store.write_now(delete_account, new.account_id)
    basim = make_account(store, "basim@north.test")
    store.write_now(create_alias, AliasRow(amal.address, (basim.address,)))
    with pytest.raises(AddressTaken, match="is an alias now"):
        restore(store, source)


def test_a_quota_is_asked_before_anything_is_changed(
    store: Store, amal: AccountEntry, back_up: Backup
) -> None:
    work = make_mailbox(store, amal, "Work")
    for _ in range(3):
        put(store, amal, work, b"x" * 100)
    source = back_up(amal)
    store.write_now(delete_mailbox, DeleteMailbox(amal.account_id, "Work"))
    store.write_now(set_quota, NewQuota(amal.account_id, None, 2))
    rows = every_row(store)
    with pytest.raises(WouldExceedQuota, match="3 messages with 300 bytes are missing"):
        restore(store, source)
    assert every_row(store) == rows
    assert restore(store, source, ignores_quota=True).messages == 3


def test_a_message_that_the_backup_does_not_have_is_named_and_the_rest_restored(
    store: Store, amal: AccountEntry, back_up: Backup
) -> None:
    for text in (b"one", b"two"):
        put(store, amal, amal.inbox, text)
    source = back_up(amal)
    lose(store, amal, amal.inbox, 1, 2)
    store.write_now(purge_deleted, Chosen(amal.account_id, (1, 2)))
    first = source.conn.scalar(sa.select(sa.func.min(message.c.blob_id)))

    def damaged() -> Iterator[bytes]:
        yield b"o"
        raise DamagedBackup("damaged")

    def open_blobs(blob_ids: Iterable[BlobId]) -> Mapping[BlobId, Callable[[], Iterator[bytes]]]:
        found = dict(source.open_blobs(blob_ids))
        assert first in found
        return found | {first: damaged}

    done = restore(store, replace(source, open_blobs=open_blobs))
    assert (done.messages, list(done.lost)) == (1, [first])


def test_a_backup_of_an_older_schema_is_upgraded_before_it_is_read(
    store: Store, amal: AccountEntry, tmp_path: Path
) -> None:
    """0046 is the first schema of which there can be a backup."""
    put(store, amal, amal.inbox, b"mine")
    made = make_snapshot(store, tmp_path / "target")
    snapshot = look_into(tmp_path / "target", made.name)
    old = "0046"
    with database_of(old, tmp_path / "old.sqlite") as conn:
        names = set(sa.inspect(conn).get_table_names())
    tables = {name: one for name, one in snapshot.manifest.tables.items() if name in names}
    manifest = replace(snapshot.manifest, schema=old, tables=tables)
    older = BackupSnapshot(snapshot._target, snapshot._seal, made.name, manifest)
    lose(store, amal, amal.inbox, 1)
    was = find_account_there(older, "amal")
    with loaded_account(older, was, Needed(choice=Choice()), tmp_path) as source:
        assert restore(store, source).messages == 1
    manifest = replace(snapshot.manifest, schema="9999")
    newer = BackupSnapshot(snapshot._target, snapshot._seal, made.name, manifest)
    with (
        pytest.raises(WrongSchema, match="schema 9999"),
        loaded_account(newer, was, Needed(choice=Choice()), tmp_path),
    ):
        pass


@contextmanager
def database_of(schema: str, path: Path) -> Iterator[Connection]:
    """Make a database with the tables of a schema."""
    database = Sqlite(path)
    try:
        with database.creating() as conn:
            run_migrations(conn, to=schema)
            yield conn
    finally:
        database.close()


def test_contacts_alone(store: Store, amal: AccountEntry, back_up: Backup) -> None:
    fill_rows_of(store, amal.account_id)
    source = back_up(amal)
    work = runner(store)
    assert work.run(restore_account_contacts, source, RestoreWanted()) == 0
    deleted = sa.update(contact).values(deleted_ms=5, name="changed")
    store.write_now(lambda tx, items: [tx.execute(deleted).rowcount for _ in items], None)
    assert work.run(restore_account_contacts, source, RestoreWanted()) == 1
    assert [row[3] for row in every_row(store)["contact"]] == ["Salma"]
    store.write_now(lambda tx, items: [tx.execute(sa.delete(contact)).rowcount for _ in items], 0)
    assert work.run(restore_account_contacts, source, RestoreWanted()) == 1
    assert work.run(restore_account_contacts, source, RestoreWanted()) == 0


def test_open_sessions_hear_of_it_and_browsers_are_not_told(
    store: Store, amal: AccountEntry, back_up: Backup
) -> None:
    """IDLE wakes; a push would call old messages new."""
    put(store, amal, amal.inbox, b"mine")
    source = back_up(amal)
    lose(store, amal, amal.inbox, 1)
    browser = {
        "id": "i",
        "account_id": amal.account_id,
        "token_hash": "t",
        "endpoint": "https://push.test/",
        "public_key": b"",
        "auth": b"",
        "language": "en",
        "told_uid": 2,
        "failures": 0,
    }
    add = sa.insert(push_subscription).values(**browser)
    store.write_now(lambda tx, items: [tx.execute(add).rowcount for _ in items], None)

    async def listen() -> int | None:
        heard = asyncio.Event()
        # The command has a store of its own, as in another process.
        command = open_test_store(store._options.url, store.data_dir, worker=None)
        try:
            async with running(store):
                store.changes.subscribe(mailbox_topic(amal.inbox), heard.set)
                await asyncio.to_thread(restore, command, source)
                await asyncio.wait_for(heard.wait(), 60)
                told = sa.select(push_subscription.c.told_uid)
                return await store.read(lambda conn: conn.scalar(told))
        finally:
            command.close_now()

    assert asyncio.run(listen()) == 3


def test_an_alias_in_a_domain_that_was_removed(
    store: Store, amal: AccountEntry, back_up: Backup
) -> None:
    """It is named, and the account comes back."""
    store.write_now(create_domain, DomainRow("east.test", 0))
    alias = parse_address("amal@east.test")
    store.write_now(create_alias, AliasRow(alias, (parse_address("amal@north.test"),)))
    source = back_up(amal)
    store.write_now(delete_alias, alias)
    store.write_now(delete_account, amal.account_id)
    store.write_now(delete_domain, "east.test")
    done = restore(store, source)
    assert done.account is not None
    assert done.account.not_restored == (
        "amal@east.test was an alias of it, and its domain was removed",
    )
