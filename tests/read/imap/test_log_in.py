"""AUTHENTICATE by every mechanism, and connections that end with their log-in."""

from __future__ import annotations

import asyncio
from base64 import b64decode, b64encode
from pathlib import Path

from kit.imap import ImapClient, imap_place
from kit.login import HASHER, add_app_password
from kit.scram_client import ScramClient
from kit.store import make_account, running
from zajil.core.app_password import Scope
from zajil.store.engine.open import Store
from zajil.store.people.accounts import NewActive, set_active


async def scram(client: ImapClient, password: str) -> bytes:
    """Log in by SCRAM with an initial response; give the tagged answer."""
    exchange = ScramClient("amal", password)
    await client.send(b"A AUTHENTICATE SCRAM-SHA-256 " + b64encode(exchange.first()) + b"\r\n")
    first = b64decode((await client.read_response()).removeprefix(b"+ "))
    await client.send(b64encode(exchange.final(first)) + b"\r\n")
    answer = await client.read_response()
    if answer.startswith(b"+ "):
        assert exchange.knows_server(b64decode(answer.removeprefix(b"+ ")))
        await client.send(b"\r\n")
        answer = await client.read_response()
    return answer


def test_scram_and_the_end_of_a_log_in(store: Store, tmp_path: Path) -> None:
    amal = make_account(store, "amal@north.test", password_hash=HASHER.hash("own password"))
    reading = add_app_password(store, "amal", "phone", Scope.IMAP)
    sending = add_app_password(store, "amal", "printer", Scope.SMTP)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place:
            client = await place.connect()
            assert b"AUTH=SCRAM-SHA-256" in client.greeting
            assert b"AUTH=OAUTHBEARER" not in client.greeting
            assert (await scram(client, sending)).startswith(b"A NO [AUTHENTICATIONFAILED]")
            assert (await scram(client, reading)).startswith(b"A OK ")
            await client.send(b"B SELECT INBOX\r\n")
            await client.read_until(b"B")
            await client.send(b"C IDLE\r\n")
            assert (await client.read_response()).startswith(b"+ ")
            await store.write(set_active, NewActive(amal.account_id, active=False))
            assert (await client.read_response()).startswith(b"* BYE")
            assert await client.is_closed()
            await client.close()

    asyncio.run(run())


def test_bad_base64_and_nonsense_are_answered(store: Store, tmp_path: Path) -> None:
    """CVE-2025-59028: bad base64 of one client is that client's trouble alone."""
    make_account(store, "amal@north.test", password_hash=HASHER.hash("own password"))

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place:
            client, other = await place.connect(), await place.connect()
            for argument in (b"PLAIN !!!!", b"PLAIN AA=A", b"SCRAM-SHA-256 AAAA", b"CRAM-MD5"):
                answer = (await client.command(b"AUTHENTICATE " + argument))[-1]
                assert b" BAD " in answer or b" NO " in answer
            plain = b64encode(b"\0amal\0own password")
            assert b" OK " in (await other.command(b"AUTHENTICATE PLAIN " + plain))[-1]
            await client.close()
            await other.close()

    asyncio.run(run())
