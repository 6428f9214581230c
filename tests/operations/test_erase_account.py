"""A person is erased: the account, journeys, sessions, and the audit trail."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa

from kit.operations import runner
from kit.store import NOW_MS, make_account, make_intake
from zajil.core.actor import Actor, Interface
from zajil.core.address import parse_address
from zajil.core.directory import AccountEntry
from zajil.core.ids import ID_RANDOM_SIZE, MailId, SessionId, new_session_id
from zajil.operations import account_changes, aliases, erase_account, settings
from zajil.operations.accounts import add_account, remove_account
from zajil.operations.erase_account import Erasure, plan_erasure
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.mail.intake import Intake, write_intakes
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.store.people.accounts import NoSuchAccount, find_by_login
from zajil.store.people.aliases import LastTarget
from zajil.store.people.personal_tables import TABLES, Erase
from zajil.store.repair.check import find_damage
from zajil.store.schema import audit, mail, message, metadata, recipient, reputation, word
from zajil.tracking.events import (
    LoggedIn,
    MailAccepted,
    RecipientNamed,
    RecipientRefused,
    SessionOpened,
)
from zajil.tracking.packing import unpack_events


@pytest.fixture
def south(store: Store) -> Store:
    make_account(store, "noor@south.test", admin=True)
    make_account(store, "amal@south.test")
    return store


def run(store: Store, operation: Any, *args: Any, who: str = "", **kwargs: Any) -> Any:
    row = store.read_now(lambda conn: find_by_login(conn, who)) if who else None
    if row is None:
        return runner(store, NOW_MS).run(operation, *args, **kwargs)
    peer = {"amal": "192.0.2.7"}.get(who, "192.0.2.8")
    actor = Actor(row.login, Interface.WEB, peer, row.account_id, is_admin=row.admin)
    return runner(store, NOW_MS, actor).run(operation, *args, **kwargs)


def erase(store: Store, who: str = "amal") -> Erasure:
    plan = store.read_now(lambda conn: plan_erasure(conn, who, store.caps))
    done: Erasure = run(store, erase_account.erase_account, plan)
    damage = find_damage(store, is_served=True, progress=lambda _done, _total: None)
    assert damage == []
    return done


def new_session() -> SessionId:
    return new_session_id(NOW_MS, os.urandom(ID_RANDOM_SIZE))


def accept(store: Store, intake: Intake) -> MailId:
    """Write a mail whose events name its recipients, as those of the server do."""
    named = [str(one.recipient) for some in (intake.local, intake.remote) for one in some]
    events = (
        SessionOpened(NOW_MS, "smtp", "192.0.2.9:1", "192.0.2.1:25"),
        *(RecipientNamed(NOW_MS, one, "local") for one in named),
        MailAccepted(NOW_MS, len(named)),
    )
    store.write_now(write_intakes, replace(intake, events=events, session_id=new_session()))
    return intake.mail_id


def entry(store: Store, name: str) -> AccountEntry:
    from zajil.store.people.directory import look_up

    found = store.read_now(lambda conn: look_up(conn, parse_address(f"{name}@south.test"))).entry
    assert isinstance(found, AccountEntry)
    return found


def everything(store: Store) -> dict[str, str]:
    """Return the text of all rows, by table; events as they are written."""

    def read(conn: Any) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, table in metadata.tables.items():
            rows = []
            for row in conn.execute(sa.select(table)):
                values = dict(row._mapping)
                if name == "mail" and values["events"] is not None:
                    values["events"] = unpack_events(bytes(values["events"]))
                rows.append(repr(values))
            found[name] = "\n".join(rows)
        return found

    return store.read_now(read)


def named_in(store: Store, *texts: str) -> set[str]:
    """Return the tables in which one of the texts is found."""
    found = everything(store)
    return {name for name, text in found.items() if any(one in text.lower() for one in texts)}


def fill(store: Store) -> tuple[MailId, MailId, MailId]:
    """Let amal do everything: mail from, to and with others, changes, log-ins."""
    amal, noor = entry(store, "amal"), entry(store, "noor")
    content = [store.blobs.stage([f"Subject: {number}\r\n\r\n".encode()]) for number in range(3)]
    sent = accept(
        store,
        replace(
            make_intake(content[0], local=[noor], reverse_path="amal@south.test"),
            account_id=amal.account_id,
        ),
    )
    received = accept(store, make_intake(content[1], local=[amal]))
    shared = accept(store, make_intake(content[2], local=[amal, noor]))
    # An address that ends like hers
    other = make_intake(store.blobs.stage([b"x"]), local=[noor], reverse_path="jamal@south.test")
    accept(store, other)
    sessions = [
        EventBatch(new_session(), None, NOW_MS, (LoggedIn(NOW_MS, "amal", "PLAIN", "imaps", ""),)),
        EventBatch(
            new_session(),
            None,
            NOW_MS,
            (
                RecipientRefused(NOW_MS, "Amal@south.test", "452 full"),
                RecipientRefused(NOW_MS, "jamal@south.test", "550 unknown"),
            ),
        ),
    ]
    for one in sessions:
        store.write_now(record_events, one)
    run(store, settings.change_settings, "amal", {"zone": "UTC"}, who="amal")
    run(store, account_changes.rename, "amal", login="amal.b")
    run(store, account_changes.rename, "amal.b", login="amal")
    team = "team@south.test"
    run(store, aliases.add_alias, team, ["amal@south.test", "noor@south.test"], who="noor")
    run(store, account_changes.change_profile, "amal", display_name="Amal Haddad")
    return sent, received, shared


def note_in_filters(store: Store, account_id: int) -> None:
    """Let the filter of an account know amal's address, and one that ends like it."""
    voices = [one.name for one in reputation.c if one.name not in ("account_id", "key", "at_ms")]
    counts = ("junk", "ham", "shared_junk", "shared_ham")

    def note(tx: Any, items: Any) -> list[None]:
        for text in ("amal@south.test", "jamal@south.test"):
            for owner in (0, account_id):
                seen = {"account_id": owner, "key": f"address:{text}", "at_ms": 1}
                tx.execute(sa.insert(reputation), seen | dict.fromkeys(voices, 1.0))
                learned = {"account_id": owner, "word": f"mail:{text}"}
                tx.execute(sa.insert(word), learned | dict.fromkeys(counts, 1))
        return [None] * len(items)

    store.write_now(note, None)


def test_nothing_names_an_erased_person(south: Store) -> None:
    """Every text of every row is looked at, whatever the table."""
    sent, received, shared = fill(south)
    note_in_filters(south, entry(south, "noor").account_id)
    amal_id = entry(south, "amal").account_id
    assert named_in(south, "amal@south.test") >= {"account", "address", "mail", "event", "audit"}
    done = erase(south)
    assert (done.sent, done.received) == (1, 2)
    assert named_in(south, "amal.b", "haddad", "'amal'", '"amal"', "192.0.2.7") == set()
    texts = everything(south)
    assert "jamal@south.test" in texts["event"]
    of_others = {name: text.replace("jamal", "") for name, text in texts.items()}
    assert {name for name, text in of_others.items() if "amal" in text.lower()} == set()
    ids = {
        name
        for name, table in metadata.tables.items()
        if "account_id" in table.c
        and south.read_now(
            lambda conn, table=table: conn.execute(  # type: ignore[misc]
                sa.select(table).where(table.c.account_id == amal_id)
            ).first()
        )
    }
    assert ids == {"audit"}
    left = south.read_now(lambda conn: set(conn.scalars(sa.select(mail.c.id))))
    assert shared in left
    assert len(left) == 2
    assert {sent, received} & left == set()
    noor = entry(south, "noor")
    copies = south.read_now(lambda conn: set(conn.scalars(sa.select(recipient.c.account_id))))
    assert copies == {noor.account_id}
    kept = south.read_now(lambda conn: len(conn.execute(sa.select(message)).all()))
    assert kept == 3  # what noor received is hers
    bodies = south.read_now(lambda conn: conn.scalars(sa.select(audit.c.body)).all())
    assert any(f"erased-{amal_id}" in body and "team@south.test" in body for body in bodies)


def test_an_erasure_that_was_interrupted_continues_with_the_address(
    south: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(south)
    monkeypatch.setattr(erase_account, "PORTION", 1)
    write_now, left = south.writer.write_now, 0

    def break_off(unit: Any, item: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise StoreUnavailable("killed")
        return write_now(unit, item)

    monkeypatch.setattr(south.writer, "write_now", break_off)
    interrupted = 0
    for left_then in count(1):
        left = left_then
        try:
            erase(south, "amal@south.test")
            break
        except StoreUnavailable:
            interrupted += 1
    assert interrupted >= 3
    left = 1000
    assert named_in(south, "amal.b", "haddad", '"amal"', "192.0.2.7", "'amal@south.test") == set()
    with pytest.raises(NoSuchAccount, match="no record names it"):
        erase(south, "amal@south.test")


def test_an_account_that_was_removed_before_is_found_by_its_name_or_address(south: Store) -> None:
    for who in ("amal", "amal@south.test"):
        if south.read_now(lambda conn: find_by_login(conn, "amal")) is None:
            run(south, add_account, parse_address("amal@south.test"))
        fill(south)
        run(south, aliases.remove_alias, "team@south.test")
        run(south, remove_account, "amal")
        assert named_in(south, "amal@south.test") == {
            "mail",
            "recipient",
            "event",
            "audit",
        }
        erase(south, who)
        assert named_in(south, "'amal@south.test", '"amal@south.test') == set()


def test_an_address_elsewhere_is_erased_and_mail_of_others_stays(south: Store) -> None:
    """Somebody who never had an account asks for it."""
    amal = entry(south, "amal")
    for sender in ("x@far.test", "xx@far.test"):
        content = south.blobs.stage([b"Subject: x\r\n\r\n"])
        accept(south, make_intake(content, local=[amal], reverse_path=sender))
    assert erase(south, "x@far.test").sent == 1
    assert named_in(south, "'x@far.test'") == set()
    assert len(south.read_now(lambda conn: conn.execute(sa.select(mail)).all())) == 1


def test_what_waits_in_the_queue_stays_until_it_is_sent(south: Store) -> None:
    amal = entry(south, "amal")
    content = south.blobs.stage([b"Subject: waits\r\n\r\n"])
    intake = make_intake(content, remote=["x@far.test"], reverse_path="amal@south.test")
    mail_id = accept(south, replace(intake, account_id=amal.account_id))
    done = erase(south)
    assert done.plan.mails.waiting == (mail_id,)
    assert named_in(south, "amal@south.test") <= {"mail", "event"}
    sent = sa.update(recipient).values(state="delivered")
    south.write_now(lambda tx, items: [tx.execute(sent).rowcount for _ in items], None)
    assert erase(south, "amal@south.test").sent == 1
    assert named_in(south, "amal@south.test") == set()


def test_names_that_somebody_else_has_now_are_not_the_person_s(south: Store) -> None:
    """amal was renamed, and another person got the old address."""
    run(
        south,
        account_changes.rename,
        "amal",
        login="salma",
        address=parse_address("salma@south.test"),
    )
    run(south, add_account, parse_address("amal@south.test"))
    fill(south)
    before = south.read_now(lambda conn: len(conn.execute(sa.select(mail)).all()))
    erase(south, "salma")
    after = south.read_now(lambda conn: len(conn.execute(sa.select(mail)).all()))
    assert before == after
    assert named_in(south, "salma") == set()
    assert "amal@south.test" in everything(south)["address"]


def test_the_only_target_of_an_alias_is_refused_and_nothing_is_changed(south: Store) -> None:
    run(south, aliases.add_alias, "info@south.test", [str(entry(south, "amal").address)])
    before = everything(south)
    with pytest.raises(LastTarget, match=r"info@south\.test"):
        erase(south)
    assert everything(south) == before


def test_each_table_that_goes_with_an_account_is_emptied(south: Store) -> None:
    """A row in every table that is erased with the account, made by its columns."""
    amal_id = entry(south, "amal").account_id
    tables = [
        metadata.tables[name]
        for name, treatment in TABLES.items()
        if treatment.erase is Erase.ACCOUNT and "account_id" in metadata.tables[name].c
    ]

    def fill_all(tx: Any, items: Any) -> list[None]:
        for table in tables:
            tx.execute(sa.insert(table).values(made_row(table, amal_id)))
        return [None] * len(items)

    south.write_now(fill_all, None)
    run(
        south,
        erase_account.erase_account,
        south.read_now(lambda c: plan_erasure(c, "amal", south.caps)),
    )

    def left(conn: Any) -> set[str]:
        return {
            table.name
            for table in tables
            if conn.execute(sa.select(table).where(table.c.account_id == amal_id)).first()
        }

    assert south.read_now(left) == set()


def made_row(table: sa.Table, account_id: int) -> dict[str, Any]:
    """Return values for the columns that must have one."""
    row: dict[str, Any] = {}
    for column in table.c:
        if column.name == "account_id":
            row[column.name] = account_id
        elif column is table.autoincrement_column or column.nullable or column.server_default:
            continue
        elif isinstance(column.type, sa.Boolean):
            row[column.name] = False
        elif isinstance(column.type, sa.Integer | sa.Float):
            row[column.name] = 77
        elif isinstance(column.type, sa.LargeBinary):
            row[column.name] = b"x"
        else:
            row[column.name] = "[]"
    return row
