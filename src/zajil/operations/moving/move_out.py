"""Copy the mail of an account to a target: nothing changes in the account."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from zajil.core.actor import Actor
from zajil.core.ids import MailboxId, Uid
from zajil.operations.accounts import find_account
from zajil.operations.context import OperationContext, Recorded, require_owner
from zajil.operations.moving.model import PIECE, Leaving, MailTarget, OwnMailbox, Report, Unreadable
from zajil.operations.moving.move_in import MovingChoice, Progress, matches
from zajil.store.engine.reader import Snapshot
from zajil.store.engine.writer import Transaction
from zajil.store.mail.blobs import NoSuchBlob
from zajil.store.mail.mailboxes import Mailbox, count_messages, list_mailboxes
from zajil.store.mail.messages import (
    Message,
    MessageReader,
    get_messages,
    list_uids,
    open_message,
)
from zajil.store.mail.subscriptions import list_subscriptions
from zajil.store.people.accounts import AccountRow
from zajil.tracking.audit import MessagesExported

_PORTION = 500
"""Messages whose rows are read at a time."""


async def export_mail(
    context: OperationContext,
    actor: Actor,
    login_or_address: str,
    target: MailTarget,
    choice: MovingChoice,
    progress: Progress,
) -> Report:
    """Copy the messages of an account to a target that does not have them.

    Writing to the target holds up the event loop: it is for the command line. The caller closes
    the target.

    Args:
        context: the store and what belongs to it.
        actor: the owner, or an administrator.
        login_or_address: of the account.
        target: where they go.
        choice: ``only``, ``exclude``, ``since_ms`` and ``dry_run`` of it.
        progress: is told how many messages are done.

    Raises:
        NotAllowed: neither the owner nor an administrator asks.
        NoSuchAccount: there is no such account.
        NoTarget: nothing more can be written.
        StoreUnavailable: the database cannot be read now.
    """
    row = await context.read(lambda conn: find_account(conn, login_or_address))
    require_owner(actor, row.account_id)
    report = Report()
    try:
        run = _Run(
            context=context,
            row=row,
            target=target,
            choice=choice,
            report=report,
            progress=progress,
        )
        await run.all()
    finally:
        if not choice.dry_run:
            await _record(context, actor, row, target, report)
    return report


async def _record(
    context: OperationContext, actor: Actor, row: AccountRow, target: MailTarget, report: Report
) -> None:
    if not report.moved:
        return
    by = context.stamp(actor)

    def work(_tx: Transaction) -> Recorded[None]:
        place = target.identity.replace("\0", "")
        return None, [MessagesExported(*by, row.account_id, row.login, report.moved, place)]

    await context.change(work)


@dataclass(slots=True, kw_only=True)
class _Run:
    """One run for one account."""

    context: OperationContext
    row: AccountRow
    target: MailTarget
    choice: MovingChoice
    report: Report
    progress: Progress
    _done: int = 0
    _total: int = 0

    async def all(self) -> None:
        account_id = self.row.account_id
        boxes = await self.context.read(lambda conn: list_mailboxes(conn, account_id))
        names = await self.context.read(lambda conn: list_subscriptions(conn, account_id))
        for pattern in self.choice.only:
            if not any(matches(box.name, [pattern]) for box in boxes):
                self.report.leave_out(pattern, "the account has no such mailbox")
        wanted = [box for box in boxes if self.choice.takes(box.name)]
        ids = [box.mailbox_id for box in wanted]
        counts = await self.context.read(lambda conn: count_messages(conn, ids))
        self._total = sum([count.messages for count in counts.values()])
        for box in wanted:
            self.report.mailboxes += 1
            own = OwnMailbox(
                name=box.name,
                role=box.role,
                uid_validity=box.uid_validity,
                subscribed=box.name in names,
            )
            if self.choice.dry_run:
                self.report.moved += counts[box.mailbox_id].messages
            elif self.target.open(own, self.report):
                await self._mailbox(box)
                self.target.finish()

    async def _mailbox(self, box: Mailbox) -> None:
        mailbox_id = box.mailbox_id
        uids = await self.context.read(lambda conn: list_uids(conn, mailbox_id))
        for start in range(0, len(uids), _PORTION):
            for found in await self._rows(mailbox_id, uids[start : start + _PORTION]):
                if found.received_at_ms >= (self.choice.since_ms or found.received_at_ms):
                    await self._message(box, found)
            self._done += len(uids[start : start + _PORTION])
            self.progress(min(self._done, self._total), self._total)

    async def _rows(self, mailbox_id: MailboxId, uids: Sequence[Uid]) -> list[Message]:
        return await self.context.read(lambda conn: get_messages(conn, mailbox_id, uids))

    async def _message(self, box: Mailbox, found: Message) -> None:
        blobs = self.context.store.blobs

        def work(conn: Snapshot) -> MessageReader | None:
            try:
                return open_message(conn, blobs, found)
            except NoSuchBlob:
                return None  # it was expunged meanwhile

        reader = await self.context.read(work)
        if reader is None:
            return
        with reader:
            message = Leaving(
                uid=found.uid,
                flags=found.flags,
                received_at_ms=found.received_at_ms,
                size=found.size,
                pieces=lambda: _pieces(reader),
            )
            try:
                if self.target.put(message):
                    self.report.moved += 1
                    self.report.size += found.size
                else:
                    self.report.known += 1
            except Unreadable as error:
                self.report.leave_out(f"{box.name}, UID {found.uid}", str(error))


def _pieces(reader: MessageReader) -> Iterator[bytes]:
    at = 0
    while at < reader.size:
        piece = reader.read_at(at, PIECE)
        at += len(piece)
        yield piece
