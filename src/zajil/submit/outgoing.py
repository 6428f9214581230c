"""Outgoing mail of our own accounts: how much, to how many strangers, and what is in it.

A stolen password is used for spam, at once and to thousands. How much an account may send is in
``send_limits``. Here is who is held: an account that suddenly writes to many strangers goes on
sending, but its copies for other servers wait in the queue until an operator has looked at it
(``store.feedback.outbound_hold``). Its owner and the postmaster are told once. Nothing is lost, and
a thief learns nothing.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Protocol

from zajil.accept import replies
from zajil.accept.commit import Write
from zajil.accept.context import ReceiveServices
from zajil.accept.transaction import Transaction
from zajil.check.sender.correspondent import address_key
from zajil.check.step import Checked
from zajil.check.verdict.verdict import Thresholds
from zajil.config.options import SubmitOptions
from zajil.core.address import Address
from zajil.core.clock import Clock, Random
from zajil.core.directory import AccountEntry
from zajil.core.ids import ID_RANDOM_SIZE, AccountId, new_mail_id
from zajil.login.account import Account
from zajil.route.copies import Addressed, Plan, plan_copies
from zajil.route.directory_flow import ask_directory_and_wait
from zajil.route.recipient import Local, Suspended, route_recipient
from zajil.smtp.reply import Reply
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.feedback.outbound_hold import (
    HeldNotice,
    OutboundHold,
    StrangerCounts,
    StrangerLimit,
    claim_held_notices,
    find_untold,
    load_strangers,
)
from zajil.store.feedback.send_counts import (
    CountedIntake,
    SendLimit,
    accept_counted,
    load_send_counts,
)
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.intake import Intake
from zajil.store.people.accounts import AccountRow, get_account
from zajil.store.people.directory import find_entry
from zajil.submit.held_notice import HeldAccount, write_owner_notice, write_postmaster_notice
from zajil.submit.send_limits import blocked_until_ms, send_limit

_USUAL_FACTOR = 3.0
"""Twice as much as usual is a busy day."""


def judge_outgoing(checked: Checked, thresholds: Thresholds) -> Reply | None:
    """Refuse what looks like the work of a thief or a worm; ``None``: it may go.

    What our users write to each other is never junk by its words alone: only a sum that would
    refuse mail of a stranger does, proof or not.
    """
    return replies.NOT_SENT if checked.verdict.score >= thresholds.reject else None


def outgoing_write(
    services: ReceiveServices, account: Account, transaction: Transaction, now_ms: int
) -> Write | None:
    """Give what commits a mail within the limits of its account; ``None``: it has none."""
    options = services.submit
    limit = None if options is None else send_limit(options)
    guard = None if options is None else _guard(options, account, transaction)
    if limit is None and guard is None:
        return None
    count = len(transaction.recipients)

    async def write(intake: Intake) -> Reply | None:
        item = CountedIntake(intake, account.account_id, count, limit, guard)
        taken = await services.store.write(accept_counted, item)
        if taken is None:
            return await _too_much(services.store, account.account_id, limit, count, now_ms)
        if taken.is_first_held:
            # The mail is ours; whoever was not told now is told within the hour.
            with suppress(StoreUnavailable, NoSuchMailbox):
                await _tell(services, account.account_id, now_ms)
        return None

    return write


def _guard(
    options: SubmitOptions, account: Account, transaction: Transaction
) -> OutboundHold | None:
    limit = StrangerLimit(options.strangers_per_hour, options.strangers_per_day, _USUAL_FACTOR)
    if not limit.per_hour and not limit.per_day:
        return None
    keys = [
        address_key(recipient.address)
        for recipient in transaction.recipients
        if not isinstance(recipient.route, Local)
    ]
    leaves = keys or any(
        [isinstance(one.route, Local) and one.route.remote for one in transaction.recipients]
    )
    return OutboundHold(account.account_id, tuple(keys), limit) if leaves else None


async def _too_much(
    store: Store, account_id: AccountId, limit: SendLimit | None, count: int, now_ms: int
) -> Reply:
    counts = await store.read(lambda conn: load_send_counts(conn, account_id))
    until_ms = None if limit is None else blocked_until_ms(limit, counts, count, now_ms)
    return replies.LATER if until_ms is None else replies.sent_too_much(until_ms)


# ---- who is told ----------------------------------------------------------------------------


class Teller(Protocol):
    """What it takes to write to our own people: ``ReceiveServices`` has it."""

    @property
    def store(self) -> Store:
        """Where the mailboxes are."""

    @property
    def clock(self) -> Clock:
        """For dates."""

    @property
    def random(self) -> Random:
        """For ids."""

    @property
    def hostname(self) -> str:
        """Ours."""

    @property
    def lifetime_ms(self) -> int:
        """``queue.lifetime``."""


async def tell_of_held_accounts(teller: Teller) -> None:
    """Tell owners and postmaster of accounts that are held and of which nobody was told.

    For upkeep: a worker may end between the commit that held an account and the notice.

    Raises:
        StoreUnavailable: some were not told; the next time they are.
    """
    for account_id in await teller.store.read(find_untold):
        with suppress(NoSuchMailbox):
            await _tell(teller, account_id, teller.clock.now_ms())


async def _tell(teller: Teller, account_id: AccountId, now_ms: int) -> None:
    store = teller.store
    row, counts = await store.read(
        lambda conn: (get_account(conn, account_id), load_strangers(conn, account_id))
    )
    if row is None or counts.held_ms is None:
        return
    # Into its own mailbox, wherever it forwards its mail to.
    owner = await store.read(lambda conn: find_entry(conn, account_id))
    postmaster = await _find(store, Address("postmaster", row.address.domain))
    mails: list[Intake] = []
    if owner is not None:
        mails.append(_notice(teller, row, counts, owner, now_ms, for_owner=True))
    if postmaster is not None:
        mails.append(_notice(teller, row, counts, postmaster, now_ms, for_owner=False))
    await store.write(claim_held_notices, HeldNotice(account_id, now_ms, tuple(mails)))


async def _find(store: Store, address: Address) -> AccountEntry | None:
    flow = route_recipient(address, store.directory.postmaster)
    route = await ask_directory_and_wait(flow, store.directory)
    if isinstance(route, Suspended):
        return route.entry
    if isinstance(route, Local):
        # What concerns the server stays here, even where its postmaster forwards all mail.
        return route.entries[0] if route.entries else store.directory.postmaster
    return None


def _notice(
    teller: Teller,
    row: AccountRow,
    counts: StrangerCounts,
    to: AccountEntry,
    now_ms: int,
    *,
    for_owner: bool,
) -> Intake:
    held = HeldAccount(row.login, row.address, counts.held_ms or now_ms, counts.day_count)
    postmaster = Address("postmaster", row.address.domain)
    mail_id = new_mail_id(now_ms, teller.random(ID_RANDOM_SIZE))
    write = write_owner_notice if for_owner else write_postmaster_notice
    message = write(held, postmaster, unique=mail_id, now_ms=now_ms)
    addressed = row.address if for_owner else postmaster
    copies = plan_copies(
        [Addressed(addressed, Local((to,)))], Plan(None, now_ms, teller.lifetime_ms)
    )
    content = teller.store.blobs.stage((message,))
    return Intake(
        mail_id=mail_id,
        parent_mail_id=None,
        session_id=None,
        received_at_ms=now_ms,
        account_id=None,
        reverse_path=None,
        header_from=str(postmaster),
        message_id=f"<{mail_id}@{postmaster.domain}>",
        content=content,
        size=content.size,
        needs_smtputf8=not row.address.is_ascii,
        local=tuple(copies.local),
        remote=(),
        refused=(),
        events=tuple(copies.events),
    )
