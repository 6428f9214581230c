"""The one way in, with filing rules of the test: mailboxes, flags, redirects, rejections."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import sqlalchemy as sa

from kit.clock import FakeClock
from kit.courier import courier
from kit.reading import inbox_of
from kit.store import make_account, running
from kit.talk import Talk, talk_to_lmtp, talk_to_receiver
from zajil.accept.filing import Filing, FilingRequest, file_by_verdict
from zajil.core.address import parse_address
from zajil.core.directory import AccountEntry
from zajil.core.ids import MailboxId
from zajil.net.system import SystemClock
from zajil.store.engine.open import Store
from zajil.store.mail.intake import Place
from zajil.store.mail.messages import get_messages, list_uids
from zajil.store.mail.tracking import MailQuery, find_mails, load_journey
from zajil.store.people.aliases import AliasRow, create_alias
from zajil.store.schema import blob, message
from zajil.tracking.events import AliasExpanded, FaultHappened, MailboxFiled
from zajil.tracking.journey import Journey

MESSAGE = "From: amal@north.test\r\nSubject: roses\r\n\r\nalmonds\r\n"
NOOR, SALMA = "noor@south.test", "salma@south.test"
FAR = parse_address("far@elsewhere.test")


class Rule:
    """Answers for single accounts; the others are filed by the verdict."""

    def __init__(self, **answers: Filing) -> None:
        self._answers = answers
        self.asked: list[FilingRequest] = []

    async def __call__(self, request: FilingRequest) -> Filing:
        """Note the request, and answer it."""
        self.asked.append(request)
        answer = self._answers.get(request.entry.address.local_part)
        return await file_by_verdict(request) if answer is None else answer


def redirect(*addresses: str) -> Filing:
    return Filing((), "A rule of the test.", tuple(map(parse_address, addresses)))


def reject(text: str = "not today") -> Filing:
    return Filing((), "A rule of the test.", rejection=text)


def with_rule(
    store: Store,
    rule: Callable[[FilingRequest], Awaitable[Filing]],
    story: Callable[[Talk], Awaitable[None]],
    *,
    lmtp: bool = False,
) -> None:
    """Let a story happen on port 25, or on LMTP, of a server that files by a rule."""
    make_account(store, NOOR)
    make_account(store, SALMA)

    async def run() -> None:
        async with running(store):
            talk = talk_to_lmtp if lmtp else talk_to_receiver
            await story(await talk(store, filing=rule))

    asyncio.run(run())


async def journey_of(store: Store) -> Journey:
    (mail,) = await store.read(lambda conn: find_mails(conn, MailQuery()))
    journey = await store.read(lambda conn: load_journey(conn, mail.mail_id))
    assert journey is not None
    return journey


async def states(store: Store) -> dict[str, str]:
    return {one.address: one.state for one in (await journey_of(store)).recipients}


async def flags_in(store: Store, box: MailboxId) -> list[set[str]]:
    return await store.read(
        lambda conn: [set(one.flags) for one in get_messages(conn, box, list_uids(conn, box))]
    )


async def count_rows(store: Store, table: sa.Table) -> int:
    query = sa.select(sa.func.count()).select_from(table)
    return await store.read(lambda conn: conn.execute(query).scalar_one())


def test_a_copy_can_go_to_several_mailboxes_with_flags(store: Store) -> None:
    async def rule(request: FilingRequest) -> Filing:
        entry = request.entry
        places = (
            Place(entry.inbox, "INBOX", frozenset({"\\Flagged", "work"})),
            Place(entry.junk, "Junk"),
        )
        return Filing(places, "A rule of the test.")

    async def story(client: Talk) -> None:
        assert (await client.send("amal@north.test", [NOOR], MESSAGE)).startswith("250 ")
        entry = (await store.directory.find(parse_address(NOOR))).entry
        assert isinstance(entry, AccountEntry)
        flags = [await flags_in(store, box) for box in (entry.inbox, entry.junk)]
        assert flags == [[{"\\Flagged", "work"}], [set()]]
        assert await states(store) == {NOOR: "delivered"}
        events = [one.event for one in (await journey_of(store)).events]
        filed = [one.mailbox for one in events if isinstance(one, MailboxFiled)]
        assert filed == ["INBOX", "Junk"]

    with_rule(store, rule, story)


def test_a_rule_sees_the_message_and_is_asked_once_for_each_account(store: Store) -> None:
    rule = Rule()

    async def story(client: Talk) -> None:
        alias = AliasRow(parse_address("team@south.test"), (parse_address(NOOR),))
        await store.write(create_alias, alias)
        named = [NOOR, "team@south.test", SALMA]
        assert (await client.send("amal@north.test", named, MESSAGE)).startswith("250 ")
        assert [str(one.entry.address) for one in rule.asked] == [NOOR, SALMA]
        assert [str(one.recipient) for one in rule.asked] == [NOOR, SALMA]
        assert rule.asked[0].view.subject == "roses"
        assert rule.asked[0].why_junk is None

    with_rule(store, rule, story)


def test_a_redirect_is_queued_under_the_address_that_the_sender_named(store: Store) -> None:
    async def story(client: Talk) -> None:
        assert (await client.send("amal@north.test", [NOOR], MESSAGE)).startswith("250 ")
        journey = await journey_of(store)
        (recipient,) = journey.recipients
        assert (recipient.address, recipient.state) == (str(FAR), "waiting")
        assert recipient.addressed_as == NOOR
        assert await inbox_of(store, NOOR) == []
        events = [one.event for one in journey.events]
        expanded = [one.targets for one in events if isinstance(one, AliasExpanded)]
        assert expanded == [(str(FAR),)]

    with_rule(store, Rule(noor=redirect(str(FAR))), story)


def test_a_redirect_to_an_account_here_is_filed_by_its_rule(store: Store) -> None:
    async def story(client: Talk) -> None:
        assert (await client.send("amal@north.test", [NOOR], MESSAGE)).startswith("250 ")
        assert await inbox_of(store, NOOR) == []
        (found,) = await inbox_of(store, SALMA)
        assert b"Delivered-To: noor@south.test\r\n" in found

    with_rule(store, Rule(noor=redirect(SALMA)), story)


@pytest.mark.parametrize(
    ("answers", "keeper"),
    [
        ({"noor": redirect(NOOR)}, NOOR),
        ({"noor": redirect("nobody@south.test")}, NOOR),
        ({"noor": redirect(SALMA), "salma": redirect(NOOR)}, SALMA),
    ],
    ids=["to itself", "to nobody", "in a circle"],
)
def test_a_redirect_that_reaches_nobody_leaves_the_copy_here(
    store: Store, answers: dict[str, Filing], keeper: str
) -> None:
    async def story(client: Talk) -> None:
        assert (await client.send("amal@north.test", [NOOR], MESSAGE)).startswith("250 ")
        counts = {one: len(await inbox_of(store, one)) for one in (NOOR, SALMA)}
        assert counts == {NOOR: 0, SALMA: 0, keeper: 1}

    with_rule(store, Rule(**answers), story)


def test_a_rejection_by_all_recipients_is_a_reply(store: Store) -> None:
    async def story(client: Talk) -> None:
        reply = await client.send("amal@north.test", [NOOR], MESSAGE)
        assert reply.startswith("550 5.7.1 not today ? (")
        assert (await client.send("amal@north.test", [SALMA], MESSAGE)).startswith("250 ")
        assert await inbox_of(store, NOOR) == []

    with_rule(store, Rule(noor=reject("not\r\ntoday \N{CROSS MARK}")), story)


def test_a_rejection_by_one_of_several_is_bounced_from_the_queue(store: Store) -> None:
    """On port 25 there is one reply for all recipients."""

    async def story(client: Talk) -> None:
        reply = await client.send("amal@north.test", [NOOR, SALMA], MESSAGE)
        assert reply.startswith("250 ")
        assert await states(store) == {NOOR: "waiting", SALMA: "delivered"}

    with_rule(store, Rule(noor=reject()), story)

    async def run() -> None:
        soon = FakeClock(SystemClock().now_ms() + 1000)
        async with courier(store, {}, clock=soon) as setup:
            await setup.deliverer.run_due()
            mails = await store.read(lambda conn: find_mails(conn, MailQuery()))
            found = {one.mail_id: dict(one.recipients) for one in mails}
            assert {NOOR: "bounced", SALMA: "delivered"} in found.values()
            reports = [one for one in found.values() if "amal@north.test" in one]
            assert len(reports) == 1

    asyncio.run(run())


def test_a_rejection_of_junk_is_no_report_to_a_forged_sender(store: Store) -> None:
    """Attack: backscatter. Where others take the mail, the copy goes to Junk."""

    async def rule(request: FilingRequest) -> Filing:
        assert request.why_junk is not None
        if request.entry.address == parse_address(NOOR):
            return reject()
        return await file_by_verdict(request)

    async def story(client: Talk) -> None:
        junk = "From: a@north.test, b@north.test\r\nFrom: c@north.test\r\n\r\nalmonds\r\n"
        reply = await client.send("amal@north.test", [NOOR, SALMA], junk)
        assert reply.startswith("250 "), reply
        assert len(await inbox_of(store, NOOR, "junk")) == 1

    with_rule(store, rule, story)


def test_on_lmtp_who_rejects_is_answered_apart(store: Store) -> None:
    async def story(client: Talk) -> None:
        await client.say("MAIL FROM:<amal@north.test>")
        for name in (NOOR, SALMA):
            await client.say(f"RCPT TO:<{name}>")
        await client.say("DATA")
        replies = await client.say_all(f"{MESSAGE}.\r\n")
        assert [one[:13] for one in replies] == ["550 5.7.1 not", "250 2.0.0 que"]
        assert await states(store) == {SALMA: "delivered", NOOR: "refused"}

    with_rule(store, Rule(noor=reject()), story, lmtp=True)


def test_a_discarded_mail_is_accepted_and_keeps_no_bytes(store: Store) -> None:
    async def story(client: Talk) -> None:
        assert (await client.send("amal@north.test", [NOOR], MESSAGE)).startswith("250 ")
        (recipient,) = (await journey_of(store)).recipients
        assert (recipient.state, recipient.reason) == ("discarded", "A rule of the test.")
        assert [await count_rows(store, one) for one in (blob, message)] == [0, 0]

    with_rule(store, Rule(noor=Filing((), "A rule of the test.")), story)


def test_a_fault_of_a_rule_is_temporary(store: Store) -> None:
    async def rule(request: FilingRequest) -> Filing:
        raise ValueError("a fault of the test")

    async def story(client: Talk) -> None:
        assert (await client.send("amal@north.test", [NOOR], MESSAGE)).startswith("451 4.3.0 ")
        await store.write(create_alias, AliasRow(parse_address("x@south.test"), (FAR,)))
        events = [one.event for one in (await journey_of(store)).events]
        faults = [one for one in events if isinstance(one, FaultHappened)]
        assert "a fault of the test" in faults[0].traceback
        assert await inbox_of(store, NOOR) == []

    with_rule(store, rule, story)
