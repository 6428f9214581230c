"""Log-ins: every mechanism, app passwords, one session at a time, and the end of credentials."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kit.clock import FakeClock
from kit.imap import PASSWORD, make_reader
from kit.login import HASHER, add_app_password
from kit.pop3 import Pop3Client, deliver, pop3_place
from kit.scram_client import ScramClient
from kit.store import make_account, open_test_store, running
from zajil.core.app_password import Scope
from zajil.read.pop3.locks import MaildropLocks
from zajil.store.engine.open import Store
from zajil.store.people.accounts import NewActive, set_active
from zajil.store.people.last_logins import load_last_logins
from zajil.store.schema import maildrop
from zajil.tracking.events import LoggedIn, LoginFailed


def until(conn: Connection) -> int | None:
    return conn.scalar(sa.select(maildrop.c.until_ms))


IN_USE = "-ERR [IN-USE] mailbox is in use by another session"


async def scram(client: Pop3Client, password: str) -> str:
    """Log in by SCRAM with an initial response; give the last answer."""
    exchange = ScramClient("amal", password)
    answer = await client.ask("AUTH SCRAM-SHA-256 " + b64encode(exchange.first()).decode())
    first = b64decode(answer.removeprefix("+ "))
    answer = await client.ask(b64encode(exchange.final(first)).decode())
    if answer.startswith("+ "):
        assert exchange.knows_server(b64decode(answer.removeprefix("+ ")))
        answer = await client.ask("")
    return answer


def test_scram_and_the_end_of_a_log_in(store: Store, tmp_path: Path) -> None:
    """An app password opens its scope; a session ends with its account."""
    amal = make_account(store, "amal@north.test", password_hash=HASHER.hash("own password"))
    fetching = add_app_password(store, "amal", "phone", Scope.POP3)
    reading = add_app_password(store, "amal", "tablet", Scope.IMAP)

    async def run() -> None:
        async with running(store), pop3_place(store, tmp_path) as place:
            client = await place.connect()
            assert b"SASL PLAIN LOGIN SCRAM-SHA-256" in await client.ask_for("CAPA")
            wrong = "-ERR [AUTH] wrong login or password"
            assert await scram(client, reading) == wrong
            assert await client.log_in("amal", reading) == wrong
            assert await scram(client, fetching) == "+OK logged in"
            await store.write(set_active, NewActive(amal.account_id, active=False))
            assert await client.line() == "-ERR credentials changed, please reconnect"
            assert await client.is_closed()
            await client.close()

    asyncio.run(run())


def test_plain_login_and_nonsense(store: Store, tmp_path: Path) -> None:
    """RFC 5034 section 4, with the response codes of RFC 3206."""
    make_reader(store)

    async def run() -> None:
        async with running(store), pop3_place(store, tmp_path) as place:
            client = await place.connect()
            for argument in ("PLAIN !!!!", "PLAIN AA=A", "CRAM-MD5", "PLAIN AGE="):
                assert (await client.ask(f"AUTH {argument}")).startswith("-ERR ")
            plain = b64encode(f"\0amal\0{PASSWORD}".encode()).decode()
            assert await client.ask("AUTH PLAIN") == "+ "
            assert await client.ask("*") == "-ERR cancelled"
            assert await client.ask(f"AUTH PLAIN {plain}") == "+OK logged in"
            assert await client.ask("QUIT") == "+OK bye"
            await client.close()
            client = await place.connect()
            assert b64decode((await client.ask("AUTH LOGIN"))[2:]).startswith(b"User")
            assert (await client.ask(b64encode(b"amal").decode())).startswith("+ ")
            assert await client.ask(b64encode(PASSWORD.encode()).decode()) == "+OK logged in"
            await client.close()

    asyncio.run(run())


def test_log_ins_are_told(store: Store, tmp_path: Path) -> None:
    amal = make_reader(store)
    told: list[object] = []

    async def run() -> None:
        async with running(store), pop3_place(store, tmp_path) as place:
            store.observe(lambda batches: told.extend(e for b in batches for e in b.events))
            client = await place.connect()
            await client.log_in(password="wrong")
            await client.log_in()
            await client.close()

    asyncio.run(run())
    (failed,) = [one for one in told if isinstance(one, LoginFailed)]
    (done,) = [one for one in told if isinstance(one, LoggedIn)]
    assert (failed.service, failed.mechanism) == ("pop3s", "LOGIN")
    assert (done.service, done.login, done.peer) == ("pop3s", "amal", "127.0.0.1")
    again = open_test_store(str(store._options.url), tmp_path / "data")
    last = again.read_now(lambda conn: load_last_logins(conn, amal.account_id))
    again.close_now()
    assert last[amal.account_id].service == "pop3s"


def test_one_session_at_a_time(store: Store, tmp_path: Path) -> None:
    """RFC 2449 section 8.1.1; also in another worker, and the second may try again."""
    amal, noor = make_reader(store), make_reader(store, "noor@north.test")
    deliver(store, amal, b"Subject: x\r\n\r\n")

    async def run() -> None:
        async with (
            running(store),
            pop3_place(store, tmp_path) as one,
            pop3_place(store, tmp_path, worker=1) as other,
        ):
            async with one.session() as client, one.session("noor"):
                second = await other.connect()
                for place in (one, other):
                    third = await place.connect()
                    assert await third.log_in() == IN_USE
                    await third.close()
                assert await second.log_in() == IN_USE
                assert await second.log_in() == IN_USE
                await client.ask("DELE 1")
                assert await client.ask("QUIT") == "+OK bye"
                assert await second.log_in() == "+OK logged in"
                assert await second.ask("STAT") == "+OK 0 0"
                assert await second.ask("QUIT") == "+OK bye"
                await second.close()
            async with one.session():
                pass
            async with one.session("noor"):  # whose session was cut
                pass

    assert noor.account_id != amal.account_id
    asyncio.run(run())


def test_a_dead_worker_lets_go(store: Store, tmp_path: Path) -> None:
    """By the worker that takes its place at once, by another node when the lease has ended."""
    amal = make_reader(store)

    async def run() -> None:
        async with running(store):
            clock = FakeClock(1_000_000)
            dead = MaildropLocks(store, 0, clock, lease_ms=1000)
            other = MaildropLocks(store, 1, clock, lease_ms=1000)
            assert await dead.take(amal.account_id, "first")
            assert not await other.take(amal.account_id, "second")
            assert await dead.still_has("first")
            await MaildropLocks(store, 0, clock).begin()
            assert await other.take(amal.account_id, "second")
            assert not await dead.still_has("first")
            assert not await dead.take(amal.account_id, "third")
            clock.advance(1001)
            assert await dead.take(amal.account_id, "third")
            assert not await other.still_has("second")
            await other.release("second")  # no longer its own
            assert await dead.still_has("third")

    asyncio.run(run())


def test_leases_are_renewed(store: Store, tmp_path: Path) -> None:
    """A session may be longer than a lease."""
    amal = make_reader(store)

    async def run() -> None:
        async with running(store):
            clock = FakeClock(1_000_000)
            locks = MaildropLocks(store, 0, clock, lease_ms=1000, renewed_seconds=0.01)
            other = MaildropLocks(store, 1, clock, lease_ms=1000)
            running_locks = asyncio.create_task(locks.run())
            assert await locks.take(amal.account_id, "first")
            clock.advance(900)
            async with asyncio.timeout(60):
                while await store.read(until) != clock.now_ms() + 1000:
                    pass
            clock.advance(900)
            assert not await other.take(amal.account_id, "second")
            running_locks.cancel()

    asyncio.run(run())


def test_who_lost_the_lease_deletes_nothing(store: Store, tmp_path: Path) -> None:
    """A worker that was suspended for long: another session has the maildrop now."""
    amal = make_reader(store)
    deliver(store, amal, b"Subject: x\r\n\r\n")

    async def run() -> None:
        async with running(store):
            clock = FakeClock(1_000_000)
            locks = MaildropLocks(store, 0, clock, lease_ms=1000)
            async with pop3_place(store, tmp_path, locks=locks) as place, place.session() as client:
                await client.ask("DELE 1")
                clock.advance(1001)
                other = MaildropLocks(store, 1, clock)
                assert await other.take(amal.account_id, "second")
                assert await client.ask("QUIT") == "-ERR [SYS/TEMP] messages were not deleted"
                assert await client.is_closed()
                assert await other.still_has("second")
                await other.release("second")
            async with pop3_place(store, tmp_path) as place, place.session() as client:
                assert (await client.ask("STAT")).startswith("+OK 1 ")

    asyncio.run(run())


@pytest.mark.parametrize("command", ["STAT", "RETR 1", "LIST", "QUIT"])
def test_strangers_ask_for_nothing(store: Store, tmp_path: Path, command: str) -> None:
    make_reader(store)

    async def run() -> None:
        async with running(store), pop3_place(store, tmp_path) as place:
            client = await place.connect()
            answer = await client.ask(command)
            assert answer == ("+OK bye" if command == "QUIT" else "-ERR not allowed in this state")
            await client.close()

    asyncio.run(run())
