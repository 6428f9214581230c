"""Passwords against a real store: remembered while they are right, forgotten with any change."""

from __future__ import annotations

import asyncio

import pytest

from kit.clock import FakeClock
from kit.login import HASHER, add_app_password, open_desk
from kit.store import NOW_MS, make_account, running
from zajil.core.app_password import Scope
from zajil.core.directory import AccountEntry
from zajil.core.service import Service
from zajil.login.throttle import TURNS, WINDOW_MS
from zajil.store.engine.open import Store
from zajil.store.people.accounts import NewActive, NewPassword, set_active, set_password
from zajil.store.people.app_passwords import AppPasswordOf, list_app_passwords, remove_app_password
from zajil.store.people.last_logins import load_last_logins
from zajil.store.people.login_failures import FailedLogin, count_failures, failures_of


def make_amal(store: Store, password: str = "old password") -> AccountEntry:  # noqa: S107
    return make_account(store, "amal@south.test", password_hash=HASHER.hash(password))


def test_a_changed_password_is_not_remembered(store: Store) -> None:
    """Design D11: what was verified is dropped on any change."""
    amal = make_amal(store)

    async def run() -> None:
        async with running(store):
            desk = open_desk(store)
            assert await desk.cost_of("amal", "old password") == (True, 1)
            assert await desk.cost_of("amal", "old password") == (True, 0)  # from memory
            new = NewPassword(amal.account_id, HASHER.hash("new password"))
            await store.write(set_password, new)
            assert await desk.cost_of("amal", "old password") == (False, 1)
            assert await desk.cost_of("amal", "new password") == (True, 1)
            await store.write(set_active, NewActive(amal.account_id, active=False))
            assert await desk.cost_of("amal", "new password") == (False, 1)
            assert await desk.login.find(amal.account_id) is None

    asyncio.run(run())


@pytest.mark.parametrize(
    ("login", "password"),
    [
        ("amal", "wrong password"),
        ("nobody", "old password"),
        ("nobody@south.test", "old password"),
        ("", ""),
        ("amal", ""),
        ("amal\0", "old password"),
        ("amal", "old password\0"),
        ("am\u202eal", "old password"),
        ("amal", "old\u200bpassword"),
        ("amal@south.test\r\n", "old password"),
        ("\ufb01x", "old password"),
        ("a" * 500, "old password"),
        ("amal", "x" * 2000),
        ("' OR 1=1 --", "old password"),
        ("*)(uid=*", "old password"),
        ("amal", "abcd-efgh-jkmn-pqrs-tuvw-xyz2"),
        ("nobody", "abcd-efgh-jkmn-pqrs-tuvw-xyz2"),
    ],
)
def test_every_failure_costs_one_computation(store: Store, login: str, password: str) -> None:
    """CVE-2026-27856, CVE-2026-24031, CVE-2026-27860, CVE-2019-10691: nobody learns who exists."""
    make_amal(store)

    async def run() -> None:
        async with running(store):
            assert await open_desk(store).cost_of(login, password) == (False, 1)

    asyncio.run(run())


def test_the_same_wrong_answer_costs_nothing_again(store: Store) -> None:
    """It does not slow its network down, so it must not burn a processor either."""
    amal = make_amal(store)

    async def run() -> None:
        async with running(store):
            desk = open_desk(store)
            for name in ("amal", "nobody"):
                assert await desk.cost_of(name, "next password") == (False, 1)
                assert await desk.cost_of(name, "next password") == (False, 0)
            new = NewPassword(amal.account_id, HASHER.hash("next password"))
            await store.write(set_password, new)
            assert await desk.cost_of("amal", "next password") == (True, 1)

    asyncio.run(run())


def test_one_name_however_it_is_spelled(store: Store) -> None:
    """RFC 8265: width and case of a name are mapped, a password is composed; remembered once."""
    make_amal(store, "pass \u00e9 word")

    async def run() -> None:
        async with running(store):
            desk = open_desk(store)
            spelled = ["amal", "AMAL", " amal ", "\uff21mal"]
            costs = [await desk.cost_of(name, "pass e\u0301 word") for name in spelled]
            assert costs == [(True, 1), (True, 0), (True, 0), (True, 0)]
            assert await desk.cost_of("Amal@South.TEST", "pass \u00e9 word") == (True, 1)

    asyncio.run(run())


def test_users_are_not_mixed_up_in_memory(store: Store) -> None:
    """CVE-2025-30189: what is remembered of one name never answers for another."""
    make_amal(store, "amals password")
    basim = make_account(store, "basim@south.test", password_hash=HASHER.hash("basims password"))

    async def run() -> None:
        async with running(store):
            desk = open_desk(store)
            assert await desk.cost_of("amal", "amals password") == (True, 1)
            assert await desk.cost_of("basim", "amals password") == (False, 1)
            assert await desk.cost_of("amala", "mals password") == (False, 1)
            account = await desk.login.log_in(
                "basim", "basims password", peer="192.0.2.1", service=Service.IMAP
            )
            assert account is not None
            assert account.account_id == basim.account_id

    asyncio.run(run())


def test_an_app_password_opens_its_scope_and_costs_one(store: Store) -> None:
    """Many app passwords do not multiply the cost, and none opens the web."""
    make_amal(store)
    reading = add_app_password(store, "amal", "phone", Scope.IMAP)
    sending = add_app_password(store, "amal@south.test", "printer", Scope.SMTP)
    every = add_app_password(store, "amal", "laptop", Scope.ALL)
    for number in range(5):
        add_app_password(store, "amal", f"more {number}")

    async def run() -> None:
        async with running(store):
            desk = open_desk(store)
            opens = {
                (password, service): (await desk.cost_of("amal", password, service))
                for password in (reading, sending, every)
                for service in Service
            }
            assert {key for key, (works, _) in opens.items() if works} == {
                (reading, "imap"),
                (reading, "imaps"),
                (sending, "submission"),
                (sending, "submissions"),
                (every, "imap"),
                (every, "imaps"),
                (every, "pop3"),
                (every, "pop3s"),
                (every, "submission"),
                (every, "submissions"),
            }
            assert {cost for _, cost in opens.values()} == {1}
            assert await desk.cost_of("amal", reading.upper().replace("-", " ")) == (True, 1)
            other = "3" if reading[-1] == "2" else "2"
            assert await desk.cost_of("amal", reading[:-1] + other) == (False, 1)
            assert await desk.cost_of("amal", "old password") == (True, 1)

    asyncio.run(run())


def test_a_removed_app_password_opens_nothing(store: Store) -> None:
    amal = make_amal(store)
    password = add_app_password(store, "amal", "phone")

    async def run() -> None:
        async with running(store):
            desk = open_desk(store)
            assert await desk.cost_of("amal", password) == (True, 1)
            (row,) = await store.read(lambda conn: list_app_passwords(conn, amal.account_id))
            gone = AppPasswordOf(amal.account_id, row.app_password_id)
            await store.write(remove_app_password, gone)
            assert await desk.cost_of("amal", password) == (False, 1)

    asyncio.run(run())


def test_last_use_is_noted_once_an_hour(store: Store) -> None:
    amal = make_amal(store)
    password = add_app_password(store, "amal", "phone")
    clock = FakeClock(NOW_MS)

    async def run() -> None:
        async with running(store):
            desk = open_desk(store, clock=clock)

            async def last_used() -> int | None:
                assert (await desk.cost_of("amal", password))[0]
                # What was written later is in a batch that this one waits for.
                await store.write(set_active, NewActive(amal.account_id, active=True))
                rows = await store.read(lambda conn: list_app_passwords(conn, amal.account_id))
                return rows[0].last_used_ms

            assert await last_used() == NOW_MS
            clock.advance(60_000)
            assert await last_used() == NOW_MS
            clock.advance(3_600_000)
            assert await last_used() == NOW_MS + 3_660_000

    asyncio.run(run())


def test_the_last_log_in_is_noted_once_a_minute(store: Store) -> None:
    amal = make_amal(store)
    clock = FakeClock(NOW_MS)

    async def run() -> None:
        async with running(store):
            desk = open_desk(store, clock=clock)

            async def last(
                service: Service,
                password: str = "old password",  # noqa: S107
            ) -> tuple[int, str] | None:
                await desk.cost_of("amal", password, service)
                # What was written later is in a batch that this one waits for.
                await store.write(set_active, NewActive(amal.account_id, active=True))
                found = await store.read(lambda conn: load_last_logins(conn, amal.account_id))
                if not found:
                    return None
                assert found[amal.account_id].peer == "192.0.2.1"
                return found[amal.account_id].at_ms, found[amal.account_id].service

            assert await last(Service.IMAP, "wrong password") is None
            assert await last(Service.IMAP) == (NOW_MS, "imap")
            clock.advance(59_000)
            assert await last(Service.SUBMISSION) == (NOW_MS, "imap")
            clock.advance(1_000)
            assert await last(Service.SUBMISSION) == (NOW_MS + 60_000, "submission")

    asyncio.run(run())


def test_workers_slow_the_same_network_down(store: Store) -> None:
    """What one worker counted, another one acts on; a repeated wrong answer is one guess."""
    make_amal(store)
    clock = FakeClock(NOW_MS)

    async def run() -> None:
        async with running(store):
            one, two = (open_desk(store, free_failures=50, clock=clock) for _ in range(2))
            for number in range(3):
                await one.cost_of("amal", f"guess {number}")
                await two.cost_of("amal", "the same guess")
            amal = await store.read(lambda conn: failures_of(conn, "192.0.2.1"))
            await one.login.log_in("x", "y", peer="192.0.2.9", service=Service.IMAP)
            while amal.count < 4:
                amal = await store.read(lambda conn: failures_of(conn, "192.0.2.1"))
            assert amal.count == 4
            # A right answer is not held back for what others at the same address typed.
            assert await two.cost_of("amal", "old password") == (True, 1)

    asyncio.run(run())


def test_a_guesser_does_not_make_the_owner_wait(store: Store) -> None:
    """Wrong answers are held back, right ones are not: in the same network, whoever guesses."""
    make_amal(store)
    basim = make_account(store, "basim@south.test", password_hash=HASHER.hash("basims password"))
    clock = FakeClock(NOW_MS)

    async def run() -> None:
        async with running(store):
            desk = open_desk(store, free_failures=3, clock=clock)
            assert await desk.cost_of("basim", "basims password") == (True, 1)
            for _ in range(20):  # from now on a wrong answer is held back for 20 seconds
                await store.write(count_failures, FailedLogin("192.0.2.1", NOW_MS, WINDOW_MS))

            def guess(name: str, number: int) -> asyncio.Task[tuple[bool, int]]:
                return asyncio.create_task(desk.cost_of(name, f"guess {number}"))

            async def until_computed(count: int) -> None:
                for _ in range(1_000_000):  # in other threads, and without any time of ours
                    if desk.hasher.computations >= count:
                        return
                    await asyncio.sleep(0)
                raise AssertionError("no computation")

            guesses = [guess("amal", number) for number in range(TURNS - 1)]
            await until_computed(TURNS)
            assert (await desk.cost_of("amal", "old password"))[0]
            assert not any(task.done() for task in guesses)
            # All turns are taken now. Who has been here before needs none, even where what was
            # remembered of the password is gone.
            guesses += [guess("nobody", number) for number in range(5)]
            await until_computed(TURNS + 2)
            await store.write(set_active, NewActive(basim.account_id, active=True))
            assert (await desk.cost_of("basim", "basims password"))[0]
            assert not any(task.done() for task in guesses)
            for task in guesses:
                task.cancel()
            await asyncio.gather(*guesses, return_exceptions=True)

    asyncio.run(run())
