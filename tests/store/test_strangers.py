"""Accounts that suddenly write to many strangers."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from kit.store import NOW_MS, make_account, make_intake, open_test_store, show_counts
from zajil.accept.outbound_hold import DAY_MS, HOUR_MS, RENEW_MS, HoldRule
from zajil.accept.send_limit import SendLimit
from zajil.core.ids import AccountId, MailId
from zajil.store.engine.open import Store
from zajil.store.feedback.outbound_hold import (
    HELD_REASON,
    HeldNotice,
    OutboundHold,
    ReleaseAccount,
    StrangerCounts,
    claim_held_notices,
    find_untold,
    held_mails,
    load_strangers,
    release_account,
)
from zajil.store.feedback.send_counts import CountedIntake, Taken, write_counted_intakes
from zajil.store.mail.intake import Intake
from zajil.store.mail.tracking import load_journey
from zajil.store.queue.queue import Claim, claim
from zajil.store.queue.queue_admin import QueueOrder, QueueQuery, hold, list_rows
from zajil.tracking.events import AccountHeld

AMAL, BASIM = AccountId(1), AccountId(2)
LIMIT = HoldRule(per_hour=5, per_day=8, factor=3.0)
TRUST_MS = DAY_MS


def send(
    store: Store,
    *names: str,
    at_ms: int = NOW_MS,
    account: AccountId = AMAL,
    limit: HoldRule = LIMIT,
) -> Taken:
    addresses = [f"{name}@elsewhere.test" for name in names]
    intake = make_intake(store.blobs.stage([b"x\r\n"]), remote=addresses, at_ms=at_ms)
    intake = replace(intake, account_id=account)
    keys = tuple([f"address:{one}" for one in addresses])
    item = CountedIntake(
        intake, account, len(names), None, OutboundHold(account, keys, limit.decide, RENEW_MS)
    )
    taken = store.write_now(write_counted_intakes, item)
    assert taken is not None
    return taken


def people(count: int, start: int = 0) -> list[str]:
    return [f"p{number}" for number in range(start, start + count)]


def states(store: Store, mail_id: MailId) -> set[tuple[str, str]]:
    found = store.read_now(lambda conn: load_journey(conn, mail_id))
    assert found is not None
    return {(one.state, one.reason) for one in found.recipients}


HELD, SENT = {("held", HELD_REASON)}, {("waiting", "")}


def test_who_writes_to_many_strangers_is_held_and_stays_so(store: Store) -> None:
    first = send(store, *people(5))
    assert states(store, first.mail_id) == SENT
    second = send(store, *people(1, 5))
    assert second.is_first_held
    assert states(store, second.mail_id) == HELD
    third = send(store, *people(2), at_ms=NOW_MS + 30 * DAY_MS)  # even to those it knows
    assert not third.is_first_held
    assert states(store, third.mail_id) == HELD
    assert states(store, send(store, *people(5), account=BASIM).mail_id) == SENT
    claimed = store.write_now(claim, Claim("here/1/", "t", NOW_MS, NOW_MS + 1, 100))
    assert {row.mail_id for row in claimed}.isdisjoint({second.mail_id, third.mail_id})


def test_the_journey_says_so(store: Store) -> None:
    taken = send(store, *people(7))
    found = store.read_now(lambda conn: load_journey(conn, taken.mail_id))
    assert found is not None
    held = [one.event for one in found.events if isinstance(one.event, AccountHeld)]
    assert held == [AccountHeld(NOW_MS, NOW_MS, 7)]


def test_whom_an_account_wrote_to_is_no_stranger(store: Store) -> None:
    for hour in range(20):
        taken = send(store, *people(5), at_ms=NOW_MS + hour * HOUR_MS)
        assert states(store, taken.mail_id) == SENT
    assert store.read_now(lambda conn: load_strangers(conn, AMAL)).usual == 0
    # One that was seen long ago is remembered anew, so that it never becomes one again.
    send(store, "p0", at_ms=NOW_MS + 40 * DAY_MS)
    known = store.read_now(lambda conn: show_counts(conn, AMAL, NOW_MS + 40 * DAY_MS))
    assert known["address:p0@elsewhere.test"].written == pytest.approx(1 + 0.5 ** (40 / 90))


def test_the_same_stranger_twice_in_a_mail_counts_once_in_memory(store: Store) -> None:
    taken = send(store, "a", "a")
    assert states(store, taken.mail_id) == SENT


def test_a_day_has_a_limit_beside_the_hour(store: Store) -> None:
    noon_ms = NOW_MS // DAY_MS * DAY_MS + 12 * HOUR_MS
    hours = [send(store, *people(3, 3 * n), at_ms=noon_ms + n * HOUR_MS) for n in range(3)]
    assert [states(store, one.mail_id) == HELD for one in hours] == [False, False, True]


def test_two_workers_agree(store: Store, store_url: str, tmp_path: object) -> None:
    other = open_test_store(store_url, tmp_path / "data", worker=1)  # type: ignore[operator]
    send(store, *people(3))
    taken = send(other, *people(3, 3))
    other.close_now()
    assert taken.is_first_held


def test_limits_of_all_kinds_stand_side_by_side(store: Store) -> None:
    intake = make_intake(store.blobs.stage([b"x\r\n"]), remote=["a@elsewhere.test"])
    guard = OutboundHold(AMAL, ("address:a@elsewhere.test",), LIMIT.decide, RENEW_MS)
    refused = CountedIntake(intake, AMAL, 3, SendLimit(2, 0).permits, guard)
    assert store.write_now(write_counted_intakes, refused) is None
    assert store.read_now(lambda conn: load_strangers(conn, AMAL)) == StrangerCounts()


# ---- owner and postmaster are told, once -------------------------------------------------------


def notice(store: Store) -> tuple[Intake, HeldNotice]:
    entry = make_account(store, f"owner{os.urandom(3).hex()}@north.test")
    mail = make_intake(store.blobs.stage([b"told\r\n"]), local=[entry])
    return mail, HeldNotice(AMAL, NOW_MS, (mail,))


def test_it_is_told_once_each_time(store: Store) -> None:
    _, early = notice(store)
    assert store.write_now(claim_held_notices, early) is False
    send(store, *people(6))
    assert store.read_now(find_untold) == [AMAL]
    (mail, item), (other, again) = notice(store), notice(store)
    assert store.write_now(claim_held_notices, item) is True
    assert store.read_now(find_untold) == []
    assert store.write_now(claim_held_notices, again) is False
    assert store.read_now(lambda conn: load_journey(conn, mail.mail_id)) is not None
    assert store.read_now(lambda conn: load_journey(conn, other.mail_id)) is None
    store.write_now(release_account, ReleaseAccount(AMAL, "admin", NOW_MS, 0))
    send(store, *people(6, 6))
    assert store.read_now(find_untold) == [AMAL]


# ---- an operator lets it go -----------------------------------------------------------------


def test_let_go_it_sends_what_was_held_and_goes_on(store: Store) -> None:
    taken = send(store, *people(6))
    by_hand = send(store, "x", account=BASIM)
    store.write_now(hold, QueueOrder((by_hand.mail_id,), "admin", "look", NOW_MS))
    assert store.read_now(lambda conn: held_mails(conn, AMAL)) == (taken.mail_id,)
    released = store.write_now(release_account, ReleaseAccount(AMAL, "admin", NOW_MS, TRUST_MS))
    assert released == (taken.mail_id,)
    assert {state for state, _ in states(store, taken.mail_id)} == {"waiting"}
    assert {state for state, _ in states(store, by_hand.mail_id)} == {"held"}
    assert states(store, send(store, *people(50)).mail_id) == SENT  # it is trusted
    late = send(store, *people(20, 100), at_ms=NOW_MS + 2 * TRUST_MS)
    assert states(store, late.mail_id) == HELD
    assert (
        store.write_now(release_account, ReleaseAccount(BASIM, "admin", NOW_MS, TRUST_MS)) is None
    )


def test_what_was_held_can_be_dropped(store: Store) -> None:
    taken = send(store, *people(6))
    dropped = store.write_now(
        release_account, ReleaseAccount(AMAL, "admin", NOW_MS, 0, discards=True)
    )
    assert dropped == (taken.mail_id,)
    assert {state for state, _ in states(store, taken.mail_id)} == {"discarded"}
    assert store.read_now(lambda conn: list_rows(conn, QueueQuery())) == []
    journey = store.read_now(lambda conn: load_journey(conn, taken.mail_id))
    assert journey is not None
    assert journey.events[-1].event.name == "queue.operator"
    assert store.write_now(release_account, ReleaseAccount(AMAL, "admin", NOW_MS, 0)) is None
