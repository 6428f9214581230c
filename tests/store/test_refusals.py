"""Refused mails in the store: their rows, their indexes, stores of an older version."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from kit.store import (
    NOW_MS,
    make_account,
    make_intake,
    open_test_store,
    small_store_options,
)
from zajil.core.address import parse_address
from zajil.core.ids import MailId, SessionId
from zajil.net.system import SystemClock
from zajil.store import migrations
from zajil.store.engine.life import upgrade_store
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes
from zajil.store.mail.refusals import RefusedMail, find_sessions, record_refused
from zajil.store.mail.tracking import EventBatch, MailQuery, find_mails, load_journey, record_events
from zajil.store.schema import metadata, recipient
from zajil.tracking.events import LoginFailed, MailRefused, SessionClosed

SESSION = SessionId("01m8session0000000000000")
REFUSED = MailRefused(NOW_MS, "451 4.3.0 later")


def refused(mail_id: MailId, header_from: str = "") -> RefusedMail:
    who = (parse_address("noor@south.test"), "451 4.3.0 later")
    return RefusedMail(
        mail_id=mail_id,
        session_id=SESSION,
        at_ms=NOW_MS,
        reverse_path=None,
        header_from=header_from,
        message_id="",
        size=0,
        recipients=(who,),
        events=(REFUSED,),
    )


def test_a_mail_that_was_stored_after_all_stays_as_it_is(store: Store) -> None:
    """COMMIT seemed to fail: the peer got 451, and the mail is there."""
    amal = make_account(store, "amal@north.test")
    item = make_intake(store.blobs.stage([b"a: b\r\n\r\nc\r\n"]), local=[amal])
    store.write_now(write_intakes, item)
    store.write_now(record_refused, refused(item.mail_id))
    journey = store.read_now(lambda conn: load_journey(conn, item.mail_id))
    assert journey is not None
    assert [(copy.address, copy.state) for copy in journey.recipients] == [
        ("amal@north.test", "delivered")
    ]
    assert journey.events[-1].event == REFUSED


def test_a_name_may_hide_a_nul(store: Store) -> None:
    store.write_now(record_refused, refused(MailId("01m8refused00000000000000000"), "a\0b"))
    (found,) = store.read_now(lambda conn: find_mails(conn, MailQuery(refused=True)))
    assert found.header_from == "ab"
    assert found.recipients == (("noor@south.test", "refused"),)


def test_sessions_are_those_without_a_mail_newest_first(store: Store) -> None:
    for at_ms in (1, 3, 2):
        failed = LoginFailed(at_ms, "amal", "PLAIN", "wrong", "imaps", "192.0.2.1")
        store.write_now(record_events, EventBatch(SESSION, None, at_ms, (failed,)))
    closed = SessionClosed(4, "quit", 1)
    store.write_now(record_events, EventBatch(SESSION, MailId("01m8"), 4, (closed,)))
    found = store.read_now(lambda conn: find_sessions(conn, 2, 10))
    assert [one.at_ms for one in found] == [3, 2]
    assert len(store.read_now(lambda conn: find_sessions(conn, 0, 1))) == 1


def test_aliases_and_sessions_are_found_by_an_index(tmp_path: Path) -> None:
    store = open_test_store("sqlite", tmp_path)

    def plan(conn: sa.Connection, statement: str) -> str:
        rows = conn.execute(sa.text(f"EXPLAIN QUERY PLAN {statement}")).all()
        return " ".join(str(row[3]) for row in rows)

    sessions = "SELECT * FROM event WHERE mail_id IS NULL AND at_ms >= 5 ORDER BY at_ms DESC"
    named = "SELECT mail_id FROM recipient WHERE addressed_key = 'a@b.test'"
    with store._dialect.writer.connect() as conn:
        assert "ix_event_without_mail" in plan(conn, sessions)
        assert "ix_recipient_addressed_key" in plan(conn, named)
    store.close_now()


def test_a_store_of_before_learns_the_keys_of_aliases(
    store: Store, store_url: str, tmp_path: Path
) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with store._dialect.writer.begin() as conn:
        metadata.drop_all(conn)
        conn.execute(sa.text("DROP TABLE alembic_version"))
        config.attributes["connection"] = conn
        command.upgrade(config, "0011")
        conn.execute(sa.text(_ROW))
    store._dialect.close()
    upgrade_store(small_store_options(store_url), tmp_path / "data", clock=SystemClock())
    again = open_test_store(store_url, tmp_path / "data")
    key = again.read_now(lambda conn: conn.execute(sa.select(recipient.c.addressed_key)).scalar())
    again.close_now()
    assert key == "team@north.test"


_ROW = """
    INSERT INTO recipient
        (mail_id, position, address, address_key, state, reason, at_ms, tries, addressed_as)
    VALUES ('m', 0, 'far@elsewhere.test', 'far@elsewhere.test', 'delivered', '', 1, 0,
        'Team@north.test')
"""
