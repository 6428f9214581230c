"""An account that forwards its mail: a copy here or not, and one elsewhere, as with an alias."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from kit.dkim import NOW_S
from kit.keys import make_signer, published_keys
from kit.reading import inbox_of
from kit.store import make_account, running
from kit.talk import talk_to_receiver
from kit.zone import run_flow_on_zone
from zajil.core.address import parse_address
from zajil.core.ids import MailId
from zajil.mailauth.arc import ArcFound, verify_arc
from zajil.mailauth.dkim_body import BodyDigests, body_needs
from zajil.message.fields import read_fields, split_message
from zajil.store.engine.open import Store
from zajil.store.mail.mail_content import find_mail_blob
from zajil.store.mail.tracking import MailQuery, find_mails, load_journey
from zajil.store.people.forwarding import Forwarding, set_forwarding
from zajil.store.queue.queue_admin import QueueQuery, list_rows
from zajil.tracking.events import AliasExpanded, RecipientNamed

MESSAGE = (
    b"From: Amal <amal@north.test>\r\nTo: noor@south.test\r\nSubject: hi\r\n"
    b"Date: Mon, 23 Nov 2026 19:09:21 +0000\r\nMessage-ID: <1@north.test>\r\n\r\nhello\r\n"
)
FAR = parse_address("noor@elsewhere.test")


def with_store(store: Store, talk: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        async with running(store):
            await talk()

    asyncio.run(run())


async def waiting(store: Store) -> list[tuple[str, str | None]]:
    rows = await store.read(lambda conn: list_rows(conn, QueueQuery()))
    return [(row.recipient, row.sender) for row in rows]


async def newest(store: Store) -> MailId:
    return (await store.read(lambda conn: find_mails(conn, MailQuery())))[0].mail_id


def test_mail_is_forwarded_and_kept_until_it_is_turned_off(store: Store) -> None:
    noor = make_account(store, "noor@south.test")

    async def talk() -> None:
        client = await talk_to_receiver(store)
        await store.write(set_forwarding, Forwarding(noor.account_id, (FAR,)))
        await client.send("amal@north.test", ["noor+x@south.test"], MESSAGE)
        # The sender stays: what comes back from there is told to it in the name it wrote to.
        assert await waiting(store) == [("noor@elsewhere.test", "amal@north.test")]
        assert len(await inbox_of(store, "noor@south.test")) == 1
        await store.write(set_forwarding, Forwarding(noor.account_id, (FAR,), keeps_copy=False))
        await client.send("amal@north.test", ["NOOR@south.test"], MESSAGE)
        assert len(await waiting(store)) == 2
        assert len(await inbox_of(store, "noor@south.test")) == 1
        await store.write(set_forwarding, Forwarding(noor.account_id, ()))
        await client.send("amal@north.test", ["noor@south.test"], MESSAGE)
        assert len(await waiting(store)) == 2
        assert len(await inbox_of(store, "noor@south.test")) == 2

    with_store(store, talk)


def test_the_journey_tells_of_it_as_of_an_alias(store: Store) -> None:
    noor = make_account(store, "noor@south.test")
    store.write_now(set_forwarding, Forwarding(noor.account_id, (FAR,)))

    async def talk() -> None:
        client = await talk_to_receiver(store)
        await client.send("amal@north.test", ["noor@south.test"], MESSAGE)
        mail_id = await newest(store)
        journey = await store.read(lambda conn: load_journey(conn, mail_id))
        assert journey is not None
        told = [one.event for one in journey.events if isinstance(one.event, AliasExpanded)]
        assert [(one.recipient, one.targets) for one in told] == [
            ("noor@south.test", ("noor@south.test", "noor@elsewhere.test"))
        ]
        # Who wrote it is not told that it goes on.
        named = [one.event for one in journey.events if isinstance(one.event, RecipientNamed)]
        assert [one.route for one in named] == ["local"]
        hidden = {copy.address: copy.addressed_as for copy in journey.recipients}
        assert hidden == {"noor@south.test": None, "noor@elsewhere.test": "noor@south.test"}

    with_store(store, talk)


def test_what_goes_on_is_sealed(store: Store) -> None:
    """RFC 8617 section 5.1."""
    noor = make_account(store, "noor@south.test")
    store.write_now(set_forwarding, Forwarding(noor.account_id, (FAR,), keeps_copy=False))
    signer = make_signer(store, "south.test")

    async def talk() -> None:
        client = await talk_to_receiver(store, signer=signer)
        await client.send("amal@north.test", ["noor@south.test"], MESSAGE)
        mail_id = await newest(store)
        blob_id = await store.read(lambda conn: find_mail_blob(conn, mail_id))
        assert blob_id is not None
        kept = await store.read(lambda conn: store.blobs.read(conn, blob_id))
        found = check_chain(kept)
        assert (found.cv, found.sealers) == ("pass", ("south.test",))

    def check_chain(message: bytes) -> ArcFound:
        end, start = split_message(message)
        fields = read_fields(message[:end])
        digests = BodyDigests(body_needs(fields))
        digests.feed(message[start:])
        flow = verify_arc(message[:end], fields, digests, NOW_S)
        return run_flow_on_zone(flow, published_keys(store))

    with_store(store, talk)
