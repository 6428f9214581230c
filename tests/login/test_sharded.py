"""Log-in where two stores have an account of the same login."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kit.store import make_account, open_test_store, running
from zajil.core.service import Service
from zajil.login.account import Origin
from zajil.login.service import LoginService
from zajil.login.sharded import ShardedLogin
from zajil.net.system import BufferedRandom, SystemClock
from zajil.store.people.login_failures import failures_of

IMAP = Origin("192.0.2.1", Service.IMAP)


class Judge:
    """Says of each token that it belongs to who it names."""

    async def judge(self, token: str) -> str | None:
        return token


def home_of(name: str) -> str:
    return "north" if name.endswith("@north.test") else "main"


@pytest.mark.parametrize(
    ("token", "wanted", "found"),
    [
        ("anna", "", "anna@y.test"),
        ("anna", "anna@y.test", "anna@y.test"),
        ("anna@north.test", "", "anna@north.test"),
        ("anna@north.test", "anna@north.test", "anna@north.test"),
        ("anna", "anna@north.test", None),
        ("anna@y.test", "anna@north.test", None),
        ("anna@north.test", "anna@y.test", None),
    ],
)
def test_a_token_opens_the_account_of_its_owner_alone(
    tmp_path: Path, token: str, wanted: str, found: str | None
) -> None:
    """Whatever the client asks for: logins are unique in one store only."""
    main, north = (open_test_store("sqlite", tmp_path / name) for name in ("main", "north"))
    make_account(main, "anna@y.test")
    make_account(north, "anna@north.test")
    clock, random = SystemClock(), BufferedRandom()

    async def run() -> None:
        async with running(main), running(north):
            other = LoginService(
                north,
                clock,
                random,
                free_failures=0,
                tokens=Judge(),
                shard="north",
                serves=lambda name: home_of(name) == "north",
            )
            login = ShardedLogin(
                main,
                clock,
                random,
                free_failures=0,
                tokens=Judge(),
                serves=lambda name: home_of(name) == "main",
                others={"north": other},
                home_of=home_of,
            )
            account = await login.log_in_with_token(token, wanted, IMAP, "OAUTHBEARER")
            assert (None if account is None else str(account.address)) == found

    asyncio.run(run())


def test_who_guesses_in_two_shards_has_the_tries_of_one(tmp_path: Path) -> None:
    """Wrong guesses are counted in the main shard; while that is away, in memory."""
    main, north = (open_test_store("sqlite", tmp_path / name) for name in ("main", "north"))
    make_account(main, "anna@y.test")
    make_account(north, "anna@north.test")
    clock, random = SystemClock(), BufferedRandom()

    async def count() -> int:
        return (await main.read(lambda conn: failures_of(conn, IMAP.peer))).count

    async def guess(login: LoginService) -> None:
        for who in ("anna@y.test", "anna@north.test"):
            for password in ("one", "two"):
                found = await login.log_in(who, password, peer=IMAP.peer, service=IMAP.service)
                assert found is None

    async def run() -> None:
        others: dict[str, LoginService] = {}
        async with running(north):
            async with running(main):
                front = ShardedLogin(
                    main, clock, random, free_failures=50, others=others, home_of=home_of
                )
                others["north"] = LoginService(
                    north, clock, random, free_failures=50, shard="north", counts=front
                )
                await guess(front)
                while await count() < 4:
                    pass
                assert not (await north.read(lambda conn: failures_of(conn, IMAP.peer))).count
            found = await others["north"].log_in(
                "anna@north.test", "three", peer=IMAP.peer, service=IMAP.service
            )
            assert found is None

    asyncio.run(run())
