"""Mail from shard to shard: the delivery calls the door of the other store, without SMTP.

It is accepted there as any mail is, by ``accept``, so the result is a promise that was committed.
As with another server, a crash between that commit and ours brings the mail twice; an orderly stop
does not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from zajil.accept.accept import accept
from zajil.accept.context import AcceptanceContext, SessionFacts
from zajil.accept.outcome import Accepted, NotAccepted, RefusalReason
from zajil.accept.recipients import add_recipient
from zajil.accept.transaction import Transaction
from zajil.core.address import Address
from zajil.core.mail_options import MailOptions, Notify
from zajil.deliver.outgoing_mail import AttemptOutcome, RecipientResult, deferred, result_of
from zajil.deliver.transaction import MaySend
from zajil.route.directory_flow import ask_directory_and_wait
from zajil.route.recipient import Remote, UnknownRecipient, route_recipient
from zajil.smtp.reply import Reply
from zajil.store.engine.errors import StoreError, StoreUnavailable
from zajil.store.mail.blob_reader import BlobReader
from zajil.store.queue.queue import LeasedRecipient
from zajil.tracking.events import AttemptMade

if TYPE_CHECKING:
    from zajil.deliver.attempt import Attempt

_PIECE = 262_144
"""Bytes of a message that are read at once."""
_LAST_SECONDS = 5.0
"""How long a commit of the other shard may take when the server stops."""
_PROTOCOL = "LMTP"
"""In Received: what another program would have used to bring it."""

Results = dict[LeasedRecipient, RecipientResult]


class Handover:
    """Brings mail to the shards of its recipients.

    Args:
        home_of: the shard of an address, from memory; ``None``: its domain is not ours.
        is_single: whether an account is apart from its domain.
        judging: by shard, what accepts mail that came from outside before.
        trusting: by shard, what accepts mail of our own users, which was judged already.
        refusal: words what is not accepted as a reply.
    """

    def __init__(
        self,
        home_of: Callable[[Address], str | None],
        is_single: Callable[[Address], bool],
        judging: dict[str, AcceptanceContext],
        trusting: dict[str, AcceptanceContext],
        refusal: Callable[[AcceptanceContext, NotAccepted], Reply],
    ) -> None:
        self._home_of = home_of
        self._is_single = is_single
        self._judging = judging
        self._trusting = trusting
        self._refusal = refusal

    async def leaves_some(self, attempt: Attempt) -> bool:
        """Bring a mail to all of its recipients that are ours; return whether others are left.

        Raises:
            NoSuchBlob, StoreUnavailable: the message cannot be read; nothing was brought.
        """
        homes: dict[str, list[LeasedRecipient]] = {}
        rest: list[LeasedRecipient] = []
        for one in attempt.outgoing.recipients:
            if one in attempt.results:
                continue
            home = self._home_of(one.recipient)
            (rest if home is None else homes.setdefault(home, [])).append(one)
        if homes:
            await self._bring(attempt, homes)
        if homes and rest:
            attempt.outgoing = attempt.outgoing.only(rest)
        return bool(rest)

    async def _bring(self, attempt: Attempt, homes: dict[str, list[LeasedRecipient]]) -> None:
        mail = attempt.outgoing.mail
        body = attempt.outgoing.body or await attempt.means.open_body(mail)
        try:
            for home, claimed in homes.items():
                contexts = self._judging if mail.account_id is None else self._trusting
                context = contexts.get(home)
                if context is None:
                    text = f"the shard {home} is not available on this node"
                    attempt.results |= dict.fromkeys(claimed, deferred("4.3.0", text))
                    continue
                got: Results = {}
                try:
                    await self._hand_in(context, mail, claimed, body, got, attempt.means.may_send)
                except StoreError as error:
                    result = deferred("4.3.0", f"the shard {home} is not available: {error}")
                    got |= {one: result for one in claimed if one not in got}
                finally:  # when it is cancelled, too
                    attempt.results |= got
                attempt.events.append(_made(context, home, claimed, got))
        finally:
            body.close()

    async def _hand_in(
        self,
        context: AcceptanceContext,
        mail: LeasedRecipient,
        claimed: Sequence[LeasedRecipient],
        body: BlobReader,
        got: Results,
        may_send: MaySend,
    ) -> None:
        """Fill ``got`` with what becomes of each recipient in one shard."""
        now_ms = context.clock.now_ms()
        transaction = Transaction(
            mail_id=context.new_mail_id(now_ms),
            reverse_path=mail.reverse_path,
            smtputf8=mail.needs_smtputf8,
            spool=context.make_spool(),
            options=MailOptions(
                mail.mail_options.dsn_return,
                mail.mail_options.envelope_id,
                mail.mail_options.require_tls,
            ),
            declared_size=mail.size,
        )
        taken: list[LeasedRecipient] = []
        for one in claimed:
            refused = await self._name(context, transaction, one)
            if refused is None:
                taken.append(one)
            else:
                got[one] = result_of(self._refusal(context, refused), context.hostname)
        if not taken:
            return
        for start in range(0, body.size, _PIECE):
            length = min(_PIECE, body.size - start)
            waits = transaction.spool.add(await asyncio.to_thread(body.read_at, start, length))
            if waits is not None:
                await waits
        if not await may_send():
            raise StoreUnavailable("another node may have taken over this mail")
        work = accept(context, _facts(context, mail, now_ms), transaction)
        accepting = asyncio.ensure_future(work)
        try:
            # The server may stop just now: the other shard must not commit what this one does not
            # know of, and would bring again.
            await _finish(accepting)
        finally:
            if accepting.done() and not accepting.cancelled():
                for one in taken:
                    got[one] = self._result(context, one, accepting.result())

    async def _name(
        self, context: AcceptanceContext, transaction: Transaction, one: LeasedRecipient
    ) -> NotAccepted | None:
        directory = context.store.directory
        flow = route_recipient(one.recipient, directory.postmaster)
        route = await ask_directory_and_wait(flow, directory)
        is_lost = isinstance(route, UnknownRecipient) and self._is_single(one.recipient)
        # It was moved meanwhile, and is found by the next attempt; or the shard was restored.
        if isinstance(route, Remote) or is_lost:
            return NotAccepted(RefusalReason.UNAVAILABLE)
        return add_recipient(
            transaction,
            one.recipient,
            route,
            may_relay=False,
            at_ms=context.clock.now_ms(),
            options=one.options,
        )

    def _result(
        self, context: AcceptanceContext, one: LeasedRecipient, outcome: Accepted | NotAccepted
    ) -> RecipientResult:
        why: Accepted | NotAccepted = outcome
        if isinstance(outcome, Accepted):
            why = outcome.rejected.get(one.recipient.key, outcome)
        if isinstance(why, NotAccepted):
            return result_of(self._refusal(context, why), context.hostname)
        wants_reports = one.options.notify is not None and bool(one.options.notify & Notify.SUCCESS)
        return RecipientResult(
            AttemptOutcome.DELIVERED,
            "2.0.0",
            f"250 2.0.0 queued as {why.mail_id}",
            context.hostname,
            reports=wants_reports and one.addressed_as is None,
        )


async def _finish(work: asyncio.Future[Accepted | NotAccepted]) -> None:
    """Wait for the end of something; cancelled, for some seconds more, then it is cancelled too."""
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work], timeout=_LAST_SECONDS)
        work.cancel()
        raise


def _facts(context: AcceptanceContext, mail: LeasedRecipient, now_ms: int) -> SessionFacts:
    """Return what the other shard is told of where a mail comes from."""
    return SessionFacts(
        session_id=context.new_session_id(now_ms),
        peer=None,
        claimed_name=context.hostname,
        protocol=_PROTOCOL,
        vouched_for=None if mail.account_id is None else str(mail.reverse_path or mail.header_from),
    )


def _made(
    context: AcceptanceContext, home: str, claimed: Sequence[LeasedRecipient], got: Results
) -> AttemptMade:
    delivered = sum(got[one].outcome is AttemptOutcome.DELIVERED for one in claimed)
    return AttemptMade(
        context.clock.now_ms(),
        context.hostname,
        f"shard {home}",
        tls=None,
        dialogue=(),
        outcome=f"{delivered} of {len(claimed)} delivered",
        behind_alias=any(one.addressed_as is not None for one in claimed),
    )
