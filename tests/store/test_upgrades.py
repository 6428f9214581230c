"""Upgrades of a store that has rows in it: what a migration does to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from sqlalchemy.engine import Connection

from kit.operations import runner
from kit.store import NOW_MS, make_intake, open_test_store, small_store_options
from zajil.core.ids import ID_RANDOM_SIZE, AccountId, MailboxId, Uid, new_mail_id, new_session_id
from zajil.net.system import SystemClock
from zajil.operations.domains import remove_domain
from zajil.read.indexer import read_summaries
from zajil.store import migrations
from zajil.store.engine.life import upgrade_store
from zajil.store.engine.open import Store
from zajil.store.mail.intake import write_intakes
from zajil.store.mail.maildrops import (
    MaildropFacts,
    MaildropTake,
    OpenEnds,
    delete_maildrops_of,
    load_maildrop_facts,
    record_open_ends,
    take_maildrops,
)
from zajil.store.mail.summaries import find_waiting, newest_summaries, write_summaries
from zajil.store.mail.text_lookup import find_hits, find_unindexed
from zajil.store.mail.tracking import load_journey
from zajil.store.mail.vanished import Cursor, ForgetExpunged, expunged_after, forget_expunged
from zajil.store.people.audit import AuditQuery, find_audit
from zajil.store.schema import app_password, mailbox, metadata, scram_key, subscription
from zajil.tracking.codec import encode_events
from zajil.tracking.events import MailAccepted, SessionOpened


def test_app_passwords_of_pop3_are_removed(store: Store, store_url: str, tmp_path: Path) -> None:
    """They opened nothing, and the scope is no longer known."""
    _go_back(
        store,
        "0012",
        "INSERT INTO app_password (account_id, name, scope, label, password_hash, created_ms)"
        " VALUES (1, 'phone', 'pop3', 'abcd', '', 1), (1, 'tablet', 'imap', 'efgh', '', 1)",
        "INSERT INTO scram_key (login, app_password_id, salt, iterations, stored_key, server_key)"
        " VALUES ('amal', 1, '', 4096, '', ''), ('amal', 2, '', 4096, '', '')",
    )
    upgrade_store(small_store_options(store_url), tmp_path / "data", clock=SystemClock())
    again = open_test_store(store_url, tmp_path / "data")
    kept = again.read_now(
        lambda conn: [
            conn.scalars(sa.select(column)).all()
            for column in (app_password.c.name, scram_key.c.app_password_id)
        ]
    )
    again.close_now()
    assert kept == [["tablet"], [2]]


def test_messages_of_before_are_indexed(store: Store, store_url: str, tmp_path: Path) -> None:
    """The upgrade reads no message: they wait for the indexer, which begins with the oldest."""
    encoded = b"Subject: Tea\n\n".hex()
    tea = f"x'{encoded}'" if store_url == "sqlite" else f"'\\x{encoded}'"
    _go_back(
        store,
        "0015",
        "INSERT INTO mailbox (id, account_id, name, uid_validity, uid_next, modseq)"
        " VALUES (1, 7, 'INBOX', 1, 3, 3)",
        f"INSERT INTO blob (id, size, content) VALUES ('b1', 14, {tea}), ('b2', 0, NULL)",  # noqa: S608
        "INSERT INTO message (mailbox_id, uid, modseq, flags, keywords, received_at_ms, size,"
        " blob_id, prefix) VALUES (1, 1, 2, 0, '', 5, 14, 'b1', ''), (1, 2, 3, 0, '', 5, 0, 'b2',"
        " '')",
    )
    upgrade_store(small_store_options(store_url), tmp_path / "data", clock=SystemClock())
    again = open_test_store(store_url, tmp_path / "data")
    waiting = again.read_now(lambda conn: find_waiting(conn, 10))
    assert [one.blob_id for one in waiting] == ["b1", "b2"]
    new = again.read_now(lambda conn: read_summaries(conn, again.blobs, waiting))
    again.write_now(write_summaries, new)
    page = again.read_now(lambda conn: newest_summaries(conn, MailboxId(1), 10))
    with_tea = again.read_now(lambda conn: find_hits(conn, MailboxId(1), "tea"))
    with_zebra = again.read_now(lambda conn: find_hits(conn, MailboxId(1), "zebra"))
    again.close_now()
    # The second has lost its bytes, so it is read for every search.
    assert with_tea is not None
    assert with_zebra is not None
    assert (list(with_tea.possible), list(with_tea.sure)) == ([1, 2], [1])
    assert (list(with_zebra.possible), list(with_zebra.sure)) == ([2], [])
    assert [
        (row.uid, row.thread_id, found.subject if found and not found.fault else None)
        for row, found in page
    ] == [
        (2, "b2", None),
        (1, "b1", "Tea"),
    ]


def test_expunged_messages_of_before_are_remembered(
    store: Store, store_url: str, tmp_path: Path
) -> None:
    """They are kept as if they were expunged at the upgrade."""
    _go_back(
        store,
        "0019",
        "INSERT INTO mailbox (id, account_id, name, uid_validity, uid_next, modseq)"
        " VALUES (1, 7, 'INBOX', 1, 3, 3)",
        "INSERT INTO expunged (mailbox_id, modseq, uid) VALUES (1, 2, 1), (1, 3, 2)",
    )
    upgrade_store(small_store_options(store_url), tmp_path / "data", clock=SystemClock())
    again = open_test_store(store_url, tmp_path / "data")
    item = ForgetExpunged(AccountId(7), MailboxId(1), 9, SystemClock().now_ms() - 3_600_000)
    assert again.write_now(forget_expunged, item) == 0
    known = again.read_now(lambda conn: expunged_after(conn, MailboxId(1), 1, Cursor(1)))
    again.close_now()
    assert known == ([1, 2], None)


def test_an_upgraded_store_has_an_audit_trail(store: Store, store_url: str, tmp_path: Path) -> None:
    """Rows of before stay, and the first change is recorded."""
    _go_back(
        store,
        "0016",
        "INSERT INTO domain (ascii_name, created_ms) VALUES ('north.test', 1)",
    )
    upgrade_store(small_store_options(store_url), tmp_path / "data", clock=SystemClock())
    again = open_test_store(store_url, tmp_path / "data")
    runner(again).run(remove_domain, "north.test")
    (event,) = again.read_now(lambda conn: find_audit(conn, AuditQuery()))
    again.close_now()
    assert (event.name, event.subject, event.actor) == ("domain.removed", "north.test", "boss")


def test_events_of_before_are_still_in_journeys(
    store: Store, store_url: str, tmp_path: Path
) -> None:
    """They stay where they were; a new mail of an old session shows how that began."""
    session = new_session_id(NOW_MS, bytes(ID_RANDOM_SIZE))
    first, second, third = (new_mail_id(NOW_MS + n, bytes(ID_RANDOM_SIZE)) for n in range(3))
    opened = SessionOpened(NOW_MS, "smtp", "192.0.2.1:9", "192.0.2.25:25")
    accepted = [MailAccepted(NOW_MS + n, 1) for n in range(3)]
    mails = [(first, encode_events((opened, accepted[0]))), (second, encode_events(accepted[1:2]))]
    _go_back(
        store,
        "0017",
        *[
            "INSERT INTO mail (id, session_id, at_ms, header_from, message_id, size,"  # noqa: S608
            f" needs_smtputf8) VALUES ('{mail_id}', '{session}', {NOW_MS}, '', '', 1, FALSE)"
            for mail_id, _ in mails
        ],
        *[
            "INSERT INTO event (mail_id, session_id, at_ms, body)"  # noqa: S608
            f" VALUES ('{mail_id}', '{session}', {NOW_MS}, '{body}')"
            for mail_id, body in mails
        ],
    )
    upgrade_store(small_store_options(store_url), tmp_path / "data", clock=SystemClock())
    again = open_test_store(store_url, tmp_path / "data")
    item = make_intake(again.blobs.stage([b"x"]), remote=["a@one.test"])
    item = replace(item, mail_id=third, session_id=session, events=tuple(accepted[2:]))
    again.write_now(write_intakes, item)
    journeys = [
        again.read_now(lambda conn: load_journey(conn, one))  # noqa: B023
        for one in (first, second, third)
    ]
    again.close_now()
    assert [[told.event for told in one.events] for one in journeys if one is not None] == [
        [opened, accepted[0]],
        [opened, accepted[1]],
        [opened, accepted[2]],
    ]


def test_messages_of_before_are_counted(store: Store, store_url: str, tmp_path: Path) -> None:
    """Each mailbox knows what it holds, an empty one too."""
    _go_back(
        store,
        "0018",
        "INSERT INTO mailbox (id, account_id, name, uid_validity, uid_next, modseq)"
        " VALUES (1, 7, 'INBOX', 1, 3, 3), (2, 7, 'Sent', 1, 1, 1)",
        "INSERT INTO message (mailbox_id, uid, modseq, flags, keywords, received_at_ms, size,"
        " blob_id, prefix) VALUES (1, 1, 2, 0, '', 5, 14, 'b1', ''), (1, 2, 3, 0, '', 5, 6, 'b2',"
        " '')",
    )
    upgrade_store(small_store_options(store_url), tmp_path / "data", clock=SystemClock())
    again = open_test_store(store_url, tmp_path / "data")
    held = again.read_now(
        lambda conn: conn.execute(
            sa.select(mailbox.c.id, mailbox.c.messages, mailbox.c.size).order_by(mailbox.c.id)
        ).all()
    )
    again.close_now()
    assert [tuple(row) for row in held] == [(1, 2, 20), (2, 0, 0)]


def test_messages_of_before_were_saved_when_they_were_received(
    store: Store, store_url: str, tmp_path: Path
) -> None:
    """What is not known is told by INTERNALDATE."""
    _go_back(
        store,
        "0025",
        "INSERT INTO mailbox (id, account_id, name, uid_validity, uid_next, modseq)"
        " VALUES (1, 7, 'INBOX', 1, 2, 2)",
        "INSERT INTO message (mailbox_id, uid, modseq, flags, keywords, received_at_ms, size,"
        " blob_id, prefix) VALUES (1, 1, 2, 0, '', 5, 14, 'b1', '')",
    )
    upgrade_store(small_store_options(store_url), tmp_path / "data", clock=SystemClock())
    again = open_test_store(store_url, tmp_path / "data")
    box, owner = MailboxId(1), AccountId(7)
    table = again.read_now(lambda conn: again.tables.current(conn, owner, box))
    again.close_now()
    assert list(table.saved_at_ms) == [5]


@pytest.mark.parametrize("revision", ["0026", "0027"])
def test_messages_are_indexed_again_with_all_that_search_looks_for(
    store: Store, store_url: str, tmp_path: Path, revision: str
) -> None:
    """0027 takes letters and marks apart, 0028 has names of files and words of documents."""
    _go_back(
        store,
        revision,
        "INSERT INTO mailbox (id, account_id, name, uid_validity, uid_next, modseq)"
        " VALUES (1, 7, 'INBOX', 1, 3, 2)",
        "INSERT INTO message (mailbox_id, uid, modseq, flags, keywords, received_at_ms, size,"
        " blob_id, prefix, indexed) VALUES (1, 1, 2, 0, '', 5, 14, 'b1', '', 1),"
        " (1, 2, 2, 0, '', 5, 14, 'b2', '', 2)",
        "INSERT INTO text_segment (id, account_id, messages, blob_ids) VALUES (1, 7, 1, '')",
    )
    upgrade_store(small_store_options(store_url), tmp_path / "data", clock=SystemClock())
    again = open_test_store(store_url, tmp_path / "data")
    box, waiting = MailboxId(1), again.read_now(lambda conn: find_waiting(conn, 10))
    assert [one.blob_id for one in waiting] == ["b1", "b2"]
    assert again.read_now(lambda conn: find_unindexed(conn, box)) == [1, 2]
    query = "SELECT count(*) FROM text_segment"
    assert again.read_now(lambda conn: conn.scalar(sa.text(query))) == 0
    again.close_now()


def test_an_upgraded_store_has_maildrops(store: Store, store_url: str, tmp_path: Path) -> None:
    """Accounts of before have one, and it goes with the account."""
    _go_back(
        store,
        "0020",
        "INSERT INTO mailbox (id, account_id, name, uid_validity, uid_next, modseq)"
        " VALUES (1, 7, 'INBOX', 1, 3, 3)",
    )
    upgrade_store(small_store_options(store_url), tmp_path / "data", clock=SystemClock())
    again = open_test_store(store_url, tmp_path / "data")
    owner = AccountId(7)
    take = MaildropTake(account_id=owner, holder="n/0", token="a", now_ms=1, until_ms=2)
    assert again.write_now(take_maildrops, take)
    again.write_now(record_open_ends, OpenEnds(owner, Uid(2), (Uid(1), Uid(2)), ()))
    again.write_now(record_open_ends, OpenEnds(owner, Uid(2), (Uid(2),), (Uid(1),)))
    facts = again.read_now(lambda conn: load_maildrop_facts(conn, owner))
    assert facts == MaildropFacts(Uid(2), frozenset({Uid(2)}))

    def delete(tx: Connection, account_ids: Sequence[AccountId]) -> list[None]:
        delete_maildrops_of(tx, account_ids)
        return [None]

    again.write_now(delete, owner)
    facts = again.read_now(lambda conn: load_maildrop_facts(conn, owner))
    assert facts == MaildropFacts(Uid(0), frozenset())
    again.close_now()


def _go_back(store: Store, revision: str, *rows: str) -> None:
    """Make the tables anew as they were at a revision, put rows into them, close the store."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with store._dialect.writer.begin() as conn:
        metadata.drop_all(conn)
        conn.execute(sa.text("DROP TABLE alembic_version"))
        config.attributes["connection"] = conn
        command.upgrade(config, revision)
        for row in rows:
            conn.execute(sa.text(row))
    store._dialect.close()


def test_mailboxes_with_the_name_of_the_namespace_are_renamed(
    store: Store, store_url: str, tmp_path: Path
) -> None:
    """``Shared/`` leads to mailboxes of others; the messages and the subscriptions stay."""
    _go_back(
        store,
        "0023",
        "INSERT INTO mailbox (id, account_id, name, uid_validity, uid_next, modseq)"
        " VALUES (1, 7, 'Shared', 1, 3, 3), (2, 7, 'Shared/x', 1, 1, 1),"
        " (3, 7, 'Sharedy', 1, 1, 1), (4, 8, 'shared', 1, 1, 1)",
        "INSERT INTO subscription (account_id, name) VALUES (7, 'Shared/x'), (7, 'INBOX')",
    )
    upgrade_store(small_store_options(store_url), tmp_path / "data", clock=SystemClock())
    again = open_test_store(store_url, tmp_path / "data")
    names, subscribed = again.read_now(
        lambda conn: [
            conn.scalars(sa.select(column).order_by(column)).all()
            for column in (mailbox.c.name, subscription.c.name)
        ]
    )
    again.close_now()
    assert names == ["Shared-7", "Shared-7/x", "Sharedy", "shared"]
    assert subscribed == ["INBOX", "Shared-7/x"]
