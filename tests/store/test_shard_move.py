"""The two stores of a move: what is copied, what is compared, what is left behind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kit.store import PostgresServer, make_account, make_intake, open_test_store
from zajil.core.directory import AccountEntry
from zajil.core.ids import AccountId, BlobId
from zajil.store.engine.batch import touch
from zajil.store.engine.open import Store
from zajil.store.mail.blobs import NoSuchBlob
from zajil.store.mail.intake import write_intakes
from zajil.store.people.accounts import (
    NewActive,
    NewPassword,
    NoSuchAccount,
    get_account,
    set_active,
    set_password,
)
from zajil.store.people.directory import find_entry
from zajil.store.people.personal_tables import TABLES, Erase
from zajil.store.schema import account, blob, counter, mailbox, message
from zajil.store.shards.move import (
    AlreadyEmptied,
    CannotMove,
    Emptying,
    Incoming,
    Undone,
    blobs_of_account,
    empty_account,
    let_go,
    put_copied_blobs,
    receive_account,
    remove_copy,
    stage_copies,
)
from zajil.store.shards.numbers import RANGE, WrongShard, keep_to_range, write_number
from zajil.store.shards.rows import BY_ACCOUNT, LEFT_BEHIND, Digests

WHO = "amal@north.test"


@pytest.fixture
def stores(store_url: str, postgres: PostgresServer, tmp_path: Path) -> Iterator[list[Store]]:
    urls = ["sqlite", "sqlite"] if store_url == "sqlite" else [store_url, postgres.new_url()]
    opened = [open_test_store(url, tmp_path / name) for url, name in zip(urls, "ab", strict=True)]
    opened[1].write_now(write_number, 1)
    opened[1].write_now(keep_to_range, 1)
    yield opened
    for store in opened:
        store.close_now()


def fill(store: Store) -> AccountId:
    """Make an account with three messages."""
    who = make_account(store, WHO)
    for number in range(3):
        put_message(store, who, f"Subject: {number}\r\n\r\nText\r\n".encode())
    return who.account_id


def put_message(store: Store, who: AccountEntry, text: bytes) -> None:
    store.write_now(write_intakes, make_intake(store.blobs.stage([text]), local=[who]))


def copy_bytes(source: Store, target: Store, account_id: AccountId) -> list[BlobId]:
    sizes = source.read_now(partial(blobs_of_account, account_id=account_id))
    blobs = source.blobs, target.blobs
    copied = source.read_now(lambda conn: stage_copies(conn, *blobs, list(sizes)))
    target.write_now(put_copied_blobs, copied)
    return list(sizes)


def receive(source: Store, target: Store, account_id: AccountId) -> Digests:
    return source.read_now(
        lambda conn: target.write_now(receive_account, Incoming(conn, account_id))
    )


def rows(store: Store, table: sa.Table) -> list[tuple[object, ...]]:
    columns = [column for column in table.columns if column.name != "indexed"]
    found = store.read_now(
        lambda conn: conn.execute(sa.select(*columns).order_by(*table.primary_key.columns)).all()
    )
    return [tuple(row) for row in found]


def test_every_table_with_rows_of_accounts_is_decided() -> None:
    own_way = {"account", "address", "mailbox", "mailbox_right", "annotation", "message"}
    own_way |= {"expunged", "scram_key"}
    of_accounts = {name for name, one in TABLES.items() if one.erase is Erase.ACCOUNT}
    assert of_accounts == own_way | set(BY_ACCOUNT) | LEFT_BEHIND.keys()


def test_rows_arrive_as_they_were(stores: list[Store]) -> None:
    source, target = stores
    account_id = fill(source)
    make_account(target, "other@north.test")
    source.write_now(set_active, NewActive(account_id, active=False))
    copy_bytes(source, target, account_id)
    copied = receive(source, target, account_id)
    assert [row for row in rows(target, message) if row in rows(source, message)] == rows(
        source, message
    )
    assert set(rows(source, mailbox)) < set(rows(target, mailbox))
    there = target.read_now(partial(get_account, account_id=account_id))
    assert there is not None
    assert not there.active
    assert source.write_now(empty_account, Emptying(account_id, copied))
    assert rows(source, message) == []
    assert source.read_now(partial(blobs_of_account, account_id=account_id)) == {}
    # The next account of the new shard has a number of its own range.
    assert make_account(target, "third@north.test").account_id == RANGE + 2
    source.write_now(let_go, account_id)
    assert source.read_now(partial(get_account, account_id=account_id)) is None


def test_a_damaged_message_stays_one(stores: list[Store]) -> None:
    source, target = stores
    account_id = fill(source)
    source.write_now(forge_digests, None)
    copy_bytes(source, target, account_id)
    digests = target.read_now(lambda conn: list(conn.scalars(sa.select(blob.c.digest))))
    assert digests == [bytes(32)] * 3


def forge_digests(tx: Connection, items: Sequence[None]) -> list[None]:
    tx.execute(sa.update(blob).values(digest=bytes(32)))
    return list(items)


def test_what_changes_meanwhile_is_noticed(stores: list[Store]) -> None:
    source, target = stores
    account_id = fill(source)
    who = source.read_now(partial(find_entry, account_id=account_id))
    assert who is not None
    copy_bytes(source, target, account_id)
    source.write_now(set_active, NewActive(account_id, active=False))
    first = receive(source, target, account_id)
    put_message(source, who, b"Subject: late\r\n\r\nText\r\n")
    assert not source.write_now(empty_account, Emptying(account_id, first))
    assert len(rows(source, message)) == 4
    with pytest.raises(NoSuchBlob):
        receive(source, target, account_id)
    copy_bytes(source, target, account_id)
    second = receive(source, target, account_id)
    assert source.write_now(empty_account, Emptying(account_id, second))
    assert len(rows(target, message)) == 4


def test_an_active_account_is_never_emptied(stores: list[Store]) -> None:
    source, target = stores
    account_id = fill(source)
    copy_bytes(source, target, account_id)
    copied = receive(source, target, account_id)
    assert not source.write_now(empty_account, Emptying(account_id, copied))


def test_a_copy_is_removed_with_its_blobs(stores: list[Store]) -> None:
    source, target = stores
    account_id = fill(source)
    blob_ids = copy_bytes(source, target, account_id)
    receive(source, target, account_id)
    target.write_now(remove_copy, Undone(account_id, tuple(blob_ids)))
    assert rows(target, message) == rows(target, mailbox) == []
    with pytest.raises(NoSuchBlob):
        target.read_now(partial(target.blobs.read, blob_id=blob_ids[0]))
    assert len(rows(source, message)) == 3


def test_names_that_are_taken(stores: list[Store]) -> None:
    source, target = stores
    account_id = fill(source)
    copy_bytes(source, target, account_id)
    make_account(target, "amal@south.test", "amal")
    with pytest.raises(CannotMove, match="the login amal is taken"):
        receive(source, target, account_id)


def test_uid_validity_never_goes_back(stores: list[Store]) -> None:
    source, target = stores
    account_id = fill(source)
    source.write_now(_raise_uid_validity, 4_000_000_000)
    copy_bytes(source, target, account_id)
    receive(source, target, account_id)
    value = sa.select(counter.c.value).where(counter.c.name == "uid_validity")
    assert target.read_now(lambda conn: conn.scalar(value)) == 4_000_000_000


def _raise_uid_validity(tx: sa.Connection, values: Sequence[int]) -> list[None]:
    tx.execute(sa.delete(counter).where(counter.c.name == "uid_validity"))
    tx.execute(sa.insert(counter).values(name="uid_validity", value=values[0]))
    touch(tx)
    return [None]


def test_a_store_is_one_shard_for_ever(stores: list[Store]) -> None:
    main, north = stores
    with pytest.raises(WrongShard, match="belongs to shard number 1, not 2"):
        north.write_now(keep_to_range, 2)
    make_account(main, WHO)
    with pytest.raises(WrongShard, match="has accounts already"):
        main.write_now(write_number, 3)


def test_an_account_that_was_emptied_is_not_copied_again(stores: list[Store]) -> None:
    """The command was killed between the two commits: the messages are in the new shard alone."""
    source, target = stores
    account_id = fill(source)
    blob_ids = copy_bytes(source, target, account_id)
    source.write_now(set_active, NewActive(account_id, active=False))
    copied = receive(source, target, account_id)
    assert source.write_now(empty_account, Emptying(account_id, copied))
    with pytest.raises(AlreadyEmptied):
        receive(source, target, account_id)
    assert not source.write_now(empty_account, Emptying(account_id, copied))
    assert len(rows(target, message)) == 3
    assert set(blob_ids) == set(target.read_now(partial(blobs_of_account, account_id=account_id)))


def test_what_is_left_of_an_emptied_account_rests(stores: list[Store]) -> None:
    """With another password it would look as if it had its messages, and be copied again: over
    the only copy of them.
    """
    source, target = stores
    account_id = fill(source)
    copy_bytes(source, target, account_id)
    source.write_now(set_active, NewActive(account_id, active=False))
    assert source.write_now(
        empty_account, Emptying(account_id, receive(source, target, account_id))
    )
    with pytest.raises(NoSuchAccount, match="in this store"):
        source.write_now(set_password, NewPassword(account_id, "!"))
    with pytest.raises(NoSuchAccount, match="in this store"):
        source.write_now(set_active, NewActive(account_id, active=True))

    def force(tx: Connection, items: Sequence[str]) -> list[None]:
        tx.execute(sa.update(account).values(password_hash=items[0]))
        return [None]

    source.write_now(force, "!")
    with pytest.raises(AlreadyEmptied):
        receive(source, target, account_id)
    assert len(rows(target, message)) == 3


def test_a_node_that_starts_takes_no_id_back(stores: list[Store]) -> None:
    """The others go on: what they have just taken is not counted in any row yet."""
    shard = stores[1]
    if shard.reader.engine.dialect.name != "postgresql":
        pytest.skip("one node")
    fill(shard)
    engine, given = shard.reader._dialect.writer, list[int]()

    def take(*_: object) -> None:
        """Another node takes an id, between any two statements."""
        with shard.reader.engine.connect() as conn:
            conn.execution_options(postgresql_readonly=False)
            given.append(int(conn.scalar(sa.text("SELECT nextval('account_id_seq')")) or 0))

    sa.event.listen(engine, "before_cursor_execute", take)
    shard.write_now(keep_to_range, 1)
    sa.event.remove(engine, "before_cursor_execute", take)
    take()
    assert len(given) == len(set(given)) > 2


def test_an_account_moves_there_and_back(stores: list[Store]) -> None:
    source, target = stores
    account_id = fill(source)
    before = [rows(source, table) for table in (message, mailbox)]
    for one, other in (stores, stores[::-1]):
        one.write_now(set_active, NewActive(account_id, active=False))
        copy_bytes(one, other, account_id)
        copied = receive(one, other, account_id)
        assert one.write_now(empty_account, Emptying(account_id, copied))
        one.write_now(let_go, account_id)
    assert [rows(source, table) for table in (message, mailbox)] == before
    assert rows(target, mailbox) == []
    # It counts its own ids, and not those of who comes back.
    source.write_now(keep_to_range, 0)
    assert make_account(source, "other@north.test").account_id < RANGE
