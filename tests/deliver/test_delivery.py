"""Delivery against a real SMTP server on a socket: what it says, and what becomes of the mail."""

from __future__ import annotations

import asyncio

import pytest

from kit.courier import MESSAGE, Courier, courier, needs_utf8
from kit.network import Answer, Deed, SinkSession, smtp_sink
from kit.zone import Zone
from zajil.core.ids import MailId
from zajil.smtp.command import Auth, BodyEnd, Command, Data, Ehlo, Helo, Mail, Rcpt
from zajil.smtp.reply import Reply
from zajil.store.engine.open import Store
from zajil.tracking.events import (
    AttemptMade,
    DeliveryDeferred,
    RecipientDelivered,
    RecipientFailed,
    RouteFailed,
    RouteFound,
)

LOCAL = "127.0.0.1"
ZONE: Zone = {
    "south.test": {"MX": ["10 mx.south.test"]},
    "mx.south.test": {"A": [LOCAL]},
    "twin.test": {"MX": ["10 first.test", "20 second.test"]},
    "first.test": {"A": [LOCAL]},
    "second.test": {"A": [LOCAL]},
    "null.test": {"MX": ["0 ."]},
    "ill.test": None,
}


def when(kind: type[Command | BodyEnd], reply: Reply | Deed) -> Answer:
    """Answer one kind of command in a special way."""

    def answer(event: Command | BodyEnd, session: SinkSession) -> Reply | Deed | None:
        return reply if isinstance(event, kind) else None

    return answer


def when_to(**replies: Reply) -> Answer:
    """Answer RCPT by the local part."""

    def answer(event: Command | BodyEnd, session: SinkSession) -> Reply | Deed | None:
        return replies.get(event.forward_path.local_part) if isinstance(event, Rcpt) else None

    return answer


def ehlo(*lines: str) -> Answer:
    """Offer these extensions and no others."""
    return when(Ehlo, Reply(250, ("sink.test", *lines)))


def test_the_way_of_a_mail(store: Store) -> None:
    async def run() -> None:
        async with smtp_sink() as sink, courier(store, ZONE, port=sink.port) as setup:
            mail_id = await setup.put("a@south.test")
            await setup.deliverer.run_due()
            (mail,) = sink.mails
            assert mail.message == MESSAGE
            assert (str(mail.mail.reverse_path), mail.recipients) == (
                "amal@north.test",
                ["a@south.test"],
            )
            assert mail.mail.declared_size == len(MESSAGE)
            reply = "250 2.0.0 queued as sink-1"
            assert await setup.states(mail_id) == [("delivered", reply)]
            (route,) = await setup.events(mail_id, RouteFound)
            assert route.hosts == (f"10 mx.south.test [{LOCAL}]",)
            assert route.inputs[0] == "MX south.test -> 10 mx.south.test (ttl 300)"
            (attempt,) = await setup.events(mail_id, AttemptMade)
            assert (attempt.host, attempt.address) == ("mx.south.test", f"{LOCAL}:{sink.port}")
            assert attempt.tls is None
            assert attempt.dialogue[0] == "S: 220 sink.test ESMTP"
            assert f"C: ({len(MESSAGE)} bytes of message)" in attempt.dialogue
            assert attempt.dialogue[-1] == f"S: {reply}"
            (delivered,) = await setup.events(mail_id, RecipientDelivered)
            assert (delivered.remote_mta, delivered.reply) == ("mx.south.test", reply)

    asyncio.run(run())


@pytest.mark.parametrize("answer", [lambda event, session: None, ehlo("SIZE 1000000")])
def test_each_recipient_has_its_own_answer(store: Store, answer: Answer) -> None:
    """RFC 5321 section 3.3: some recipients may be refused and the others served."""
    by_name = when_to(busy=Reply(450, ("4.2.1 busy",)), nobody=Reply(550, ("5.1.1 who is that?",)))

    def both(event: Command | BodyEnd, session: SinkSession) -> Reply | Deed | None:
        return by_name(event, session) or answer(event, session)

    async def run() -> None:
        async with smtp_sink(answer=both) as sink, courier(store, ZONE, port=sink.port) as setup:
            mail_id = await setup.put(
                "a@south.test", "busy@south.test", "nobody@south.test", "b@south.test"
            )
            await setup.deliverer.run_due()
            assert [mail.recipients for mail in sink.mails] == [["a@south.test", "b@south.test"]]
            assert await setup.states(mail_id) == [
                ("delivered", "250 2.0.0 queued as sink-1"),
                ("waiting", "450 4.2.1 busy"),
                ("bounced", "550 5.1.1 who is that?"),
                ("delivered", "250 2.0.0 queued as sink-1"),
            ]
            (deferred,) = await setup.events(mail_id, DeliveryDeferred)
            assert deferred.next_try_ms > setup.clock.now_ms()
            (failed,) = await setup.events(mail_id, RecipientFailed)
            assert (failed.status, failed.remote_mta) == ("5.1.1", "mx.south.test")

    asyncio.run(run())


OLD = Reply(502, ("5.5.1 no such command",))
LATER = Reply(451, ("4.3.0 later",))
NEVER = Reply(554, ("5.7.1 not from you",))


@pytest.mark.parametrize(
    ("answer", "state", "reason"),
    [
        (when(Mail, LATER), "waiting", "451 4.3.0 later"),
        (when(Mail, NEVER), "bounced", "554 5.7.1 not from you"),
        (when(Rcpt, LATER), "waiting", "451 4.3.0 later"),
        (when(Data, LATER), "waiting", "451 4.3.0 later"),
        (when(Data, NEVER), "bounced", "554 5.7.1 not from you"),
        (when(BodyEnd, LATER), "waiting", "451 4.3.0 later"),
        (when(BodyEnd, NEVER), "bounced", "554 5.7.1 not from you"),
        (when(Ehlo, LATER), "waiting", "451 4.3.0 later"),
        (when(Rcpt, Reply(421, ("4.3.2 going down",))), "waiting", "421 4.3.2 going down"),
        (when(Mail, Deed.CUT), "waiting", "the peer closed the connection"),
        (when(Data, Deed.CUT), "waiting", "the peer closed the connection"),
        (
            when(BodyEnd, Deed.CUT),
            "waiting",
            "the peer closed the connection (after the whole message was sent)",
        ),
        (when(Mail, Deed.SILENCE), "waiting", "no reply within 0.2 seconds"),
        (when(Mail, Deed.DRIBBLE), "waiting", "no reply within 0.2 seconds"),
        (
            when(BodyEnd, Deed.SILENCE),
            "waiting",
            "no reply within 0.3 seconds (after the whole message was sent)",
        ),
    ],
)
def test_what_a_reply_means(store: Store, answer: Answer, state: str, reason: str) -> None:
    """RFC 5321 section 4.2.1: 4yz and silence leave it in the queue, 5yz ends it."""

    async def run() -> None:
        async with (
            smtp_sink(answer=answer) as sink,
            courier(
                store, ZONE, port=sink.port, reply_timeout="200ms", data_timeout="300ms"
            ) as setup,
        ):
            mail_id = await setup.put("a@south.test", sender=None)
            await setup.deliverer.run_due()
            assert await setup.states(mail_id) == [(state, reason)]
            assert len(await setup.events(mail_id, AttemptMade)) == 1

    asyncio.run(run())


def test_a_server_that_knows_only_helo(store: Store) -> None:
    async def run() -> None:
        async with (
            smtp_sink(answer=when(Ehlo, OLD)) as sink,
            courier(store, ZONE, port=sink.port) as setup,
        ):
            mail_id = await setup.put("a@south.test", "b@south.test")
            await setup.deliverer.run_due()
            assert [state for state, _ in await setup.states(mail_id)] == ["delivered"] * 2
            assert sum(isinstance(event, Helo) for event in sink.events) == 1
            assert not any(isinstance(event, Auth) for event in sink.events)
            assert sink.mails[0].mail.parameters == ""

    asyncio.run(run())


# ---- the route ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "state"),
    [("a@null.test", "bounced"), ("a@unknown.test", "bounced"), ("a@ill.test", "waiting")],
)
def test_without_a_route(store: Store, address: str, state: str) -> None:
    async def run() -> None:
        async with courier(store, ZONE) as setup:
            mail_id = await setup.put(address, sender=None)
            await setup.deliverer.run_due()
            ((found, reason),) = await setup.states(mail_id)
            (event,) = await setup.events(mail_id, RouteFailed)
            assert (found, reason) == (state, event.reason)
            assert event.temporary == (state == "waiting")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("answer", "greeting"),
    [
        (None, Reply(554, ("5.3.2 no mail here",))),
        (None, Reply(421, ("4.3.2 too busy",))),
        (None, Deed.CUT),
        (when(Rcpt, Reply(450, ("4.7.1 greylisted",))), None),
        (when(Mail, LATER), None),
        (when(BodyEnd, Deed.CUT), None),
    ],
)
def test_the_next_host_is_tried(
    store: Store, answer: Answer | None, greeting: Reply | Deed | None
) -> None:
    """RFC 5321 section 5.1: at least two hosts are tried."""

    async def run() -> None:
        async with (
            smtp_sink(answer=answer, greeting=greeting) as first,
            smtp_sink() as second,
            courier(
                store, ZONE, ports={"first.test": first.port, "second.test": second.port}
            ) as setup,
        ):
            mail_id = await setup.put("a@twin.test")
            await setup.deliverer.run_due()
            assert len(second.mails) == 1
            assert [state for state, _ in await setup.states(mail_id)] == ["delivered"]
            hosts = [event.host for event in await setup.events(mail_id, AttemptMade)]
            assert hosts == ["first.test", "second.test"]

    asyncio.run(run())


def test_5yz_at_one_host_is_final(store: Store) -> None:
    async def run() -> None:
        async with (
            smtp_sink(answer=when(Rcpt, NEVER)) as first,
            smtp_sink() as second,
            courier(
                store, ZONE, ports={"first.test": first.port, "second.test": second.port}
            ) as setup,
        ):
            mail_id = await setup.put("a@twin.test", sender=None)
            await setup.deliverer.run_due()
            assert second.sessions == []
            assert [state for state, _ in await setup.states(mail_id)] == ["bounced"]

    asyncio.run(run())


def test_a_domain_whose_hosts_all_refuse_mail(store: Store) -> None:
    """RFC 7504: 521 and 554 in the greeting of every host: nobody takes mail there."""

    async def run() -> None:
        no = Reply(521, ("5.3.2 no mail here",))
        async with (
            smtp_sink(greeting=no) as first,
            smtp_sink(greeting=no) as second,
            courier(
                store, ZONE, ports={"first.test": first.port, "second.test": second.port}
            ) as setup,
        ):
            mail_id = await setup.put("a@twin.test", sender=None)
            await setup.deliverer.run_due()
            assert await setup.states(mail_id) == [("bounced", "521 5.3.2 no mail here")]

    asyncio.run(run())


def test_the_answer_to_one_mail_is_not_that_of_another(store: Store) -> None:
    """One host answers, the other is out of reach: mails that wait behind are tried themselves."""
    gray = when_to(b=Reply(450, ("4.2.0 greylisted",)), c=Reply(550, ("5.1.1 unknown",)))

    async def run() -> None:
        async with smtp_sink() as gone:
            dead_port = gone.port
        async with (
            smtp_sink(answer=gray) as sink,
            courier(
                store,
                ZONE,
                ports={"first.test": sink.port, "second.test": dead_port},
                concurrency_per_host=1,
            ) as setup,
        ):
            for first, state in (("a", "delivered"), ("c", "bounced")):
                sink.mails.clear()
                mail_id = await setup.put(f"{first}@twin.test", "b@twin.test")
                setup.clock.advance(1)  # what is due first is tried first
                behind = await setup.put("d@twin.test")
                await setup.deliverer.run_due()
                assert [one for one, _ in await setup.states(mail_id)] == [state, "waiting"]
                assert [one for one, _ in await setup.states(behind)] == ["delivered"]
                assert sink.mails[-1].recipients == ["d@twin.test"]

    asyncio.run(run())


def test_hosts_out_of_reach_hold_up_nobody_else(store: Store) -> None:
    """Mails behind one that found no host are not tried one by one."""

    async def run() -> None:
        async with (
            smtp_sink() as sink,
            courier(
                store,
                ZONE,
                ports={"mx.south.test": sink.port, "first.test": 1, "second.test": 1},
                concurrency_per_host=1,
            ) as setup,
        ):
            behind = [await setup.put("a@twin.test") for _ in range(5)]
            well = await setup.put("a@south.test")
            await setup.deliverer.run_due()
            assert [state for state, _ in await setup.states(well)] == ["delivered"]
            attempts = 0
            for mail_id in behind:
                ((state, reason),) = await setup.states(mail_id)
                assert state == "waiting"
                assert "cannot connect" in reason
                attempts += len(await setup.events(mail_id, AttemptMade))
            assert attempts == 2  # two hosts, for one mail

    asyncio.run(run())


# ---- what the mail needs ------------------------------------------------------------------------


@pytest.mark.parametrize("offered", [True, False])
def test_smtputf8_where_the_mail_needs_it(store: Store, offered: bool) -> None:
    """RFC 6531 section 3.2: without SMTPUTF8 such a mail must not be sent on."""

    async def run() -> None:
        async with (
            smtp_sink(smtputf8=offered) as sink,
            courier(store, ZONE, port=sink.port) as setup,
        ):
            needy = await setup.put("سلمى@south.test", sender=None)
            header = await setup.put("a@south.test", sender=None, edit=needs_utf8)
            plain = await setup.put("a@south.test", sender=None)
            await setup.deliverer.run_due()
            want = "delivered" if offered else "bounced"
            assert (await setup.states(needy))[0][0] == want
            assert (await setup.states(header))[0][0] == want
            assert (await setup.states(plain))[0][0] == "delivered"
            assert sum(mail.mail.smtputf8 for mail in sink.mails) == (2 if offered else 0)
            if not offered:
                (failed,) = await setup.events(needy, RecipientFailed)
                assert failed.status == "5.6.7"

    asyncio.run(run())


def test_a_utf8_recipient_does_not_spoil_the_mail_of_the_others(store: Store) -> None:
    async def run() -> None:
        async with (
            smtp_sink(smtputf8=False) as sink,
            courier(store, ZONE, port=sink.port) as setup,
        ):
            mail_id = await setup.put("سلمى@south.test", "a@south.test", sender=None)
            await setup.deliverer.run_due()
            assert [one for one, _ in await setup.states(mail_id)] == ["bounced", "delivered"]
            (mail,) = sink.mails
            assert (mail.recipients, mail.mail.smtputf8) == (["a@south.test"], False)

    asyncio.run(run())


def test_size_is_looked_at_before_sending(store: Store) -> None:
    async def run() -> None:
        async with (
            smtp_sink(max_size=20) as sink,
            courier(store, ZONE, port=sink.port) as setup,
        ):
            mail_id = await setup.put("a@south.test", sender=None)
            await setup.deliverer.run_due()
            (failed,) = await setup.events(mail_id, RecipientFailed)
            assert failed.status == "5.3.4"
            assert not any(isinstance(event, Mail) for event in sink.events)

    asyncio.run(run())


@pytest.mark.parametrize("size", [1000, 32_768, 32_769, 300_000])
def test_messages_of_every_size_arrive_whole(store: Store, size: int) -> None:
    """Small ones are read with the claim, larger ones for the attempt, from a row or a file."""
    head = b"Subject: large\r\n\r\n"
    message = head + b"x" * (size - len(head) - 2) + b"\r\n"

    async def run() -> None:
        async with smtp_sink() as sink, courier(store, ZONE, port=sink.port) as setup:
            for _ in range(2):
                await setup.put("a@south.test", "b@twin.test", content=message)
            await setup.deliverer.run_due()
            assert [mail.message == message for mail in sink.mails] == [True] * 4

    asyncio.run(run())


def test_a_large_message_from_a_file(store: Store) -> None:
    line = b"." + b"x" * 70 + b"\r\n"
    message = b"Subject: large\r\n\r\n" + line * 20_000

    async def run() -> None:
        async with smtp_sink() as sink, courier(store, ZONE, port=sink.port) as setup:
            mail_id = await setup.put("a@south.test", content=message)
            await setup.deliverer.run_due()
            assert sink.mails[0].message == message
            assert [state for state, _ in await setup.states(mail_id)] == ["delivered"]

    asyncio.run(run())


def test_smuggling_outbound_bare_line_ends(store: Store) -> None:
    """No message with a bare CR or LF leaves, whatever its origin (attacks.md A)."""

    async def run() -> None:
        async with smtp_sink() as sink, courier(store, ZONE, port=sink.port) as setup:
            message = b"Subject: x\r\n\r\nfirst\n.\nMAIL FROM:<evil@example.com>\r\n"
            mail_id = await setup.put("a@south.test", content=message, sender=None)
            await setup.deliverer.run_due()
            assert sink.mails == []
            (failed,) = await setup.events(mail_id, RecipientFailed)
            assert failed.status == "5.6.0"

    asyncio.run(run())


def test_more_recipients_than_one_transaction_takes(store: Store) -> None:
    """RFC 5321 section 4.5.3.1.8: a server must take 100 recipients, not more."""

    async def run() -> None:
        async with smtp_sink() as sink, courier(store, ZONE, port=sink.port) as setup:
            mail_id = await setup.put(*(f"user{n}@south.test" for n in range(150)))
            await setup.deliverer.run_due()
            assert [len(mail.recipients) for mail in sink.mails] == [100, 50]
            assert {mail.session for mail in sink.mails} == {1}
            assert {state for state, _ in await setup.states(mail_id)} == {"delivered"}

    asyncio.run(run())


@pytest.mark.parametrize("reply", ["452 4.5.3 enough", "552 5.5.3 enough", "552 enough"])
def test_too_many_recipients_get_transactions_of_their_own(store: Store, reply: str) -> None:
    """RFC 5321 section 4.5.3.1.10: 552 means 452, and the rest follows at once."""
    code, _, text = reply.partition(" ")

    def two_at_most(event: Command | BodyEnd, session: SinkSession) -> Reply | Deed | None:
        full = session.current is not None and len(session.current.recipients) == 2
        return Reply(int(code), (text,)) if isinstance(event, Rcpt) and full else None

    async def run() -> None:
        async with (
            smtp_sink(answer=two_at_most) as sink,
            courier(store, ZONE, port=sink.port) as setup,
        ):
            mail_id = await setup.put(*(f"user{n}@south.test" for n in range(5)))
            await setup.deliverer.run_due()
            assert [len(mail.recipients) for mail in sink.mails] == [2, 2, 1]
            assert {state for state, _ in await setup.states(mail_id)} == {"delivered"}

    asyncio.run(run())


def test_552_for_a_full_mailbox_is_final(store: Store) -> None:
    async def run() -> None:
        answer = when_to(a=Reply(250, ("ok",)), b=Reply(552, ("5.2.2 mailbox full",)))
        async with smtp_sink(answer=answer) as sink, courier(store, ZONE, port=sink.port) as setup:
            mail_id = await setup.put("a@south.test", "b@south.test", sender=None)
            await setup.deliverer.run_due()
            assert [state for state, _ in await setup.states(mail_id)] == ["delivered", "bounced"]

    asyncio.run(run())


def test_what_may_not_leave_is_given_up_for_all(store: Store) -> None:
    """Not for the first hundred today, and for the others tomorrow."""

    async def run() -> None:
        async with smtp_sink() as sink, courier(store, ZONE, port=sink.port) as setup:
            people = [f"user{n}@south.test" for n in range(150)]
            mail_id = await setup.put(*people, content=b"Subject: x\r\n\r\na\nb", sender=None)
            await setup.deliverer.run_due()
            assert {state for state, _ in await setup.states(mail_id)} == {"bounced"}

    asyncio.run(run())


# ---- reuse --------------------------------------------------------------------------------------


async def _put_and_deliver(setup: Courier, count: int) -> list[MailId]:
    mail_ids = [await setup.put("a@south.test") for _ in range(count)]
    await setup.deliverer.run_due()
    return mail_ids


def test_a_connection_serves_many_mails(store: Store) -> None:
    async def run() -> None:
        async with (
            smtp_sink() as sink,
            courier(store, ZONE, port=sink.port, concurrency_per_host=2) as setup,
        ):
            mail_ids = await _put_and_deliver(setup, 20)
            assert len(sink.mails) == 20
            assert len(sink.sessions) <= 2
            (attempt,) = await setup.events(mail_ids[-1], AttemptMade)
            assert sum("MAIL FROM" in line for line in attempt.dialogue) == 1
            await setup.deliverer.drain(5)
            assert sink.open_sessions == 0

    asyncio.run(run())


@pytest.mark.parametrize("bye", [Deed.CUT, Reply(421, ("4.4.2 idle for too long",))])
def test_a_reused_connection_that_the_host_gave_up(store: Store, bye: Reply | Deed) -> None:
    def second_mail(event: Command | BodyEnd, session: SinkSession) -> Reply | Deed | None:
        again = session.number == 1 and bool(session.sink.mails)
        return bye if again and isinstance(event, Mail) else None

    async def run() -> None:
        async with (
            smtp_sink(answer=second_mail) as sink,
            courier(store, ZONE, port=sink.port) as setup,
        ):
            await _put_and_deliver(setup, 1)
            (mail_id,) = await _put_and_deliver(setup, 1)
            assert [state for state, _ in await setup.states(mail_id)] == ["delivered"]
            assert [mail.session for mail in sink.mails] == [1, 2]

    asyncio.run(run())


def test_a_refused_mail_does_not_spoil_the_next(store: Store) -> None:
    def one_bad(event: Command | BodyEnd, session: SinkSession) -> Reply | Deed | None:
        bad = isinstance(event, Mail) and str(event.reverse_path) == "bad@north.test"
        return NEVER if bad else None

    async def run() -> None:
        async with (
            smtp_sink(answer=one_bad) as sink,
            courier(store, ZONE, port=sink.port, concurrency_per_host=1) as setup,
        ):
            await setup.put("a@south.test", sender="bad@north.test")
            await setup.deliverer.run_due()
            await setup.put("a@south.test", sender="good@north.test")
            await setup.deliverer.run_due()
            assert len(sink.sessions) == 1
            assert [str(mail.mail.reverse_path) for mail in sink.mails] == ["good@north.test"]

    asyncio.run(run())
