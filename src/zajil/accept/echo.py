"""Echo accounts: each message that comes is answered with what was seen of it, and removed.

A chore. The answer and the removal are one commit, so that nothing is answered twice or forgotten.
What was in the account before, or was put there by a mail program, stays; what is removed can be
restored as any deleted message.
"""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Sequence

from zajil.accept.echo_reply import EchoRequest, read_request, write_answer
from zajil.accept.own_mail import OwnMail, OwnMailer
from zajil.accept.plan import Addressed
from zajil.core.address import Address, parse_address
from zajil.core.directory import AccountEntry
from zajil.core.ids import MailboxId
from zajil.net.logger import get_logger
from zajil.store.engine.reader import Snapshot
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.blobs import NoSuchBlob
from zajil.store.mail.echo import AnsweredEcho, answer_echo
from zajil.store.mail.intake import Intake
from zajil.store.mail.message_changes import ExpungeMessages
from zajil.store.mail.messages import Message, get_messages, list_uids, open_message
from zajil.store.people.directory import look_up

ECHO_SECONDS = 2.0
"""Between two looks: who waits for an answer looks at a clock."""
_AT_ONCE = 20
_MOST_READ = 65_536
"""Bytes of a message that are read: its header section."""
MOST_ANSWERS = 20
"""To one address in an hour."""
_HOUR_MS = 3_600_000
_DAY_MS = 24 * _HOUR_MS
"""Older messages are not looked at: somebody had the address before."""
_MOST_SENDERS = 10_000


class EchoAccounts:
    """Answers the mail of the accounts in ``mail.echo_accounts``."""

    def __init__(self, mailer: OwnMailer, addresses: Sequence[str], hostname: str) -> None:
        """Answer nothing yet.

        Args:
            mailer: sends the answers.
            addresses: of the accounts; one that does not exist is passed over.
            hostname: ours.
        """
        self._mailer = mailer
        self._addresses = [parse_address(one) for one in addresses]
        self._hostname = hostname
        self._answers: dict[str, deque[int]] = {}

    async def look(self) -> None:
        """Answer what is there.

        Raises:
            StoreUnavailable: the rest is answered at the next look.
        """
        for address in self._addresses:
            account = await self._mailer.store.read(functools.partial(_find, address))
            if account is not None:
                await self._answer_all(account)

    async def _answer_all(self, account: AccountEntry) -> None:
        store = self._mailer.store
        for mailbox in (account.inbox, account.junk):
            since_ms = self._mailer.clock.now_ms() - _DAY_MS
            for message in await store.read(functools.partial(_newest, mailbox, since_ms)):
                intake = await self._prepare(account, message)
                remove = ExpungeMessages(
                    account.account_id, mailbox, (message.uid,), deleted_only=False
                )
                try:
                    await store.write(answer_echo, AnsweredEcho(remove, intake))
                except NoSuchMailbox:
                    return

    async def _prepare(self, account: AccountEntry, message: Message) -> Intake | None:
        """Return the answer to a message; ``None``: it gets none."""
        mailer = self._mailer
        try:
            reader = await mailer.store.read(
                lambda conn: open_message(conn, mailer.store.blobs, message)
            )
        except NoSuchBlob:
            return None
        with reader:
            head = await asyncio.to_thread(reader.read_at, 0, _MOST_READ)
        request = read_request(head, self._hostname)
        now_ms = mailer.clock.now_ms()
        if isinstance(request, EchoRequest) and not self._may_answer(request.sender, now_ms):
            request = "Too many answers to this address in an hour."
        if isinstance(request, str):
            get_logger().info("echo: not answered", mail=message.mail_id, reason=request)
            return None
        route = await mailer.route(request.sender, None)
        if route is None:
            return None
        mail_id = mailer.new_mail_id(now_ms)
        echo = account.address
        return await mailer.prepare(
            OwnMail(
                mail_id=mail_id,
                at_ms=now_ms,
                message=write_answer(
                    request, echo, hostname=self._hostname, unique=mail_id, now_ms=now_ms
                ),
                header_from=echo,
                message_id=f"<{mail_id}@{echo.domain}>",
                recipients=(Addressed(request.sender, route),),
                parent_mail_id=message.mail_id,
            )
        )

    def _may_answer(self, sender: Address, now_ms: int) -> bool:
        """Count an answer; return whether there were few in the last hour."""
        if len(self._answers) >= _MOST_SENDERS:
            self._answers.clear()
        times = self._answers.setdefault(sender.key, deque())
        while times and times[0] < now_ms - _HOUR_MS:
            times.popleft()
        if len(times) >= MOST_ANSWERS:
            return False
        times.append(now_ms)
        return True


def _find(address: Address, conn: Snapshot) -> AccountEntry | None:
    entry = look_up(conn, address).entry
    return entry if isinstance(entry, AccountEntry) else None


def _newest(mailbox: MailboxId, since_ms: int, conn: Snapshot) -> list[Message]:
    """Return messages that came since a time by delivery, the oldest first."""
    found = get_messages(conn, mailbox, list_uids(conn, mailbox)[-_AT_ONCE:])
    return [one for one in found if one.mail_id is not None and one.saved_at_ms >= since_ms]
