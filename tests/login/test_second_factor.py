"""A second factor closes the doors that cannot ask for one, but for app passwords."""

from __future__ import annotations

import asyncio
import os
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from kit.imap import imap_place
from kit.login import HASHER, add_app_password, open_desk
from kit.operations import BOSS, runner
from kit.store import make_account, running
from zajil.core.app_password import Scope
from zajil.core.service import Service
from zajil.login.account import Origin
from zajil.login.exchange import Failure
from zajil.login.open_sessions import holds
from zajil.login.session_login import SessionLogin
from zajil.login.verification import AppPasswordNeeded
from zajil.net.system import SystemClock
from zajil.operations.context import OperationContext
from zajil.operations.second_factors import (
    NewPasskey,
    forget_passkey,
    register_passkey,
    reset_second_factors,
)
from zajil.store.engine.open import Store
from zajil.store.people.credentials import read_standing

PASSKEY = NewPasskey("aWQ", b"key", 0, "phone")
OWN = "own password"


async def change(store: Store, operation: Any, *args: Any) -> None:
    """Run an operation on a store that serves, as a page does."""
    context = OperationContext(store, SystemClock(), os.urandom)
    await operation(context, BOSS, *args)


@pytest.mark.parametrize(
    "service", [Service.IMAP, Service.IMAPS, Service.POP3S, Service.SUBMISSION, Service.SUBMISSIONS]
)
def test_the_password_alone_opens_no_program(store: Store, service: Service) -> None:
    make_account(store, "amal@south.test", password_hash=HASHER.hash(OWN))
    app_password = add_app_password(store, "amal", "phone", Scope.ALL)

    async def run() -> None:
        async with running(store):
            desk = open_desk(store)
            assert await desk.cost_of("amal", OWN, service) == (True, 1)
            await change(store, register_passkey, "amal", PASSKEY)
            # Each worker forgets what it remembered; the answer is the same at each try.
            for _ in range(2):
                with pytest.raises(AppPasswordNeeded):
                    await desk.cost_of("amal", OWN, service)
            assert (await desk.cost_of("amal", "wrong", service))[0] is False
            assert (await desk.cost_of("amal", app_password, service))[0] is True
            assert (await desk.cost_of("amal", OWN, Service.WEB))[0] is True
            login = SessionLogin(desk.login, Origin("192.0.2.1", service), lambda: None)
            assert await login.check_password("amal", OWN) is Failure.NEEDS_APP_PASSWORD
            plain = f"\0amal\0{OWN}".encode()
            assert await login.begin("PLAIN", plain) is Failure.NEEDS_APP_PASSWORD
            await change(store, reset_second_factors, "amal")
            assert (await desk.cost_of("amal", OWN, service))[0] is True

    asyncio.run(run())


def test_sessions_that_rest_on_the_password_end(store: Store) -> None:
    amal = make_account(store, "amal@south.test", password_hash=HASHER.hash(OWN))
    app_password = add_app_password(store, "amal", "phone", Scope.ALL)

    async def run() -> None:
        async with running(store):
            login = open_desk(store).login
            peer, service = "192.0.2.1", Service.IMAP
            own = await login.log_in("amal", OWN, peer=peer, service=service)
            app = await login.log_in("amal", app_password, peer=peer, service=service)
            assert own is not None
            assert app is not None
            assert app.proof is not None
            await change(store, register_passkey, "amal", PASSKEY)
            used = {one for one in (app.proof.app_password_id,) if one is not None}
            standing = store.read_now(lambda conn: read_standing(conn, {amal.account_id}, used))
            assert not holds(own, standing)
            assert holds(app, standing)

    asyncio.run(run())


def test_imap_says_what_is_needed(store: Store, tmp_path: Path) -> None:
    make_account(store, "amal@north.test", password_hash=HASHER.hash(OWN))
    runner(store).run(register_passkey, "amal", PASSKEY)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place:
            client = await place.connect()
            plain = b64encode(f"\0amal\0{OWN}".encode())
            for command in (b"AUTHENTICATE PLAIN " + plain, f'LOGIN amal "{OWN}"'.encode()):
                answer = (await client.command(command))[-1]
                assert b" NO [AUTHENTICATIONFAILED] " in answer
                assert b"app password" in answer
            wrong = (await client.command(b"LOGIN amal wrong"))[-1]
            assert b"app password" not in wrong
            await change(store, forget_passkey, "amal", "aWQ")
            assert b" OK " in (await client.command(b"AUTHENTICATE PLAIN " + plain))[-1]
            await client.close()

    asyncio.run(run())


def test_all_accounts_may_need_an_app_password(store: Store) -> None:
    make_account(store, "amal@south.test", password_hash=HASHER.hash(OWN))
    app_password = add_app_password(store, "amal", "phone", Scope.ALL)

    async def run() -> None:
        async with running(store):
            desk = open_desk(store, needs_factor=True)
            with pytest.raises(AppPasswordNeeded):
                await desk.cost_of("amal", OWN)
            assert (await desk.cost_of("amal", "wrong"))[0] is False
            assert (await desk.cost_of("amal", app_password))[0] is True
            assert (await desk.cost_of("amal", OWN, Service.WEB))[0] is True

    asyncio.run(run())
