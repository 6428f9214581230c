"""Whatever was refused can be found by an operator, and floods of it stay small."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import sqlalchemy as sa

from kit.clock import FakeClock
from kit.login import open_desk
from kit.store import make_account, running
from kit.talk import talk_to_receiver, talk_to_submission
from zajil.core.address import parse_address
from zajil.core.ids import MailId
from zajil.net.floods import FAILED_LOGIN, REFUSED_MAIL, RefusalBudget
from zajil.operations.journey import find_mails, find_sessions
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import delete_mails, load_journey
from zajil.store.people.aliases import AliasRow, create_alias
from zajil.store.schema import event, recipient
from zajil.tracking.events import RefusalsMerged

MESSAGE = (
    "From: Amal <amal@north.test>\r\nTo: noor@south.test\r\nSubject: hi\r\n"
    "Date: Mon, 23 Nov 2026 19:09:21 +0000\r\nMessage-ID: <1@north.test>\r\n\r\nhello\r\n"
)


def with_store(store: Store, talk: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        async with running(store):
            await talk()

    asyncio.run(run())


def found(store: Store, **query: object) -> list[tuple[str, list[str], dict[str, int]]]:
    """Give sender, recipients and states of the mails that a search finds."""
    mails = store.read_now(lambda conn: find_mails(conn, **query))["mails"]  # type: ignore[arg-type]
    return [(mail["from"], mail["recipients"], mail["states"]) for mail in mails]


def test_a_mail_refused_after_its_end_is_found(store: Store) -> None:
    make_account(store, "noor@south.test")
    replies: list[str] = []

    async def talk() -> None:
        client = await talk_to_receiver(store)
        bad = MESSAGE.replace("hello", "a bare\nline end")
        replies.append(await client.send("bounce@north.test", ["noor@south.test"], bad))
        assert replies[0].startswith("550 5.5.2")

    with_store(store, talk)
    mail = ("bounce@north.test", ["noor@south.test"], {"refused": 1})
    assert found(store, sender="bounce@north.test") == [mail]
    assert found(store, to="noor@") == [mail]
    assert found(store, refused=True, since_ms=0) == [mail]
    assert found(store, to="somebody@else.test") == []
    mail_id = MailId(replies[0].rpartition("(")[2].rstrip(")"))
    journey = store.read_now(lambda conn: load_journey(conn, mail_id))
    assert journey is not None
    assert (
        journey.recipients[0].reason
        == "550 5.5.2 bare CR or LF is not allowed, lines must end with CRLF"
    )
    assert journey.account_id is None
    assert journey.events[0].event.name == "session.opened"


def test_a_mail_refused_by_its_checks_is_found_by_what_its_header_says(store: Store) -> None:
    make_account(store, "noor@south.test")
    loop = "Received: from a by b; Mon, 23 Nov 2026 19:09:21 +0000\r\n" * 101

    async def talk() -> None:
        client = await talk_to_receiver(store)
        reply = await client.send("bounce@north.test", ["noor@south.test"], loop + MESSAGE)
        assert reply.startswith("554 5.4.6")

    with_store(store, talk)
    assert found(store, sender="amal@north.test") == [
        ("amal@north.test", ["noor@south.test"], {"refused": 1})
    ]
    assert found(store, message_id="<1@north.test>") != []


def test_refused_recipients_and_relays_are_found(store: Store) -> None:
    """Also where no mail came of it, however the session went on."""
    make_account(store, "noor@south.test")

    async def talk() -> None:
        client = await talk_to_receiver(store)
        await client.say("MAIL FROM:<a@north.test>")
        await client.say("RCPT TO:<nobody@south.test>")
        await client.say("RSET")
        await client.say("MAIL FROM:<b@north.test>")
        await client.say("RCPT TO:<someone@elsewhere.test>")
        await client.say("RCPT TO:<noor@south.test>")
        client.session.closed("peer closed")

    with_store(store, talk)
    assert found(store, to="nobody@south.test") == [
        ("a@north.test", ["nobody@south.test"], {"refused": 1})
    ]
    assert found(store, sender="b@north.test") == [
        ("b@north.test", ["someone@elsewhere.test", "noor@south.test"], {"refused": 2})
    ]
    ((_, reason),) = [
        tuple(row)
        for row in store.read_now(
            lambda conn: conn.execute(
                sa.select(recipient.c.address, recipient.c.reason).where(
                    recipient.c.address == "noor@south.test"
                )
            ).all()
        )
    ]
    assert reason == "the peer did not send the message"


def test_an_accepted_mail_with_a_refused_recipient_is_one_mail(store: Store) -> None:
    make_account(store, "noor@south.test")

    async def talk() -> None:
        client = await talk_to_receiver(store)
        await client.send("a@north.test", ["nobody@south.test", "noor@south.test"], MESSAGE)
        client.session.closed("quit")

    with_store(store, talk)
    assert found(store, refused=True) == [
        (
            "amal@north.test",
            ["noor@south.test", "nobody@south.test"],
            {"delivered": 1, "refused": 1},
        )
    ]


def test_mail_to_an_alias_is_found_by_the_alias(store: Store) -> None:
    make_account(store, "noor@south.test")
    make_account(store, "team.member@south.test")
    row = AliasRow(
        parse_address("Team@south.test"),
        (parse_address("noor@south.test"), parse_address("far@elsewhere.test")),
    )
    far = AliasRow(parse_address("فريق@south.test"), (parse_address("away@elsewhere.test"),))

    async def talk() -> None:
        await store.write(create_alias, row)
        await store.write(create_alias, far)
        client = await talk_to_receiver(store)
        await client.send("a@north.test", ["TEAM@south.test"], MESSAGE)
        await client.send("a@north.test", ["فريق@south.test"], MESSAGE)

    with_store(store, talk)
    (mail,) = found(store, to="team@south.test")
    assert sorted(mail[1]) == ["TEAM@south.test", "far@elsewhere.test"]
    assert len(found(store, to="far@elsewhere.test")) == 1
    assert found(store, to="فريق@south.test")[0][1] == ["away@elsewhere.test"]
    assert len(found(store, to="فري")) == 1


def test_failed_log_ins_are_listed(store: Store) -> None:
    async def talk() -> None:
        client = await talk_to_submission(store, open_desk(store).login)
        assert (await client.log_in("amal", "wrong")).startswith("535")
        client.session.closed("quit")

    with_store(store, talk)
    sessions = store.read_now(lambda conn: find_sessions(conn, text="log-in failed"))["sessions"]
    assert [(one["login"], one["peer"], one["happened"]) for one in sessions] == [
        ("amal", "192.0.2.1", ["log-in failed: invalid login or password for submission"])
    ]
    assert store.read_now(lambda conn: find_sessions(conn, text="192.0.2.1", limit=1))["sessions"]
    assert not store.read_now(lambda conn: find_sessions(conn, text="198.51.100.1"))["sessions"]


def test_a_flood_of_refusals_is_kept_in_part_and_counted(store: Store) -> None:
    merged: list[RefusalsMerged] = []
    clock = FakeClock()

    async def talk() -> None:
        budget = RefusalBudget(clock, merged.extend)
        for _ in range(230):
            client = await talk_to_receiver(store, refusals=budget)
            await client.say("MAIL FROM:<a@north.test>")
            await client.say("RCPT TO:<someone@elsewhere.test>")
            client.session.closed("quit")
        budget.close()

    with_store(store, talk)
    assert len(found(store, limit=1000)) == 200
    assert {(one.what, one.count) for one in merged} == {
        ("refused mails", 30),
        ("sessions without a mail", 30),
    }
    count = store.read_now(lambda conn: conn.execute(sa.select(sa.func.count(event.c.id))).scalar())
    assert count == 400


def test_the_budget_is_bounded_in_all_and_renewed_each_hour() -> None:
    async def main() -> None:
        clock = FakeClock()
        told: list[Sequence[RefusalsMerged]] = []
        budget = RefusalBudget(clock, told.append)
        kept = [budget.takes(f"10.0.{n // 250}.{n % 250}", REFUSED_MAIL) for n in range(9000)]
        assert sum(kept) == 5000
        assert not budget.takes("10.0.0.1", FAILED_LOGIN)
        clock.advance(3_600_000)
        assert budget.takes("10.0.0.1", FAILED_LOGIN)
        budget.close()
        assert sum(event.count for events in told for event in events) == 4001
        assert sum(map(len, told)) <= 1002

    asyncio.run(main())


def test_refused_mails_are_forgotten_with_the_others(store: Store) -> None:
    async def talk() -> None:
        client = await talk_to_receiver(store)
        await client.say("MAIL FROM:<a@north.test>")
        await client.say("RCPT TO:<someone@elsewhere.test>")
        await client.say("RSET")

    with_store(store, talk)
    assert len(found(store)) == 1
    assert store.write_now(delete_mails, 1 << 42) == 1
    assert found(store) == []
