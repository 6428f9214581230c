"""What history says of the next mail: for an account, for all, and against forgers and floods."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from kit.clock import FakeClock
from kit.store import NOW_MS, running, show_counts
from zajil.check.learned.reputation import (
    NO_HISTORY,
    History,
    HistoryFound,
    forget_history,
    is_bad,
    is_good,
    weigh,
)
from zajil.check.learned.voices import learn
from zajil.check.sender.correspondent import Correspondent, ProvenIdentity, identify
from zajil.check.verdict.verdict import Action, Thresholds, decide
from zajil.core.address import parse_address
from zajil.core.ids import AccountId
from zajil.message.fields import Field, read_fields
from zajil.store.engine.open import Store
from zajil.store.feedback.reputation import (
    FORGET_MS,
    INSTALLATION,
    CorrespondentCounts,
    Did,
    HistoryChange,
    note_written,
)

AMAL, BASIM, SALMA, NOOR = (AccountId(number) for number in (1, 2, 3, 4))
PROVEN = ProvenIdentity("south.test", frozenset({"south.test"}))
AUTHOR = "sami@south.test"
AUTHENTICATED = identify(read_fields(f"From: {AUTHOR}\r\n".encode()), "192.0.2.1", PROVEN)
FORGED = identify(read_fields(f"From: {AUTHOR}\r\n".encode()), "203.0.113.1")
ADDRESS, DOMAIN = f"address:{AUTHOR}", "domain:south.test"
CLAIMED, NETWORK = f"claimed:203.0.113.0/24 {AUTHOR}", "network:203.0.113.0/24"


def own(key: str, correspondent: Correspondent = AUTHENTICATED, **counts: float) -> list[str]:
    """Give the signals for Amal, from one row of hers."""
    found = weigh(correspondent, {(AMAL, key): CorrespondentCounts(**counts)}, [AMAL, BASIM])
    assert BASIM not in found.by_account
    assert found.for_all == ()
    return [reason.signal for reason in found.by_account.get(AMAL, ())]


def test_what_an_account_did_counts_for_it_alone() -> None:
    assert own(ADDRESS, junked=1) == ["history.junked-by-you"]
    assert own(ADDRESS, junked=3) == ["history.often-junked-by-you"]
    assert own(ADDRESS, written=1) == ["history.written-by-you"]
    assert own(ADDRESS, kept=1) == ["history.kept-by-you"]
    assert own(ADDRESS, kept=1, written=2) == ["history.written-by-you", "history.kept-by-you"]
    assert own(ADDRESS, junked=1, written=5) == ["history.junked-by-you"]  # the later will
    assert own(ADDRESS, junked=0.3, written=0.3, kept=0.3, seen=9) == []
    assert own(DOMAIN, junked=2) == []
    assert own(DOMAIN, junked=3) == ["history.domain-junked-by-you"]
    assert own(DOMAIN, junked=3, written=2) == []


def test_a_forged_sender_gains_nothing() -> None:
    """Attack: somebody else's good name in From."""
    assert own(ADDRESS, FORGED, written=9, kept=9) == []
    assert own(DOMAIN, FORGED, written=9) == []
    many = {
        (INSTALLATION, DOMAIN): CorrespondentCounts(written=9.0),
        (INSTALLATION, ADDRESS): CorrespondentCounts(written=9),
    }
    assert weigh(FORGED, many, [AMAL]).for_all == ()
    assert weigh(AUTHENTICATED, many, [AMAL]).for_all != ()


def test_a_forged_sender_does_not_ruin_a_name() -> None:
    """What is moved to Junk of a forger is kept under the forger's network."""
    assert own(CLAIMED, FORGED, junked=3) == ["history.often-junked-by-you"]
    assert own(CLAIMED, AUTHENTICATED, junked=3) == []


@pytest.mark.parametrize(
    ("voices", "bad"),
    [
        (CorrespondentCounts(junked=2), False),
        (CorrespondentCounts(junked=3), True),
        (CorrespondentCounts(junked=2.7, seen=4), True),
        (CorrespondentCounts(junked=3, seen=7), False),  # more than half do not mind
        (CorrespondentCounts(junked=5, written=6), False),
        (CorrespondentCounts(junked=5, kept=6), False),
        (CorrespondentCounts(junked=40, seen=60), True),
    ],
)
def test_several_must_agree_and_most_of_those_who_know_it(
    voices: CorrespondentCounts, bad: bool
) -> None:
    assert is_bad(voices) is bad


def test_whom_several_write_to_is_good() -> None:
    assert not is_good(CorrespondentCounts(written=1))
    assert is_good(CorrespondentCounts(written=2))
    assert not is_good(CorrespondentCounts(written=4, junked=1))


@pytest.mark.parametrize(
    ("key", "correspondent", "signal"),
    [
        (ADDRESS, AUTHENTICATED, "history.junked-by-many"),
        (DOMAIN, AUTHENTICATED, "history.domain-junked"),
        (NETWORK, FORGED, "history.network-junked"),
        ("network:192.0.2.0/24", AUTHENTICATED, "history.network-junked"),
        (CLAIMED, FORGED, None),
    ],
)
def test_what_many_did_counts_for_all(
    key: str, correspondent: Correspondent, signal: str | None
) -> None:
    found = weigh(correspondent, {(INSTALLATION, key): CorrespondentCounts(junked=3)}, [AMAL])
    assert [reason.signal for reason in found.for_all] == ([signal] if signal else [])
    assert found.by_account == {}


def test_every_reason_is_a_sentence() -> None:
    for key, correspondent in (
        (ADDRESS, AUTHENTICATED),
        (DOMAIN, AUTHENTICATED),
        (NETWORK, FORGED),
    ):
        for counts in (
            CorrespondentCounts(junked=9),
            CorrespondentCounts(written=9),
            CorrespondentCounts(kept=9),
        ):
            both = {(INSTALLATION, key): counts, (AMAL, key): counts}
            found = weigh(correspondent, both, [AMAL])
            for reason in (*found.for_all, *found.by_account.get(AMAL, ())):
                assert "{" not in reason.text


def test_who_is_new_to_whom() -> None:
    counts = {(AMAL, ADDRESS): CorrespondentCounts(seen=1)}
    assert weigh(AUTHENTICATED, counts, [AMAL, BASIM]).known_by == {AMAL}
    assert weigh(FORGED, counts, [AMAL, BASIM]).known_by == frozenset()


def test_a_network_that_several_know_need_not_knock_twice() -> None:
    seen = {(INSTALLATION, NETWORK): CorrespondentCounts(seen=3)}
    assert weigh(FORGED, seen, [AMAL]).is_known_good
    bad = {(INSTALLATION, NETWORK): CorrespondentCounts(seen=3, junked=1)}
    assert not weigh(FORGED, bad, [AMAL]).is_known_good
    assert weigh(FORGED, {(AMAL, CLAIMED): CorrespondentCounts(kept=1)}, [AMAL]).is_known_good


# ---- over the store -----------------------------------------------------------------------------


def run(store: Store, story: Callable[[History, FakeClock], Awaitable[None]]) -> None:
    async def tell() -> None:
        async with running(store):
            clock = FakeClock(NOW_MS)
            await story(History(store, clock), clock)

    asyncio.run(tell())


def test_nothing_recorded_asks_nothing(store: Store) -> None:
    async def story(history: History, clock: FakeClock) -> None:
        assert await history.judge(AUTHENTICATED, [AMAL]) is NO_HISTORY
        step = history.judge(AUTHENTICATED, [AMAL])
        with pytest.raises(StopIteration):
            step.send(None)  # it ends without having waited
        assert await history.judge(Correspondent(), [AMAL]) is NO_HISTORY

    run(store, story)


def test_junk_moves_count_at_once_and_in_every_worker(store: Store) -> None:
    async def story(history: History, clock: FakeClock) -> None:
        other = History(store, clock)
        await store.write(learn, HistoryChange(BASIM, AUTHENTICATED.keys, Did.SEEN, NOW_MS))
        for one in (history, other):
            assert (await one.judge(AUTHENTICATED, [AMAL])).by_account == {}
        for _ in range(3):
            await store.write(learn, HistoryChange(AMAL, AUTHENTICATED.keys, Did.JUNKED, NOW_MS))
        for one in (history, other):
            found = await one.judge(AUTHENTICATED, [AMAL, SALMA])
            assert set(found.by_account) == {AMAL}
            assert decide(found.by_account[AMAL], Thresholds()).action is Action.JUNK
            assert found.for_all == ()

    run(store, story)


def test_after_several_accounts_it_counts_for_all(store: Store) -> None:
    async def story(history: History, clock: FakeClock) -> None:
        for account in (AMAL, AMAL, AMAL, AMAL, BASIM):
            await store.write(learn, HistoryChange(account, AUTHENTICATED.keys, Did.JUNKED, NOW_MS))
        assert (await history.judge(AUTHENTICATED, [NOOR])).for_all == ()
        await store.write(learn, HistoryChange(SALMA, AUTHENTICATED.keys, Did.JUNKED, NOW_MS))
        found = await history.judge(AUTHENTICATED, [NOOR])
        assert [one.signal for one in found.for_all] == ["history.junked-by-many"]
        assert found.for_all[0].text == f"3 users of this server moved mail from {AUTHOR} to Junk."

    run(store, story)


def test_whom_an_account_wrote_to_is_trusted_a_minute_later_at_most(store: Store) -> None:
    def write(tx: object, items: object) -> list[None]:
        note_written(tx, AMAL, [ADDRESS], NOW_MS)  # type: ignore[arg-type]
        return [None]

    async def story(history: History, clock: FakeClock) -> None:
        await store.write(write, None)
        found = await history.judge(AUTHENTICATED, [AMAL])
        assert [one.signal for one in found.by_account[AMAL]] == ["history.written-by-you"]
        assert (await history.judge(FORGED, [AMAL])).by_account == {}

    run(store, story)


def test_what_was_seen_is_written_once_a_month(store: Store) -> None:
    async def story(history: History, clock: FakeClock) -> None:
        async def seen() -> float:
            history.remember_seen(AUTHENTICATED, [AMAL])
            await store.write(learn, HistoryChange(BASIM, ("end",), Did.SEEN, clock.now_ms()))
            rows = await store.read(lambda conn: show_counts(conn, AMAL, clock.now_ms()))
            return rows[ADDRESS].seen

        assert await seen() == 1.0
        assert await seen() == 1.0
        clock.advance(20 * 86_400_000)
        await history.judge(AUTHENTICATED, [AMAL])
        assert await seen() < 1.0
        clock.advance(20 * 86_400_000)
        await history.judge(AUTHENTICATED, [AMAL])
        assert await seen() > 1.0
        history.remember_seen(FORGED, [AMAL])
        await store.write(learn, HistoryChange(BASIM, ("end",), Did.SEEN, clock.now_ms()))
        rows = await store.read(lambda conn: show_counts(conn, AMAL, clock.now_ms()))
        assert CLAIMED not in rows
        assert NETWORK in rows

    run(store, story)


def test_a_flood_of_made_up_senders_is_bounded(store: Store) -> None:
    """Attack: a domain with SPF and an address for each mail."""

    def made_up(number: int) -> Correspondent:
        author = f"From: a{number}@evil.test\r\n".encode()
        proven = ProvenIdentity("evil.test", frozenset({"evil.test"}))
        return identify(read_fields(author), "198.51.100.1", proven)

    async def story(history: History, clock: FakeClock) -> None:
        for number in range(2000):
            history.remember_seen(made_up(number), [AMAL])
        await store.write(learn, HistoryChange(BASIM, ("end",), Did.SEEN, NOW_MS))
        rows = await store.read(lambda conn: show_counts(conn, AMAL, NOW_MS))
        assert len(rows) <= 602
        clock.advance(FORGET_MS + 1)
        await forget_history(store, clock.now_ms())
        assert await store.read(lambda conn: show_counts(conn, AMAL, NOW_MS)) == {}

    run(store, story)


def test_memory_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zajil.check.learned.reputation._MOST_KEPT", 10)

    async def story(history: History, clock: FakeClock) -> None:
        await store.write(learn, HistoryChange(AMAL, (ADDRESS,), Did.SEEN, NOW_MS))
        for number in range(20):
            who = identify(read_fields(b"From: a@b.test\r\n"), f"192.0.{number}.1")
            await history.judge(who, [AMAL])
        assert len(history._known) == 10

    run(store, story)


def test_without_a_store_there_is_no_history(store: Store) -> None:
    async def story() -> HistoryFound:
        history = History(store, FakeClock(NOW_MS))
        return await history.judge(AUTHENTICATED, [AMAL])  # the store is not started

    assert asyncio.run(story()) is NO_HISTORY


def stored(results: str, author: str = AUTHOR) -> list[Field]:
    return read_fields(
        f"Received: from x ([192.0.2.1])\r\n\tby mx.north.test\r\n"
        f"Authentication-Results: mx.north.test; {results}\r\nFrom: {author}\r\n".encode()
    )


def test_a_move_teaches_whom_the_mail_came_from(store: Store) -> None:
    async def story(history: History, clock: FakeClock) -> None:
        fields = stored("spf=pass smtp.mailfrom=sami@south.test")
        history.learn(AMAL, fields, "mx.north.test", Did.JUNKED)
        history.learn(AMAL, read_fields(b"From: a@b.test\r\n"), "mx.north.test", Did.JUNKED)
        await store.write(learn, HistoryChange(BASIM, ("end",), Did.JUNKED, NOW_MS))
        found = await history.judge(AUTHENTICATED, [AMAL])
        assert [one.signal for one in found.by_account[AMAL]] == ["history.junked-by-you"]
        rows = await store.read(lambda conn: show_counts(conn, AMAL, NOW_MS))
        assert set(rows) == set(AUTHENTICATED.keys)

    run(store, story)


def test_addresses_are_compared_as_the_directory_does() -> None:
    address = parse_address("Sami@SOUTH.test")
    assert identify(read_fields(b"From: sami@south.test\r\n"), None, PROVEN).address_key == (
        f"address:{address.key}"
    )
