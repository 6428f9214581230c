"""The queue on both databases: leases, settlements, what operators do."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kit.store import NOW_MS, make_account, make_intake, open_test_store, running
from zajil.core.address import parse_address
from zajil.core.ids import MailId
from zajil.core.mail_options import PLAIN_RECIPIENT, MailOptions, Notify, RecipientOptions
from zajil.core.service import RecipientState
from zajil.store.engine.open import Store
from zajil.store.mail.blobs import StagedBlob
from zajil.store.mail.intake import Intake, write_intakes
from zajil.store.mail.tracking import load_journey
from zajil.store.queue.queue import (
    Claim,
    FreeLeases,
    LeasedRecipient,
    Renewal,
    claim,
    free_leases,
    next_due_ms,
    renew,
)
from zajil.store.queue.queue_admin import (
    QueueOrder,
    QueueQuery,
    delete,
    expire,
    find_queued,
    hold,
    list_rows,
    release,
    retry,
)
from zajil.store.queue.settlement import LeaseLost, RowResult, Settlement, settle
from zajil.store.schema import blob, mail, recipient
from zajil.tracking.events import DsnSent, RecipientDelivered

LEASE_MS = 900_000
DELIVERED = RecipientDelivered(NOW_MS, "a@one.test", "mx.one.test", "250 ok")


def put(store: Store, *remote: str, at_ms: int = NOW_MS) -> Intake:
    item = make_intake(store.blobs.stage((b"Subject: x\r\n\r\n",)), remote=remote, at_ms=at_ms)
    store.write_now(write_intakes, item)
    return item


def ask(
    store: Store,
    *,
    now_ms: int = NOW_MS,
    owner: str = "here/1/",
    limit: int = 100,
    not_for: frozenset[str] = frozenset(),
) -> list[LeasedRecipient]:
    token = f"{owner}{now_ms}"
    item = Claim(owner, token, now_ms, now_ms + LEASE_MS, limit, not_for)
    return store.write_now(claim, item)


def state(store: Store, mail_id: MailId) -> list[tuple[str, str, int]]:
    query = (
        sa.select(recipient.c.state, recipient.c.reason, recipient.c.tries)
        .where(recipient.c.mail_id == mail_id)
        .order_by(recipient.c.position)
    )
    return store.read_now(
        lambda conn: [(row.state, row.reason, row.tries) for row in conn.execute(query)]
    )


def settlement(
    claimed: list[LeasedRecipient], *rows: RowResult, token: str | None = None
) -> Settlement:
    mail_id = claimed[0].mail_id
    return Settlement(mail_id, token or claimed[0].token, NOW_MS, rows, (DELIVERED,))


def event_names(store: Store, mail_id: MailId) -> list[str]:
    journey = store.read_now(lambda conn: load_journey(conn, mail_id))
    assert journey is not None
    return [recorded.event.name for recorded in journey.events]


# ---- claim --------------------------------------------------------------------------------------


def test_a_claim_brings_the_mail_with_it(store: Store) -> None:
    item = put(store, "a@one.test", "b@two.test")
    claimed = ask(store)
    assert [(row.mail_id, str(row.recipient), row.next_hop) for row in claimed] == [
        (item.mail_id, "a@one.test", "one.test"),
        (item.mail_id, "b@two.test", "two.test"),
    ]
    first = claimed[0]
    assert (first.reverse_path, first.size, first.blob_id) == (
        item.reverse_path,
        item.size,
        item.content.blob_id,
    )
    assert (first.tries, first.reason, first.at_ms) == (0, "", NOW_MS)


def test_only_what_is_due_is_claimed_the_longest_due_first(store: Store) -> None:
    late = put(store, "a@one.test", at_ms=NOW_MS + 2)
    put(store, "a@one.test", at_ms=NOW_MS + 100)
    early = put(store, "a@one.test", at_ms=NOW_MS + 1)
    assert store.read_now(next_due_ms) == NOW_MS + 1
    assert ask(store, now_ms=NOW_MS) == []
    (row,) = ask(store, now_ms=NOW_MS + 50, limit=1)
    assert row.mail_id == early.mail_id
    (row,) = ask(store, now_ms=NOW_MS + 51)
    assert row.mail_id == late.mail_id


def test_what_is_claimed_is_not_claimed_again_before_its_lease_ends(store: Store) -> None:
    put(store, "a@one.test")
    assert len(ask(store, owner="here/1/")) == 1
    assert ask(store, owner="here/2/") == []
    assert store.read_now(next_due_ms) == NOW_MS + LEASE_MS
    assert len(ask(store, owner="here/2/", now_ms=NOW_MS + LEASE_MS)) == 1


def test_hops_can_be_left_out(store: Store) -> None:
    put(store, "a@one.test", "b@two.test", "c@three.test")
    claimed = ask(store, not_for=frozenset({"one.test", "three.test"}))
    assert [row.next_hop for row in claimed] == ["two.test"]


async def _claim_side_by_side(first: Store, second: Store) -> list[list[list[LeasedRecipient]]]:
    async def work(store: Store, owner: str) -> list[list[LeasedRecipient]]:
        claims = [
            Claim(f"{owner}/", f"{owner}-{n}", NOW_MS, NOW_MS + LEASE_MS, 3) for n in range(20)
        ]
        return [await store.write(claim, item) for item in claims]

    async with running(first), running(second):
        return list(await asyncio.gather(work(first, "here/1"), work(second, "here/2")))


def test_two_claimers_never_get_the_same_row(store: Store, store_url: str, tmp_path: Path) -> None:
    for _ in range(30):
        put(store, "a@one.test", "b@one.test")
    rivals = [open_test_store(store_url, tmp_path / "data", worker) for worker in (1, 2)]
    results = asyncio.run(_claim_side_by_side(*rivals))
    got = [(row.mail_id, row.position) for one in results for rows in one for row in rows]
    assert len(got) == len(set(got)) == 60


# ---- leases -------------------------------------------------------------------------------------


def test_leases_of_a_dead_worker_are_freed_at_once(store: Store) -> None:
    put(store, "a@one.test")
    put(store, "b@one.test")
    (mine,) = ask(store, owner="here/1/", limit=1)
    (other,) = ask(store, owner="here/12/", limit=1)
    assert store.write_now(free_leases, FreeLeases("here/1/", NOW_MS)) == 1
    (again,) = ask(store, owner="here/3/")
    assert (again.mail_id, again.tries) == (mine.mail_id, 0)
    assert again.mail_id != other.mail_id
    assert store.write_now(free_leases, FreeLeases("here/", NOW_MS)) == 2
    assert store.write_now(free_leases, FreeLeases("here_", NOW_MS)) == 0


def test_a_worker_that_lives_keeps_its_leases(store: Store) -> None:
    item = put(store, "a@one.test")
    claimed = ask(store)
    assert store.write_now(renew, Renewal("here/1/", NOW_MS + 2 * LEASE_MS)) == 1
    assert ask(store, owner="here/2/", now_ms=NOW_MS + LEASE_MS) == []
    assert (
        store.write_now(
            settle,
            settlement(
                claimed, RowResult(position=0, state=RecipientState.DELIVERED, reason="250 ok")
            ),
        )
        == ()
    )
    assert state(store, item.mail_id) == [("delivered", "250 ok", 1)]


# ---- settle -------------------------------------------------------------------------------------


def test_results_and_events_are_written_together(store: Store) -> None:
    item = put(store, "a@one.test", "b@one.test", "c@one.test")
    claimed = ask(store)
    work = settlement(
        claimed,
        RowResult(position=0, state=RecipientState.DELIVERED, reason="250 2.0.0 queued as X"),
        RowResult(
            position=1,
            state=RecipientState.WAITING,
            reason="450 4.2.1 busy",
            next_try_ms=NOW_MS + 5000,
        ),
        RowResult(position=2, state=RecipientState.BOUNCED, reason="550 5.1.1 who?"),
    )
    assert store.write_now(settle, work) == ()
    assert state(store, item.mail_id) == [
        ("delivered", "250 2.0.0 queued as X", 1),
        ("waiting", "450 4.2.1 busy", 1),
        ("bounced", "550 5.1.1 who?", 1),
    ]
    assert "deliver.delivered" in event_names(store, item.mail_id)
    assert store.read_now(next_due_ms) == NOW_MS + 5000
    (row,) = ask(store, now_ms=NOW_MS + 5000)
    assert (row.position, row.tries, row.reason) == (1, 1, "450 4.2.1 busy")


def test_a_stale_token_is_refused(store: Store) -> None:
    item = put(store, "a@one.test")
    old = ask(store, owner="here/1/")
    new = ask(store, owner="here/2/", now_ms=NOW_MS + LEASE_MS)
    assert store.write_now(
        settle, settlement(old, RowResult(position=0, state=RecipientState.BOUNCED, reason="no"))
    ) == (0,)
    assert state(store, item.mail_id) == [("waiting", "", 0)]
    assert (
        store.write_now(
            settle,
            settlement(new, RowResult(position=0, state=RecipientState.DELIVERED, reason="ok")),
        )
        == ()
    )
    assert store.write_now(
        settle, settlement(new, RowResult(position=0, state=RecipientState.BOUNCED, reason="no"))
    ) == (0,)
    assert state(store, item.mail_id) == [("delivered", "ok", 1)]


def test_many_mails_are_settled_in_one_commit(store: Store) -> None:
    items = [put(store, "a@one.test") for _ in range(40)]
    claimed = ask(store)

    async def run() -> int:
        async with running(store):
            before = store.writer.commits
            await asyncio.gather(
                *(
                    store.write(
                        settle,
                        Settlement(
                            row.mail_id,
                            row.token,
                            NOW_MS,
                            (RowResult(position=0, state=RecipientState.DELIVERED, reason="ok"),),
                            (),
                        ),
                    )
                    for row in claimed
                )
            )
            return store.writer.commits - before

    states = [item.mail_id for item in items]
    assert asyncio.run(run()) <= 3
    for mail_id in states:
        assert state(store, mail_id) == [("delivered", "ok", 1)]


def _kept(store: Store, item: Intake) -> tuple[bool, int]:
    def query(conn: Connection) -> tuple[bool, int]:
        blob_id = conn.scalar(sa.select(mail.c.blob_id).where(mail.c.id == item.mail_id))
        rows = conn.scalar(
            sa.select(sa.func.count()).select_from(blob).where(blob.c.id == item.content.blob_id)
        )
        return blob_id is not None, rows or 0

    return store.read_now(query)


def test_the_body_goes_when_nobody_waits(store: Store) -> None:
    item = put(store, "a@one.test", "b@two.test")
    claimed = ask(store)
    store.write_now(
        settle,
        settlement(claimed, RowResult(position=0, state=RecipientState.DELIVERED, reason="ok")),
    )
    assert _kept(store, item) == (True, 1)
    store.write_now(
        settle,
        settlement(claimed, RowResult(position=1, state=RecipientState.BOUNCED, reason="no")),
    )
    assert _kept(store, item) == (False, 0)


def test_the_body_stays_where_a_mailbox_has_it(store: Store) -> None:
    entry = make_account(store, "amal@here.test")
    content = store.blobs.stage((b"Subject: x\r\n\r\n",))
    item = make_intake(content, local=[entry], remote=["a@one.test"])
    store.write_now(write_intakes, item)
    claimed = ask(store)
    store.write_now(
        settle,
        settlement(claimed, RowResult(position=1, state=RecipientState.DELIVERED, reason="ok")),
    )
    assert _kept(store, item) == (False, 1)


def _dsn(store: Store, parent: Intake) -> Intake:
    content: StagedBlob = store.blobs.stage((b"Subject: not delivered\r\n\r\n",))
    report = make_intake(content, remote=["sender@elsewhere.test"], reverse_path=None)
    return replace(report, parent_mail_id=parent.mail_id)


def test_a_dsn_enters_in_the_commit_of_its_settlement(store: Store) -> None:
    item = put(store, "a@one.test")
    claimed = ask(store)
    report = _dsn(store, item)
    work = Settlement(
        item.mail_id,
        claimed[0].token,
        NOW_MS,
        (RowResult(position=0, state=RecipientState.BOUNCED, reason="550 no"),),
        (DsnSent(NOW_MS, report.mail_id, ("a@one.test",)),),
        report,
    )
    store.write_now(settle, work)
    (row,) = ask(store)
    assert (row.mail_id, row.reverse_path) == (report.mail_id, None)
    # Written a second time, after an error that hid the first commit: nothing doubles.
    with pytest.raises(LeaseLost):
        store.write_now(settle, work)
    assert len(store.read_now(lambda conn: list_rows(conn, QueueQuery()))) == 1


def test_a_dsn_is_not_sent_when_one_of_its_recipients_was_lost(store: Store) -> None:
    item = put(store, "a@one.test", "b@one.test")
    claimed = ask(store)
    store.write_now(
        settle,
        settlement(claimed, RowResult(position=1, state=RecipientState.DELIVERED, reason="ok")),
    )
    rows = (
        RowResult(position=0, state=RecipientState.BOUNCED, reason="no"),
        RowResult(position=1, state=RecipientState.BOUNCED, reason="no"),
    )
    work = Settlement(item.mail_id, claimed[0].token, NOW_MS, rows, (), _dsn(store, item))
    with pytest.raises(LeaseLost):
        store.write_now(settle, work)
    assert [row[0] for row in state(store, item.mail_id)] == ["waiting", "delivered"]


# ---- operators ----------------------------------------------------------------------------------


def order(*items: Intake, reason: str = "") -> QueueOrder:
    return QueueOrder(tuple(item.mail_id for item in items), "amal", reason, NOW_MS)


def test_hold_and_release(store: Store) -> None:
    item, other = put(store, "a@one.test"), put(store, "b@two.test")
    assert store.write_now(hold, order(item, reason="looks odd")) == (item.mail_id,)
    assert [row.mail_id for row in ask(store)] == [other.mail_id]
    listed = store.read_now(lambda conn: list_rows(conn, QueueQuery()))
    assert [(row.mail_id, row.state, row.reason) for row in listed] == [
        (other.mail_id, "waiting", ""),
        (item.mail_id, "held", "looks odd"),
    ]
    assert store.write_now(release, order(item, other)) == (item.mail_id,)
    assert [row.mail_id for row in ask(store)] == [item.mail_id]
    assert event_names(store, item.mail_id).count("queue.operator") == 2


@pytest.mark.parametrize(
    ("result", "want"),
    [
        (
            RowResult(
                position=0, state=RecipientState.WAITING, reason="450 busy", next_try_ms=NOW_MS + 1
            ),
            (RecipientState.HELD, "450 busy", 1),
        ),
        (
            RowResult(position=0, state=RecipientState.DELIVERED, reason="250 ok"),
            (RecipientState.DELIVERED, "250 ok", 1),
        ),
    ],
)
def test_hold_during_an_attempt(
    store: Store, result: RowResult, want: tuple[str, str, int]
) -> None:
    """What the peer took is delivered, whatever the operator wished meanwhile."""
    item = put(store, "a@one.test")
    claimed = ask(store)
    store.write_now(hold, order(item))
    assert store.write_now(settle, settlement(claimed, result)) == ()
    assert state(store, item.mail_id) == [want]


def test_delete_takes_the_mail_from_who_tries_it(store: Store) -> None:
    """The attempt may deliver it, but nobody is sent a DSN of what the operator removed."""
    item = put(store, "a@one.test")
    claimed = ask(store)
    assert store.write_now(delete, order(item, reason="spam")) == (item.mail_id,)
    assert store.write_now(delete, order(item)) == ()
    assert state(store, item.mail_id) == [("discarded", "spam", 0)]
    assert _kept(store, item) == (False, 0)
    bounced = RowResult(position=0, state=RecipientState.BOUNCED, reason="no")
    work = Settlement(item.mail_id, claimed[0].token, NOW_MS, (bounced,), (), _dsn(store, item))
    with pytest.raises(LeaseLost):
        store.write_now(settle, work)
    assert state(store, item.mail_id) == [("discarded", "spam", 0)]
    assert ask(store, now_ms=NOW_MS + 10 * LEASE_MS) == []


def test_retry_makes_it_due_now(store: Store) -> None:
    item = put(store, "a@one.test")
    claimed = ask(store)
    work = settlement(
        claimed,
        RowResult(
            position=0, state=RecipientState.WAITING, reason="450 busy", next_try_ms=NOW_MS + 10**6
        ),
    )
    store.write_now(settle, work)
    assert ask(store) == []
    assert store.write_now(retry, order(item)) == (item.mail_id,)
    assert len(ask(store)) == 1
    store.write_now(retry, order(item))
    assert ask(store) == []  # somebody tries it at this moment


def test_expire_is_left_to_the_next_claim(store: Store) -> None:
    item, held = put(store, "a@one.test"), put(store, "b@one.test")
    store.write_now(hold, order(held))
    done = store.write_now(expire, order(item, held, reason="wrong address"))
    assert done == (item.mail_id, held.mail_id)
    claimed = ask(store)
    assert [row.expires_ms for row in claimed] == [NOW_MS, NOW_MS]
    assert claimed[0].reason == "given up by the operator: wrong address"


def test_unknown_mails_are_passed_over(store: Store) -> None:
    unknown = QueueOrder((MailId("nothing"),), "amal", "", NOW_MS)
    for unit in (hold, release, retry, expire):
        assert store.write_now(unit, unknown) == ()


def test_the_list_can_be_narrowed(store: Store) -> None:
    first = put(store, "a@one.test", "b@two.test")
    second = put(store, "c@two.test", at_ms=NOW_MS + 1)

    def listed(query: QueueQuery) -> list[str]:
        return [row.recipient for row in store.read_now(lambda conn: list_rows(conn, query))]

    assert listed(QueueQuery(mail_id=first.mail_id)) == ["a@one.test", "b@two.test"]
    assert listed(QueueQuery(next_hop="two.test")) == ["b@two.test", "c@two.test"]
    assert listed(QueueQuery(mail_id=second.mail_id, next_hop="one.test")) == []
    assert len(listed(QueueQuery(limit=2))) == 2


def test_mails_are_found_and_changed_by_what_is_known_of_them(store: Store) -> None:
    first = put(store, "a@one.test", "b@two.test")
    bounce = replace(put(store, "a@one.test", at_ms=NOW_MS + 5), reverse_path=None)
    null_path = sa.update(mail).where(mail.c.id == bounce.mail_id)
    store.write_now(
        lambda tx, _: [tx.execute(null_path.values(reverse_path=None, from_key=None))], None
    )
    hidden = sa.update(recipient).where(recipient.c.address == "b@two.test")
    alias = hidden.values(addressed_as="Readers@north.test")
    store.write_now(lambda tx, _: [tx.execute(alias)], None)
    for query, expected in (
        (QueueQuery(), [first, bounce]),
        (QueueQuery(sender="sender@elsewhere.test"), [first]),
        (QueueQuery(sender="@elsewhere.test"), [first]),
        (QueueQuery(sender="@else_here.test"), []),
        (QueueQuery(sender=""), [bounce]),
        (QueueQuery(recipient="a@one.test"), [first, bounce]),
        (QueueQuery(recipient="readers@north.test"), [first]),
        (QueueQuery(next_hop="two.test", state=RecipientState.WAITING), [first]),
        (QueueQuery(before_ms=NOW_MS + 5), [first]),
        (QueueQuery(state=RecipientState.HELD), []),
    ):
        found = store.read_now(functools.partial(find_queued, query=query))
        assert found == [item.mail_id for item in expected], query
        listed = store.read_now(functools.partial(list_rows, query=query))
        assert {row.mail_id for row in listed} == set(found), query
    only = QueueQuery(recipient="readers@north.test")
    store.write_now(hold, replace(order(first, bounce), only=only))
    assert [one[0] for one in state(store, first.mail_id)] == ["waiting", "held"]
    store.write_now(
        delete, replace(order(first, bounce), only=QueueQuery(state=RecipientState.HELD))
    )
    assert [one[0] for one in state(store, first.mail_id)] == ["waiting", "discarded"]


def test_what_cannot_be_read_is_set_aside(store: Store) -> None:
    """A row that another version or a hand spoiled stands in nobody's way."""
    item = put(store, "a@one.test", "b@one.test")
    spoil = (
        sa.update(recipient)
        .where(recipient.c.mail_id == item.mail_id, recipient.c.position == 0)
        .values(address="no address")
    )

    def write(tx: Connection, items: Sequence[None]) -> list[None]:
        tx.execute(spoil)
        return [None] * len(items)

    store.write_now(write, None)
    assert [str(row.recipient) for row in ask(store)] == ["b@one.test"]
    (held, _), (waiting, _) = [(one[0], one[1]) for one in state(store, item.mail_id)]
    assert (held, waiting) == ("held", "waiting")
    assert "fault" in event_names(store, item.mail_id)


def test_what_the_operator_gave_up_during_an_attempt_is_given_up(store: Store) -> None:
    """The attempt fails for now; the next claim is at once, and finds it expired."""
    item = put(store, "a@one.test")
    claimed = ask(store)
    store.write_now(expire, order(item, reason="wrong"))
    later = RowResult(
        position=0, state=RecipientState.WAITING, reason="451 later", next_try_ms=NOW_MS + 3_600_000
    )
    store.write_now(settle, settlement(claimed, later))
    (row,) = ask(store, now_ms=NOW_MS + 1)
    assert row.expires_ms <= NOW_MS
    assert row.reason == "given up by the operator: wrong"


def test_what_was_asked_for_comes_back_with_the_claim(store: Store) -> None:
    item = make_intake(store.blobs.stage((b"x",)), remote=["a@one.test", "b@one.test"])
    options = RecipientOptions(Notify.SUCCESS | Notify.DELAY, "rfc822;Old@one.test")
    alias = parse_address("team@north.test")
    first, second = item.remote
    asked = MailOptions("HDRS", "QQ 1", require_tls=True)
    remote = (replace(first, options=options, addressed_as=alias), second)
    store.write_now(write_intakes, replace(item, remote=remote, options=asked))
    claimed = ask(store)
    assert [(row.options, row.addressed_as, row.mail_options) for row in claimed] == [
        (options, alias, asked),
        (PLAIN_RECIPIENT, None, asked),
    ]
    assert [str(row.told_as) for row in claimed] == ["team@north.test", "b@one.test"]
