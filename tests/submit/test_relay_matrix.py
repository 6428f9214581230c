"""Who may send where, on 587 and on 25: every spelling that some server once fell for."""

from __future__ import annotations

import asyncio
import os

from argon2 import PasswordHasher

from kit.reading import inbox_of
from kit.store import make_account, running
from kit.talk import talk_to_receiver, talk_to_submission
from zajil.login.service import LoginService
from zajil.net.system import SystemClock
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import MailQuery, find_mails

PASSWORD = "correct horse"
HASH = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
OURS = {
    "<noor@south.test>": "250 ",
    "<noor@SOUTH.Test>": "250 ",
    "<NOOR@south.test>": "250 ",
    "<noor@south.test.>": "250 ",
    "<@north.test:noor@south.test>": "250 ",
}
"""Spellings of one mailbox of ours."""
HIDDEN = {
    "<someone%elsewhere.test@south.test>": "550 5.1.1",
    '<"someone@elsewhere.test"@south.test>': "550 5.1.1",
    "<elsewhere.test!someone@south.test>": "550 5.1.1",
    "<someone@elsewhere.test@south.test>": "501 ",
    "<someone@south.test@elsewhere.test>": "501 ",
    "<someone%elsewhere.test>": "501 ",
    "<someone>": "501 ",
}
"""A domain elsewhere behind ours: nowhere a way out, with a log-in or without."""
ELSEWHERE = {
    "<someone@elsewhere.test>": "someone@elsewhere.test",
    "<someone@ELSEWHERE.TEST>": "someone@elsewhere.test",
    "<someone@elsewhere.test.>": "someone@elsewhere.test",
    "<@south.test:someone@elsewhere.test>": "someone@elsewhere.test",
    "<@south.test,@north.test:someone@elsewhere.test>": "someone@elsewhere.test",
    "<noor%south.test@elsewhere.test>": "noor%south.test@elsewhere.test",
    '<"noor@south.test"@elsewhere.test>': '"noor@south.test"@elsewhere.test',
}
"""What a user may send to, and where it goes: what stands before the last @ is not ours to read."""
LITERALS = ["<someone@[192.0.2.99]>", "<someone@[IPv6:2001:db8::1]>", "<someone@[IPv6:::1]>"]


def test_without_a_log_in_nothing_goes(store: Store) -> None:
    async def run() -> None:
        async with running(store):
            login = LoginService(store, SystemClock(), os.urandom, free_failures=10)
            for recipient in [*OURS, *HIDDEN, *ELSEWHERE, *LITERALS]:
                client = await talk_to_submission(store, login)
                assert (await client.say("MAIL FROM:<amal@south.test>")).startswith("530 5.7.0")
                assert (await client.say(f"RCPT TO:{recipient}"))[:3] in ("501", "503", "530")
                assert (await client.say("DATA")).startswith("503 ")

    make_account(store, "amal@south.test")
    asyncio.run(run())


def test_with_a_log_in_it_goes_where_it_says(store: Store) -> None:
    async def run() -> None:
        async with running(store):
            login = LoginService(store, SystemClock(), os.urandom, free_failures=10)
            for recipient, answer in {**OURS, **HIDDEN}.items():
                client = await talk_to_submission(store, login)
                await client.log_in("amal", PASSWORD)
                await client.say("MAIL FROM:<amal@south.test>")
                reply = await client.say(f"RCPT TO:{recipient}")
                assert reply.startswith(answer), f"{recipient}: {reply}"
                await client.say("RSET")
            client = await talk_to_submission(store, login)
            await client.log_in("amal", PASSWORD)
            for recipient in ELSEWHERE:
                await client.say("MAIL FROM:<amal@south.test>")
                reply = await client.say(f"RCPT TO:{recipient}")
                assert reply.startswith("250 "), f"{recipient}: {reply}"
                await client.say("DATA")
                assert (await client.say("From: amal@south.test\r\n\r\n.\r\n")).startswith("250 ")
            found = await store.read(lambda conn: find_mails(conn, MailQuery()))
            waiting = [one.recipients for one in found if one.recipients[0][1] != "refused"]
            assert waiting[::-1] == [((address, "waiting"),) for address in ELSEWHERE.values()]

    make_account(store, "amal@south.test", password_hash=HASH)
    make_account(store, "noor@south.test")
    asyncio.run(run())


def test_on_25_ours_come_in_and_nothing_goes_out(store: Store) -> None:
    async def run() -> None:
        async with running(store):
            for recipient, answer in {**OURS, **HIDDEN}.items():
                client = await talk_to_receiver(store)
                await client.say("MAIL FROM:<a@north.test>")
                reply = await client.say(f"RCPT TO:{recipient}")
                assert reply.startswith(answer), f"{recipient}: {reply}"
                await client.say("RSET")
            for recipient in [*ELSEWHERE, *LITERALS]:
                client = await talk_to_receiver(store)
                await client.say("MAIL FROM:<a@north.test>")
                reply = await client.say(f"RCPT TO:{recipient}")
                assert reply.startswith(("550 5.7.1", "501 ")), f"{recipient}: {reply}"
                assert (await client.say("DATA")).startswith("503 ")
                await client.say("RSET")
            letter = "From: a@north.test\r\n\r\n"
            reply = await client.send("a@north.test", ["noor@SOUTH.TEST"], letter)
            assert reply.startswith("250 ")
            assert len(await inbox_of(store, "noor@south.test")) == 1

    make_account(store, "noor@south.test")
    asyncio.run(run())
