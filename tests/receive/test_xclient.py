"""XCLIENT, leniency and chunks: what a named peer may say, and what the journey tells of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any

import pytest
import sqlalchemy as sa

from kit.reading import inbox_of
from kit.store import make_account, running
from kit.talk import HOSTNAME, Talk, talk_to_receiver
from zajil.core.ids import MailId
from zajil.net.peer import Peer
from zajil.receive.session_record import reported_peer
from zajil.smtp.command import UnknownCommand, Xclient
from zajil.smtp.extensions import Capabilities
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import EventBatch, load_journey, record_events
from zajil.store.schema import event
from zajil.tracking.codec import decode_events
from zajil.tracking.events import CommandRefused, TrackingEvent

PROXY = Peer("10.0.0.2", 5000, "10.0.0.1:25")
HEAD = "From: a@north.test\r\nTo: noor@south.test\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n"
MESSAGE = "From: a@north.test\r\n\r\nhello\r\n"


@pytest.mark.parametrize(
    ("told", "peer"),
    [
        (Xclient(), "10.0.0.2:5000"),
        (Xclient(address=ip_address("192.0.2.7"), port=4711), "192.0.2.7:4711"),
        (Xclient(address=ip_address("2001:db8::7")), "[2001:db8::7]:0"),
        (Xclient(address=ip_address("::ffff:192.0.2.7"), port=1), "192.0.2.7:1"),
        (Xclient(address=UnknownCommand.UNAVAILABLE), "10.0.0.2:5000"),
    ],
)
def test_what_is_not_told_stays_the_proxys(told: Xclient, peer: str) -> None:
    assert str(reported_peer(PROXY, told)) == peer


def test_our_own_end_may_be_told_too() -> None:
    told = Xclient(local_address=ip_address("2001:db8::25"), local_port=587)
    assert reported_peer(PROXY, told).local == "[2001:db8::25]:587"


def with_offer(store: Store, talk: Callable[[Talk], Awaitable[None]], **offered: Any) -> None:
    make_account(store, "noor@south.test")

    async def run() -> None:
        async with running(store):
            offer = Capabilities(hostname=HOSTNAME, max_message_size=1 << 20, **offered)
            await talk(await talk_to_receiver(store, offer=offer))

    asyncio.run(run())


async def names_of(store: Store, reply: str) -> list[str]:
    mail_id = MailId(reply.rpartition(" ")[2])
    journey = await store.read(lambda conn: load_journey(conn, mail_id))
    assert journey is not None
    return [recorded.event.name for recorded in journey.events]


async def events_of(store: Store, session_id: str) -> list[TrackingEvent]:
    wanted = sa.select(event.c.body).where(event.c.session_id == session_id)
    bodies = await store.read(lambda conn: list(conn.execute(wanted).scalars()))
    return [one for body in bodies for one in decode_events(body)]


def test_the_mail_is_the_peers_for_whom_the_proxy_speaks(store: Store) -> None:
    async def talk(client: Talk) -> None:
        before = client.session.record.session_id
        told = "XCLIENT ADDR=192.0.2.77 PORT=4712 HELO=spike.north.test"
        assert (await client.say(told)).startswith("220 ")
        assert client.session.record.session_id != before
        assert (await client.say("MAIL FROM:<a@north.test>")).startswith("503 ")
        await client.say("EHLO spike.north.test")
        reply = await client.send("a@north.test", ["noor@south.test"], MESSAGE)
        (text,) = await inbox_of(store, "noor@south.test")
        assert b"Received: from spike.north.test ([192.0.2.77])" in text
        assert (await names_of(store, reply))[:3] == [
            "session.opened",
            "session.proxied",
            "session.greeted",
        ]

    with_offer(store, talk, xclient=True)


def test_what_was_refused_before_stays_with_whom_it_was_said_to(store: Store) -> None:
    """The peer that the proxy speaks for has nothing to do with the proxy's own mistakes."""

    async def talk(client: Talk) -> None:
        proxy = client.session.record.session_id
        assert (await client.say("EXPN proxies")).startswith("502 ")
        await client.say("XCLIENT ADDR=192.0.2.77")
        assert (await client.say("EXPN peers")).startswith("502 ")
        peer = client.session.record.session_id
        client.session.closed("quit")
        await store.write(record_events, EventBatch(None, None, 0, ()))  # behind those
        refused = [
            [
                one.command
                for one in await events_of(store, which)
                if isinstance(one, CommandRefused)
            ]
            for which in (proxy, peer)
        ]
        assert refused == [["EXPN proxies"], ["EXPN peers"]]

    with_offer(store, talk, xclient=True)


def test_nobody_else_may_say_so(store: Store) -> None:
    """Attacks O: XCLIENT from an untrusted peer."""

    async def talk(client: Talk) -> None:
        assert (await client.say("XCLIENT ADDR=127.0.0.1")).startswith("50")
        assert client.session.record.peer.host == "192.0.2.1"

    with_offer(store, talk)


def test_a_lenient_peers_line_ends_are_mended_and_told(store: Store) -> None:
    async def talk(client: Talk) -> None:
        reply = await client.send("a@north.test", ["noor@south.test"], "From: a@b.test\n\nhi\n")
        assert reply.startswith("250 ")
        assert "mail.line_ends" in await names_of(store, reply)

    with_offer(store, talk, bare_line_ends=True)


def test_chunks_are_one_message(store: Store) -> None:
    """RFC 3030 section 2."""

    async def talk(client: Talk) -> None:
        await client.say("MAIL FROM:<a@north.test>")
        await client.say("RCPT TO:<noor@south.test>")
        assert (await client.say(f"BDAT {len(HEAD)}\r\n{HEAD}")).startswith("250 ")
        reply = await client.say("BDAT 6 LAST\r\n\r\nhi\r\n")
        assert reply.startswith("250 2.0.0 queued as ")
        (text,) = await inbox_of(store, "noor@south.test")
        assert text.endswith(b"\r\n\r\nhi\r\n")

    with_offer(store, talk, chunking=True)


def test_vrfy_and_expn_tell_nothing(store: Store) -> None:
    """RFC 5321 section 7.3."""

    async def talk(client: Talk) -> None:
        for name in ("noor@south.test", "nobody@south.test"):
            assert (await client.say(f"VRFY {name}")).startswith("252 ")
            assert (await client.say(f"EXPN {name}")).startswith("502 ")
        assert (await client.say("HELP")).startswith("214 ")

    with_offer(store, talk)


def test_a_refused_message_is_named(store: Store) -> None:
    async def talk(client: Talk) -> None:
        reply = await client.send("a@north.test", ["noor@south.test"], "a\0b")
        assert reply.startswith("550 5.6.0 ")
        assert len(reply.rpartition("(")[2]) == 29

    with_offer(store, talk)
