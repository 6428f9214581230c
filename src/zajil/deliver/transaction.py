"""One mail over an open link: MAIL, RCPT for each recipient, DATA, the message, and the replies.

RFC 5321 section 3.3, RFC 2920 (PIPELINING), RFC 1870 (SIZE), RFC 6531 (SMTPUTF8), RFC 3461 (DSN),
RFC 8689 (REQUIRETLS).

Law: what the peer said of a recipient is in ``results`` as soon as it was said; whatever happens
then to the connection or to us, it is not lost.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from zajil.core.mail_options import PLAIN_RECIPIENT, MailOptions, Notify, RecipientOptions
from zajil.deliver.client_channel import Channel, LinkBroken, RelayRefused
from zajil.deliver.outgoing_mail import (
    AttemptOutcome,
    Outgoing,
    RecipientResult,
    deferred,
    failed,
    result_of,
    status_said,
)
from zajil.deliver.security import is_secure_enough, rule_for
from zajil.smtp.codes import Code, EnhancedStatus
from zajil.smtp.lines import BareLineEnd
from zajil.smtp.reply import Reply
from zajil.smtp.state import ClientState
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.mail.blob_reader import BlobReader
from zajil.store.queue.queue import LeasedRecipient

MAX_RECIPIENTS = 100
"""Of one transaction: what every server must take (RFC 5321 section 4.5.3.1.8)."""

MaySend = Callable[[], Awaitable[bool]]
"""Returns whether no other node can have taken over the mail meanwhile."""

CHUNK_SIZE = 262_144
"""Bytes of a message in memory at a time."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long we wait; RFC 5321 section 4.5.3.2."""

    reply_seconds: float
    """For each reply, and for each piece of the message to leave."""
    data_seconds: float
    """For the reply to the end of data."""


async def send_mail(
    link: Channel,
    outgoing: Outgoing,
    body: BlobReader,
    timeouts: Timeouts,
    results: dict[LeasedRecipient, RecipientResult],
    may_send: MaySend,
) -> None:
    """Send one mail; afterwards every recipient is in ``results``.

    Args:
        link: to the host.
        outgoing: the mail.
        body: its message.
        timeouts: of the host.
        results: to be filled.
        may_send: asked right before the end of the message.

    Raises:
        StoreUnavailable: it may not be sent: another node may do it.
        LinkBroken: recipients that are not in ``results`` got no answer.
    """
    for claimed in outgoing.recipients:
        refusal = _cannot_take(link, claimed)
        if refusal is not None:
            results[claimed] = refusal
    rest = [claimed for claimed in outgoing.recipients if claimed not in results]
    if not rest:
        return
    limit = MAX_RECIPIENTS
    while rest:
        part, rest = rest[:limit], rest[limit:]
        transaction = _Transaction(link, outgoing.only(part), body, timeouts, results, may_send)
        try:
            await transaction.run()
        except _MustNotLeave as error:
            fail_all(outgoing.recipients, error, results)
            raise
        if transaction.too_many and transaction.is_sent:
            # RFC 5321 section 4.5.3.1.10: the others get a transaction of their own, now.
            rest = [*transaction.too_many, *rest]
            limit = len(transaction.accepted)
    link.mails += 1


def fail_all(
    recipients: Sequence[LeasedRecipient],
    error: Exception,
    results: dict[LeasedRecipient, RecipientResult],
) -> None:
    """The message itself may not leave: no host and no later day will change that."""
    result = failed(EnhancedStatus.BAD_CONTENT, str(error))
    for claimed in recipients:
        known = results.get(claimed)
        if known is None or known.outcome is AttemptOutcome.DEFERRED:
            results[claimed] = result


def _cannot_take(link: Channel, claimed: LeasedRecipient) -> RecipientResult | None:
    """See from the EHLO reply that it is useless to try."""
    capabilities, host = link.conn.capabilities, link.target.host
    limit = capabilities.get("SIZE", "")
    # RFC 1870 section 3: no number, or 0, is no limit.
    if limit.isascii() and limit.isdecimal() and 0 < int(limit[:20]) < claimed.size:
        sentence = f"the message has {claimed.size} bytes; {host} accepts at most {limit}"
        return failed(EnhancedStatus.MESSAGE_TOO_BIG, sentence, host)
    if _needs_smtputf8(claimed) and "SMTPUTF8" not in capabilities:
        sentence = f"{host} does not support UTF-8 addresses or header fields (SMTPUTF8)"
        return failed(EnhancedStatus.UTF8_ADDRESS, sentence, host)
    if not is_secure_enough(link, rule_for("opportunistic", claimed)):
        sentence = f"{host} does not support REQUIRETLS"
        return failed(EnhancedStatus.REQUIRETLS_NEEDED, sentence, host)
    return None


def _needs_smtputf8(claimed: LeasedRecipient) -> bool:
    """Return whether this copy may only go where SMTPUTF8 is offered (RFC 6531 section 3.2)."""
    sender = claimed.reverse_path
    return (
        claimed.needs_smtputf8
        or (sender is not None and not sender.is_ascii)
        or not claimed.recipient.is_ascii
    )


def _mail_options(claimed: LeasedRecipient, link: Channel) -> MailOptions:
    """Return what MAIL says; a bounce goes on without REQUIRETLS too (RFC 8689 section 5)."""
    options = claimed.mail_options
    if options.require_tls and "REQUIRETLS" not in link.conn.capabilities:
        return replace(options, require_tls=False)
    return options


def _recipient_options(claimed: LeasedRecipient) -> RecipientOptions:
    """Return what RCPT says of a recipient.

    Security: the sender must not hear of a target that an alias of ours hides. So of success we
    tell ourselves, and ORCPT names what the sender named (RFC 3461 section 5.2.7).
    """
    options, alias = claimed.options, claimed.addressed_as
    if options is PLAIN_RECIPIENT or alias is None:
        return options
    named = f"rfc822;{alias}" if alias.is_ascii else f"utf-8;{alias.unicode}"
    notify = None if options.notify is None else options.notify & ~Notify.SUCCESS
    return RecipientOptions(notify, options.original_recipient or named)


class _MustNotLeave(LinkBroken):
    """The message holds a bare CR or LF, which could end it at the next server (SMTP smuggling)."""


class _Transaction:
    def __init__(
        self,
        link: Channel,
        outgoing: Outgoing,
        body: BlobReader,
        timeouts: Timeouts,
        results: dict[LeasedRecipient, RecipientResult],
        may_send: MaySend,
    ) -> None:
        self._link = link
        self._may_send = may_send
        self._conn = link.conn
        self._host = link.target.host
        self._recipients = outgoing.recipients
        self._mail = outgoing.mail
        self._utf8 = any(map(_needs_smtputf8, outgoing.recipients))
        self._body = body
        self._timeouts = timeouts
        self._results = results
        self.accepted: list[LeasedRecipient] = []
        self.too_many: list[LeasedRecipient] = []
        """Refused only because the transaction had enough recipients."""
        self.is_sent = False
        """The message was sent and taken."""
        for claimed in self._recipients:
            results.pop(claimed, None)  # it was too many in the transaction before

    async def run(self) -> None:
        if "PIPELINING" in self._conn.capabilities:
            go_ahead = await self._open_pipelined()
        else:
            go_ahead = await self._open_in_steps()
        if go_ahead:
            await self._send_message()
        elif self._conn.state is ClientState.MAIL:
            self._conn.rset()
            await self._ask()

    async def _open_pipelined(self) -> bool:
        """Send the whole envelope in one packet (RFC 2920 section 3.1)."""
        self._say_mail()
        for claimed in self._recipients:
            self._conn.rcpt(claimed.recipient, options=_recipient_options(claimed))
        self._conn.data()
        await self._link.send(self._timeouts.reply_seconds)
        self._heard_mail(await self._receive())
        for claimed in self._recipients:
            self._heard_rcpt(claimed, await self._receive())
        return self._heard_data(await self._receive())

    async def _open_in_steps(self) -> bool:
        self._say_mail()
        if not self._heard_mail(await self._ask()):
            return False
        for claimed in self._recipients:
            self._conn.rcpt(claimed.recipient, options=_recipient_options(claimed))
            self._heard_rcpt(claimed, await self._ask())
        if not self.accepted:
            return False
        self._conn.data()
        return self._heard_data(await self._ask())

    def _say_mail(self) -> None:
        # Deviation: where 8BITMIME is not offered the message leaves as it is. RFC 6152 section 3
        # asks to convert it or to bounce it; servers that take 8 bits and do not say so outnumber
        # those that do not take them.
        self._conn.mail(
            self._mail.reverse_path,
            size=self._mail.size,
            body="8BITMIME",
            smtputf8=self._utf8,
            options=_mail_options(self._mail, self._link),
        )

    def _heard_mail(self, reply: Reply) -> bool:
        if not reply.accepts:
            self._refuse(self._recipients, reply)
        return reply.accepts

    def _heard_rcpt(self, claimed: LeasedRecipient, reply: Reply) -> None:
        if claimed in self._results:
            return  # MAIL was refused; what follows is "bad sequence"
        if reply.accepts:
            self.accepted.append(claimed)
        elif self.accepted and _is_too_many(reply):
            self.too_many.append(claimed)
            self._results[claimed] = deferred(_TOO_MANY, str(reply), self._host)
        else:
            self._refuse((claimed,), reply)

    def _heard_data(self, reply: Reply) -> bool:
        if reply.code == Code.START_BODY:
            return True
        self._refuse(self.accepted, reply)
        return False

    async def _send_message(self) -> None:
        if self.accepted:
            async for piece in _pieces(self._body):
                # The piece before this one; the last one leaves together with the final dot.
                await self._link.send(self._timeouts.reply_seconds)
                try:
                    self._conn.body(piece)
                except BareLineEnd as error:
                    self._must_not_leave(error)
            if not await self._may_send():
                raise StoreUnavailable("another node may have taken over this mail")
        # Nobody was accepted, and a peer that said 354 all the same gets an empty message, which
        # RFC 2920 section 3.1 tells it to refuse.
        try:
            self._conn.end_body()
        except BareLineEnd as error:
            self._must_not_leave(error)
        await self._link.send(self._timeouts.reply_seconds)
        try:
            reply = await self._link.receive(self._timeouts.data_seconds)
        except LinkBroken as error:
            raise LinkBroken(f"{error} (after the whole message was sent)") from None
        result = result_of(reply, self._host)
        self.is_sent = result.outcome is AttemptOutcome.DELIVERED
        for claimed in self.accepted:
            # An alias is ours to tell of.
            reports = "DSN" in self._conn.capabilities and claimed.addressed_as is None
            self._results[claimed] = replace(result, reports=reports) if reports else result

    def _must_not_leave(self, error: BareLineEnd) -> None:
        raise _MustNotLeave(f"the message cannot be sent: {error}") from None

    def _refuse(self, recipients: Sequence[LeasedRecipient], reply: Reply) -> None:
        """5yz: for good. Anything else that is not "yes" to the question: not now.

        Raises:
            RelayRefused: it says nothing of the mail, but that a relay does not know us.
        """
        if self._link.target.relay is not None:
            if reply.code in _WANTS_LOG_IN:
                raise RelayRefused(f"{self._host} requires a log-in or encryption: {reply}")
            if reply.code // 100 == 5 and _RELAYING_DENIED.search(str(reply)):
                result = deferred("4.7.1", str(reply), self._host)
                for claimed in recipients:
                    self._results.setdefault(claimed, result)
                return
        result = result_of(reply if not reply.accepts else _not_now(reply), self._host)
        for claimed in recipients:
            self._results.setdefault(claimed, result)

    async def _ask(self) -> Reply:
        await self._link.send(self._timeouts.reply_seconds)
        return await self._receive()

    async def _receive(self) -> Reply:
        return await self._link.receive(self._timeouts.reply_seconds)


_TOO_MANY = "4.5.3"
_WANTS_LOG_IN = (
    Code.AUTH_REQUIRED,
    Code.AUTH_TOO_WEAK,
    Code.AUTH_FAILED,
    Code.ENCRYPTION_REQUIRED,
)
_RELAYING_DENIED = re.compile(r"\brelay(?:ing)?\b", re.IGNORECASE)
"""Postfix, Exim, sendmail and Exchange say it in different words, all with this one; then the relay
does not know the address of this server, and an operator must mend that."""


def _is_too_many(reply: Reply) -> bool:
    """RFC 5321 section 4.5.3.1.10: 552 for too many recipients means 452."""
    codes = (Code.TOO_MANY_RECIPIENTS, Code.TOO_BIG)
    return reply.code in codes and status_said(reply)[1:] in ("", _TOO_MANY[1:])


def _not_now(reply: Reply) -> Reply:
    return Reply(Code.LOCAL_ERROR, (f"(the peer's unexpected reply was {reply})",))


async def _pieces(body: BlobReader) -> AsyncIterator[bytes]:
    """Return the message piece by piece; a large one comes from a file, so from a thread."""
    if body.size <= CHUNK_SIZE:
        yield body.read_at(0, body.size)
        return
    for offset in range(0, body.size, CHUNK_SIZE):
        yield await asyncio.to_thread(body.read_at, offset, CHUNK_SIZE)
