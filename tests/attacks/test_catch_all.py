"""A catch-all takes every address: it must not multiply mail, or lend its names."""

from __future__ import annotations

import asyncio
from base64 import b64encode

import pytest

from kit.clock import FakeClock
from kit.courier import courier
from kit.login import HASHER, open_desk
from kit.network import Deed, SinkSession, smtp_sink
from kit.reading import inbox_of
from kit.store import make_account, running
from kit.talk import talk_to_receiver, talk_to_submission
from kit.zone import Zone
from zajil.core.address import parse_address
from zajil.smtp.command import BodyEnd, Command, Rcpt
from zajil.smtp.reply import Reply
from zajil.store.engine.open import Store
from zajil.store.people.aliases import AliasRow, create_alias
from zajil.store.queue.queue_admin import QueueQuery, list_rows

ZONE: Zone = {name: {"A": ["127.0.0.1"]} for name in ("far.test", "elsewhere.test")}
MESSAGE = (
    "From: stranger@east.test\r\nTo: a1@south.test\r\nSubject: hi\r\n"
    "Date: Mon, 23 Nov 2026 19:09:21 +0000\r\nMessage-ID: <1@elsewhere.test>\r\n\r\nhello\r\n"
)
PLAIN = b64encode(b"\0noor\0a password").decode()
DATE_MS = 1_795_460_961_000
"""Of the message: one with an odd date is junk, and nobody is told of that."""
DICTIONARY = [f"a{number}@south.test" for number in range(50)]


def catch_all(store: Store, *targets: str) -> None:
    row = AliasRow(parse_address("*@south.test"), tuple(map(parse_address, targets)))
    store.write_now(create_alias, row)


def refuse_all(event: Command | BodyEnd, session: SinkSession) -> Reply | Deed | None:
    if isinstance(event, Rcpt) and event.forward_path.domain == "far.test":
        return Reply(550, ("5.7.1 this is spam for keeper@far.test",))
    return None


def test_a_dictionary_of_addresses_makes_one_copy_and_one_report(store: Store) -> None:
    """The target refuses it: the sender, who may be forged, hears once, and not from where."""
    make_account(store, "noor@south.test")
    catch_all(store, "noor@south.test", "keeper@far.test")

    async def run() -> None:
        async with (
            smtp_sink(answer=refuse_all) as sink,
            courier(store, ZONE, port=sink.port, clock=FakeClock(DATE_MS)) as setup,
        ):
            await store.directory.load()
            client = await talk_to_receiver(store, clock=setup.clock)
            reply = await client.send("stranger@elsewhere.test", DICTIONARY, MESSAGE)
            assert reply.startswith("250 ")
            assert len(await inbox_of(store, "noor@south.test")) == 1
            (row,) = await store.read(lambda conn: list_rows(conn, QueueQuery()))
            assert row.recipient == "keeper@far.test"
            await setup.deliverer.run_due()
            await setup.deliverer.run_due()
            (report,) = [one for one in sink.mails if one.recipients]
            assert report.recipients == ["stranger@elsewhere.test"]
            assert report.mail.reverse_path is None
            text = report.message
            assert b"Final-Recipient: rfc822; a0@south.test" in text
            assert text.count(b"Final-Recipient:") == 1
            assert b"keeper" not in text
            assert b"far.test" not in text

    asyncio.run(run())


@pytest.mark.parametrize("sender", ["anybody@south.test", "*@south.test", "postmaster@south.test"])
def test_the_target_may_not_send_as_everybody(store: Store, sender: str) -> None:
    make_account(store, "noor@south.test", password_hash=HASHER.hash("a password"))
    catch_all(store, "noor@south.test")

    async def run() -> None:
        async with running(store):
            client = await talk_to_submission(store, open_desk(store).login)
            assert (await client.say(f"AUTH PLAIN {PLAIN}")).startswith("235")
            assert (await client.say(f"MAIL FROM:<{sender}>")).startswith("553 5.7.1")
            assert (await client.say("MAIL FROM:<noor@south.test>")).startswith("250")

    asyncio.run(run())
