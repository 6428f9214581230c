"""What the sender hears beside failures: success, delay, and what was asked for (RFC 3461)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kit.courier import MESSAGE, Courier, courier
from kit.network import Deed, SinkSession, smtp_sink
from kit.store import make_account
from kit.zone import Zone
from zajil.accept.plan import Addressed, Plan, plan_copies
from zajil.core.address import parse_address
from zajil.core.ids import AccountId, MailboxId
from zajil.core.mail_options import PLAIN_RECIPIENT, MailOptions, Notify, RecipientOptions
from zajil.route.directory_flow import ask_directory_and_wait
from zajil.route.recipient import Local, route_recipient
from zajil.smtp.command import BodyEnd, Command, Ehlo, Rcpt
from zajil.smtp.reply import Reply
from zajil.store.engine.open import Store
from zajil.store.mail.intake import Intake, LocalCopy, Place, WaitReason
from zajil.store.mail.room import NewQuota, set_quota
from zajil.store.people.accounts import NewActive, set_active
from zajil.store.queue.queue import next_due_ms
from zajil.store.queue.queue_admin import QueueOrder, hold, release
from zajil.store.schema import account, mailbox
from zajil.tracking.events import DsnSent, DsnSuppressed, MailboxFiled

ZONE: Zone = {
    "south.test": {"A": ["127.0.0.1"]},
    "west.test": {"A": ["127.0.0.1"]},
    "null.test": {"MX": ["0 ."]},
    "ill.test": None,
}
HOUR_MS = 3_600_000
WRITER = parse_address("w@west.test")
ALL = Notify.SUCCESS | Notify.FAILURE | Notify.DELAY
Edit = Callable[[Intake], Intake]


def asking(
    notify: Notify | None,
    orcpt: str = "",
    mail: MailOptions | None = None,
    *,
    alias: str = "",
    account_id: int | None = None,
) -> Edit:
    """Edit an intake: its recipients elsewhere ask for this."""
    options = RecipientOptions(notify, orcpt)
    addressed_as = parse_address(alias) if alias else None

    def edit(item: Intake) -> Intake:
        remote = tuple(
            replace(copy, options=options, addressed_as=addressed_as) for copy in item.remote
        )
        account = None if account_id is None else AccountId(account_id)
        return replace(item, remote=remote, options=mail or item.options, account_id=account)

    return edit


def knows_dsn(event: Command | BodyEnd, session: SinkSession) -> Reply | Deed | None:
    if isinstance(event, Ehlo):
        return Reply(250, ("sink.test", "PIPELINING", "8BITMIME", "SMTPUTF8", "DSN"))
    return None


def refuses(event: Command | BodyEnd, session: SinkSession) -> Reply | Deed | None:
    if isinstance(event, Rcpt) and event.forward_path.domain == "south.test":
        return Reply(550, (f"5.1.1 no such user {event.forward_path}",))
    return None


async def reports_on(setup: Courier, mail_id: str) -> list[str]:
    journeys = [one for one in await setup.children(mail_id)]  # type: ignore[arg-type]
    return [(await setup.read_mail(one.mail_id)).decode() for one in journeys]


# ---- NOTIFY -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("notify", "told"),
    [(None, 1), (ALL, 1), (Notify.FAILURE, 1), (Notify.SUCCESS, 0), (Notify.NEVER, 0)],
    ids=str,
)
def test_failure(store: Store, notify: Notify | None, told: int) -> None:
    """RFC 3461 section 4.1."""
    make_account(store, "amal@north.test")

    async def run() -> None:
        async with courier(store, ZONE) as setup:
            mail_id = await setup.put("a@null.test", edit=asking(notify))
            await setup.deliverer.run_due()
            assert [state for state, _ in await setup.states(mail_id)] == ["bounced"]
            assert len(await setup.children(mail_id)) == told
            assert len(await setup.events(mail_id, DsnSuppressed)) == 1 - told

    asyncio.run(run())


def test_what_was_asked_comes_back(store: Store) -> None:
    """RFC 3464: ENVID, ORCPT; RFC 3461 section 4.3: RET=FULL."""
    make_account(store, "amal@north.test")

    async def run() -> None:
        async with courier(store, ZONE) as setup:
            options = MailOptions("FULL", "QQ 314")
            edit = asking(Notify.FAILURE, "rfc822;Old@null.test", options)
            mail_id = await setup.put("a@null.test", edit=edit)
            await setup.deliverer.run_due()
            (report,) = await reports_on(setup, mail_id)
            assert "Original-Envelope-Id: QQ 314\r\n" in report
            assert "Original-Recipient: rfc822; Old@null.test\r\n" in report
            assert "Content-Type: message/rfc822\r\n" in report
            assert MESSAGE.decode() in report

    asyncio.run(run())


def test_the_next_server_sees_to_it_where_it_can(store: Store) -> None:
    """RFC 3461 section 5.2.1: handed on unchanged; then nothing is left for us to tell."""
    make_account(store, "amal@north.test")

    async def run() -> None:
        async with (
            smtp_sink(answer=knows_dsn) as sink,
            courier(store, ZONE, port=sink.port) as setup,
        ):
            sink.offer = replace(sink.offer, dsn=True)
            edit = asking(ALL, "rfc822;x@south.test", MailOptions("HDRS", "a+b"))
            mail_id = await setup.put("a@south.test", edit=edit)
            await setup.deliverer.run_due()
            (mail,) = sink.mails
            assert mail.mail.options == MailOptions("HDRS", "a+b")
            (rcpt,) = [event for event in sink.events if isinstance(event, Rcpt)]
            assert rcpt.options == RecipientOptions(ALL, "rfc822;x@south.test")
            assert await setup.children(mail_id) == []

    asyncio.run(run())


@pytest.mark.parametrize(("notify", "told"), [(ALL, 1), (Notify.FAILURE, 0), (None, 0)], ids=str)
def test_relayed_where_it_cannot(store: Store, notify: Notify | None, told: int) -> None:
    """RFC 3461 section 5.2.2."""
    make_account(store, "amal@north.test")

    async def run() -> None:
        async with smtp_sink() as sink, courier(store, ZONE, port=sink.port) as setup:
            mail_id = await setup.put("a@south.test", edit=asking(notify))
            await setup.deliverer.run_due()
            assert [state for state, _ in await setup.states(mail_id)] == ["delivered"]
            reports = await reports_on(setup, mail_id)
            assert len(reports) == told
            assert all("Action: relayed\r\n" in report for report in reports)

    asyncio.run(run())


def test_a_sender_that_goes_while_it_is_told_means_no_second_sending(store: Store) -> None:
    """What a peer took is delivered, even where nobody is left to hear of it."""
    entry = make_account(store, "amal@north.test")

    def lose(tx: Connection, items: Sequence[MailboxId]) -> list[None]:
        tx.execute(sa.delete(mailbox).where(mailbox.c.id.in_(items)))  # no worker has heard of it
        return [None] * len(items)

    async def run() -> None:
        async with smtp_sink() as sink, courier(store, ZONE, port=sink.port) as setup:
            mail_id = await setup.put("a@south.test", edit=asking(ALL))
            directory = setup.store.directory
            await ask_directory_and_wait(route_recipient(entry.address, None), directory)
            await setup.store.write(lose, entry.inbox)
            await setup.deliverer.run_due()
            assert [state for state, _ in await setup.states(mail_id)] == ["delivered"]
            assert len(await setup.events(mail_id, DsnSuppressed)) == 1
            setup.clock.advance(HOUR_MS)
            await setup.deliverer.run_due()
            assert len(sink.mails) == 1

    asyncio.run(run())


def test_a_fault_in_a_report_does_not_undo_what_it_reports(store: Store) -> None:
    """An account without an INBOX, which nothing of ours makes: its owner cannot be told."""
    entry = make_account(store, "amal@north.test")

    def spoil(tx: Connection, items: Sequence[MailboxId]) -> list[None]:
        tx.execute(sa.delete(mailbox).where(mailbox.c.id.in_(items)))
        return [None] * len(items)

    async def run() -> None:
        async with smtp_sink() as sink, courier(store, ZONE, port=sink.port) as setup:
            mail_id = await setup.put("a@south.test", edit=asking(ALL))
            await setup.store.write(spoil, entry.inbox)
            await setup.deliverer.run_due()
            assert [state for state, _ in await setup.states(mail_id)] == ["delivered"]
            assert len(await setup.events(mail_id, DsnSuppressed)) == 1

    asyncio.run(run())


def test_nothing_goes_to_the_null_path(store: Store) -> None:
    async def run() -> None:
        async with smtp_sink() as sink, courier(store, ZONE, port=sink.port) as setup:
            mail_id = await setup.put("a@south.test", sender=None, edit=asking(ALL))
            late_id = await setup.put("a@ill.test", sender=None, edit=asking(ALL))
            setup.clock.advance(5 * HOUR_MS)
            await setup.deliverer.run_due()
            assert await setup.children(mail_id) == []
            assert await setup.children(late_id) == []

    asyncio.run(run())


# ---- delay --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("notify", "account_id", "told"),
    [
        (None, 1, 1),  # ours: warned unless something else was said
        (None, None, 0),  # from elsewhere: the sender may be forged
        (Notify.DELAY, None, 1),
        (Notify.FAILURE, 1, 0),
        (Notify.NEVER, 1, 0),
    ],
    ids=str,
)
def test_delay_is_told_once(
    store: Store, notify: Notify | None, account_id: int | None, told: int
) -> None:
    make_account(store, "amal@north.test")

    async def run() -> None:
        async with courier(store, ZONE) as setup:
            edit = asking(notify, account_id=account_id)
            mail_id = await setup.put("a@ill.test", edit=edit)
            for _ in range(9):
                await setup.deliverer.run_due()
                now_ms = setup.clock.now_ms()
                due_ms = await setup.store.read(next_due_ms)
                assert due_ms is not None
                setup.clock.advance(due_ms - now_ms)
            assert [state for state, _ in await setup.states(mail_id)] == ["waiting"]
            reports = await reports_on(setup, mail_id)
            assert len(reports) == told
            assert all("Action: delayed\r\n" in one for one in reports)
            assert all("Will-Retry-Until: " in one for one in reports)
            assert len(await setup.events(mail_id, DsnSent)) == told

    asyncio.run(run())


def test_no_warning_where_the_operator_wants_none(store: Store) -> None:
    make_account(store, "amal@north.test")

    async def run() -> None:
        async with courier(store, ZONE, queue_delay_warning="0s") as setup:
            mail_id = await setup.put("a@ill.test", edit=asking(ALL))
            setup.clock.advance(20 * HOUR_MS)
            await setup.deliverer.run_due()
            assert await setup.children(mail_id) == []

    asyncio.run(run())


# ---- whom, and whom not -------------------------------------------------------------------------


def test_an_alias_hides_its_target(store: Store) -> None:
    """The sender named the alias; neither address, host nor words of the target are told."""

    async def run() -> None:
        async with (
            smtp_sink(answer=refuses) as sink,
            courier(store, ZONE, port=sink.port) as setup,
        ):
            edit = asking(None, alias="team@north.test")
            mail_id = await setup.put(
                "secret@south.test", "hidden@south.test", sender="w@west.test", edit=edit
            )
            await setup.deliverer.run_due()
            assert len(await setup.children(mail_id)) == 1
            (mail,) = sink.mails
            assert mail.recipients == ["w@west.test"]
            report = mail.message.decode()
            assert report.count("Final-Recipient: rfc822; team@north.test\r\n") == 1
            for word in ("secret", "hidden", "south.test"):
                assert word not in report

    asyncio.run(run())


def test_success_behind_an_alias_is_told_by_us(store: Store) -> None:
    """The next server would name its recipient."""
    make_account(store, "amal@north.test")

    async def run() -> None:
        async with (
            smtp_sink(answer=knows_dsn) as sink,
            courier(store, ZONE, port=sink.port) as setup,
        ):
            sink.offer = replace(sink.offer, dsn=True)
            mail_id = await setup.put("secret@south.test", edit=asking(ALL, alias="t@north.test"))
            await setup.deliverer.run_due()
            (rcpt,) = [event for event in sink.events if isinstance(event, Rcpt)]
            assert rcpt.options == RecipientOptions(
                Notify.FAILURE | Notify.DELAY, "rfc822;t@north.test"
            )
            (report,) = await reports_on(setup, mail_id)
            assert "secret" not in report

    asyncio.run(run())


def test_an_alias_in_an_idn_domain_goes_on_in_ascii(store: Store) -> None:
    """RFC 3461 section 4.2: an ORCPT of type rfc822 is ASCII; else the mail never leaves."""

    async def run() -> None:
        async with (
            smtp_sink(answer=knows_dsn) as sink,
            courier(store, ZONE, port=sink.port) as setup,
        ):
            sink.offer = replace(sink.offer, dsn=True)
            edit = asking(Notify.FAILURE, alias="info@زاجل.test")
            mail_id = await setup.put("secret@south.test", edit=edit)
            await setup.deliverer.run_due()
            assert [state for state, _ in await setup.states(mail_id)] == ["delivered"]
            (rcpt,) = [event for event in sink.events if isinstance(event, Rcpt)]
            assert rcpt.options.original_recipient == "rfc822;info@xn--mgbkq8e.test"

    asyncio.run(run())


def test_a_suspended_sender_finds_it_later(store: Store) -> None:
    entry = make_account(store, "amal@north.test")
    store.write_now(set_active, NewActive(entry.account_id, active=False))

    async def run() -> None:
        async with courier(store, ZONE) as setup:
            mail_id = await setup.put("a@null.test")
            await setup.deliverer.run_due()
            (report,) = await reports_on(setup, mail_id)
            assert "Final-Recipient: rfc822; a@null.test" in report

    asyncio.run(run())


# ---- a mailbox of ours, later -------------------------------------------------------------------


def later(
    store: Store, due_ms: int, *, notify: Notify | None = None, mailbox: str = "INBOX"
) -> Edit:
    """Edit an intake: a copy for amal that waits."""
    entry = make_account(store, "amal@north.test")
    copy = LocalCopy(
        recipient=entry.address,
        account_id=entry.account_id,
        places=(Place(entry.inbox, mailbox),),
        options=RecipientOptions(notify),
        wait=WaitReason(due_ms, due_ms + 120 * HOUR_MS),
    )
    return lambda item: replace(item, local=(copy,))


def test_a_future_release_waits_and_is_filed(store: Store) -> None:
    """RFC 4865: not before its time; then one commit puts it into the mailbox."""

    async def run() -> None:
        async with courier(store, ZONE) as setup:
            due_ms = setup.clock.now_ms() + HOUR_MS
            edit = await asyncio.to_thread(later, store, due_ms)
            mail_id = await setup.put(edit=edit, sender="w@west.test")
            await setup.deliverer.run_due()
            assert [state for state, _ in await setup.states(mail_id)] == ["waiting"]
            setup.clock.advance(HOUR_MS)
            await setup.deliverer.run_due()
            assert [state for state, _ in await setup.states(mail_id)] == ["delivered"]
            content = await setup.read_mail(mail_id)
            head = b"Return-Path: <w@west.test>\r\nDelivered-To: amal@north.test\r\n"
            assert content == head + MESSAGE
            (filed,) = await setup.events(mail_id, MailboxFiled)
            assert filed.mailbox == "INBOX"

    asyncio.run(run())


@pytest.mark.parametrize("has_room_later", [True, False])
def test_a_copy_waits_while_its_mailbox_is_full(store: Store, has_room_later: bool) -> None:
    """It is filed when there is room; without room its sender is told when the mail expires."""

    async def run() -> None:
        async with smtp_sink() as sink, courier(store, ZONE, port=sink.port) as setup:
            edit = await asyncio.to_thread(later, store, setup.clock.now_ms())
            (account_id,) = await setup.store.read(
                lambda conn: conn.scalars(sa.select(account.c.id)).all()
            )
            mail_id = await setup.put(edit=edit, sender="w@west.test")
            await setup.store.write(set_quota, NewQuota(account_id, 1, None))
            await setup.deliverer.run_due()
            ((state, reason),) = await setup.states(mail_id)
            assert (state, reason) == ("waiting", "the mailbox is full")
            if has_room_later:
                await setup.store.write(set_quota, NewQuota(account_id, 100_000, None))
                setup.clock.advance(100 * HOUR_MS)
            else:
                setup.clock.advance(121 * HOUR_MS)
            await setup.deliverer.run_due()
            ((state, _),) = await setup.states(mail_id)
            assert state == ("delivered" if has_room_later else "expired")
            assert len(await setup.events(mail_id, MailboxFiled)) == has_room_later
            if has_room_later:
                assert (await setup.read_mail(mail_id)).endswith(MESSAGE)
            assert len(sink.mails) == (not has_room_later)

    asyncio.run(run())


def test_delivery_here_is_told_to_whoever_asked(store: Store) -> None:
    """RFC 3461 section 5.2.3; the verdict of then chooses the mailbox."""

    async def run() -> None:
        async with smtp_sink() as sink, courier(store, ZONE, port=sink.port) as setup:
            edit = await asyncio.to_thread(
                lambda: later(store, setup.clock.now_ms(), notify=Notify.SUCCESS, mailbox="Junk")
            )
            mail_id = await setup.put(edit=edit, sender="w@west.test")
            await setup.deliverer.run_due()
            (filed,) = await setup.events(mail_id, MailboxFiled)
            assert filed.mailbox == "Junk"
            (mail,) = sink.mails
            assert (mail.mail.reverse_path, mail.recipients) == (None, ["w@west.test"])
            assert b"Action: delivered\r\n" in mail.message
            assert b"Final-Recipient: rfc822; amal@north.test\r\n" in mail.message

    asyncio.run(run())


def test_what_an_operator_held_is_filed_when_released(store: Store) -> None:
    """However long it was held, it does not expire by that."""

    async def run() -> None:
        async with courier(store, ZONE) as setup:
            edit = await asyncio.to_thread(later, store, setup.clock.now_ms())
            mail_id = await setup.put(edit=edit)
            order = QueueOrder((mail_id,), "amal", "", setup.clock.now_ms())
            await setup.store.write(hold, order)
            setup.clock.advance(1000 * HOUR_MS)
            await setup.deliverer.run_due()
            assert [state for state, _ in await setup.states(mail_id)] == ["held"]
            await setup.store.write(release, replace(order, now_ms=setup.clock.now_ms()))
            await setup.deliverer.run_due()
            assert [state for state, _ in await setup.states(mail_id)] == ["delivered"]

    asyncio.run(run())


@pytest.mark.parametrize("first_asks", [False, True])
def test_a_second_address_that_asks_is_told_and_has_no_second_copy(
    store: Store, first_asks: bool
) -> None:
    """Two addresses that end in one mailbox are two recipients to whoever named them."""

    async def run() -> None:
        async with smtp_sink() as sink, courier(store, ZONE, port=sink.port) as setup:
            entry = await asyncio.to_thread(make_account, store, "amal@north.test")
            local = Local((entry,))
            asks = RecipientOptions(Notify.SUCCESS)
            alias = Addressed(parse_address("team@north.test"), local, asks)
            named = [Addressed(entry.address, local, asks if first_asks else PLAIN_RECIPIENT)]
            now_ms = setup.clock.now_ms()
            copies = plan_copies(
                [*named, alias],
                Plan(reverse_path=WRITER, now_ms=now_ms, lifetime_ms=HOUR_MS),
            )
            mail_id = await setup.put(
                sender="w@west.test", edit=lambda item: replace(item, local=tuple(copies.local))
            )
            await setup.deliverer.run_due()
            await setup.deliverer.run_due()
            assert [state for state, _ in await setup.states(mail_id)] == ["delivered"] * 2
            assert (await setup.read_mail(mail_id)).endswith(MESSAGE)  # one row, or it raises
            (mail,) = sink.mails
            told = [b"amal@north.test"] * first_asks + [b"team@north.test"]
            assert re.findall(rb"Final-Recipient: rfc822; (.*)\r\n", mail.message) == told
            assert mail.message.count(b"Action: delivered\r\n") == len(told)

    asyncio.run(run())


def test_an_account_that_is_gone_means_a_bounce(store: Store) -> None:
    async def run() -> None:
        async with smtp_sink() as sink, courier(store, ZONE, port=sink.port) as setup:
            edit = await asyncio.to_thread(later, store, setup.clock.now_ms())

            def gone(item: Intake) -> Intake:
                (copy,) = edit(item).local
                return replace(item, local=(replace(copy, account_id=AccountId(999)),))

            mail_id = await setup.put(edit=gone, sender="w@west.test")
            await setup.deliverer.run_due()
            assert [state for state, _ in await setup.states(mail_id)] == ["bounced"]
            (mail,) = sink.mails
            assert b"Status: 5.1.1" in mail.message

    asyncio.run(run())
