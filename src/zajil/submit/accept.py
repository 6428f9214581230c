"""A submission becomes ours: sender rights in the header section, completion, then the store.

Law: a 250 leaves here only as the result of ``accept.commit``, after the commit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from zajil.accept import replies
from zajil.accept.commit import Incoming, refuse, take_in
from zajil.accept.context import ReceiveServices
from zajil.accept.trace_fields import protocol_keyword, received_field
from zajil.accept.transaction import Transaction
from zajil.check.facts import MessageFacts
from zajil.check.verdict.verdict import NOTHING_AGAINST
from zajil.keys.sign import UNSIGNED, hash_anew
from zajil.login.account import Account
from zajil.mailauth.dkim_body import BodyDigests
from zajil.message.fields import Field, begins_folded, cut_ranges, read_fields
from zajil.message.mend_fields import CannotMend
from zajil.message.source import Source, size_of
from zajil.net.peer import Peer
from zajil.receive.accept import (
    Connection,
    body_refusal,
    needs_smtputf8,
    received_event,
    verdict_refusal,
)
from zajil.smtp.command import BodyEnd
from zajil.smtp.reply import Reply
from zajil.submit.complete import complete_header, foreign_authors
from zajil.submit.mend import mend
from zajil.submit.outgoing import judge_outgoing, outgoing_write
from zajil.submit.permission import may_send_as
from zajil.tracking.events import HeaderCompleted


@dataclass(frozen=True, slots=True)
class Via:
    """How a submission came in: what Received says of it."""

    protocol: str
    """``ESMTPSA``, ``HTTP``."""
    claimed_name: str
    peer: Peer | None
    tls: str | None
    smtputf8: bool


async def accept_submission(
    session: Connection, account: Account, transaction: Transaction, end: BodyEnd
) -> Reply:
    """Decide about a whole mail of one of our users; 250 means it is on disk."""
    refusal = body_refusal(transaction, end)
    if refusal is not None:
        return refuse(session, transaction, refusal)
    protocol = protocol_keyword(
        extended=session.extended,
        utf8=transaction.smtputf8,
        encrypted=session.conn.encrypted,
        authenticated=True,
    )
    via = Via(protocol, session.claimed_name, session.peer, session.tls, transaction.smtputf8)
    decision = decide_submission(session.services, account, transaction, via)
    return await take_in(session, transaction, decision)


async def decide_submission(
    services: ReceiveServices, account: Account, transaction: Transaction, via: Via
) -> Incoming | Reply:
    """Check the header section and complete it; a reply says what is wrong with the message.

    Raises:
        StoreUnavailable: the message could not be kept.
    """
    now_ms = services.clock.now_ms()
    try:
        written = await _complete(account, transaction, via, now_ms)
    except CannotMend as error:
        return replies.cannot_send(error.status, error.text)
    if isinstance(written, Reply):
        return written
    header, fields, body = written.header, written.fields, written.body
    facts = MessageFacts(
        now_ms=now_ms,
        peer=via.peer,
        claimed_name=via.claimed_name,
        reverse_path=transaction.reverse_path,
        recipients=tuple([recipient.address for recipient in transaction.recipients]),
        header=header,
        fields=fields,
        size=written.size,
        smtputf8=via.smtputf8,
        login=account.login,
        authserv_id=services.hostname,
        limits=services.limits,
        body=body,
    )
    checked = await services.checks.check_message(facts)
    received = received_event(facts)
    transaction.events += (received, *checked.events)
    refusal = judge_outgoing(checked, services.checks.thresholds) or verdict_refusal(checked)
    if refusal is not None:
        return refusal
    if begins_folded(header, checked.forged):
        return replies.FOLDED_START
    header = cut_ranges(header, checked.forged)
    signed = UNSIGNED
    if services.signer is not None:
        fields = read_fields(header) if checked.forged else fields
        hash_body = written.hash_body or partial(transaction.spool.digests, fields, body)
        # What stays here is signed too: a reader cannot tell the two apart.
        signed = await services.signer.sign(header, fields, hash_body)
        transaction.events += signed.events
    trace = _trace(services, transaction, via, now_ms)
    return Incoming(
        now_ms=now_ms,
        account_id=account.account_id,
        header_from=received.header_from,
        message_id=received.message_id,
        needs_smtputf8=await needs_smtputf8(facts),
        parts=(trace, checked.results, signed.fields, header, body),
        verdict=NOTHING_AGAINST,  # what our own users write to each other is not judged as junk
        write=outgoing_write(services, account, transaction, now_ms),
    )


@dataclass(frozen=True, slots=True)
class _Written:
    """A message as it leaves, but for the fields on top."""

    header: bytes
    fields: list[Field]
    body: bytes | Source
    size: int
    hash_body: Callable[[], BodyDigests] | None = None
    """``None``: as its bytes came, so the spool has hashed it."""


async def _complete(
    account: Account, transaction: Transaction, via: Via, now_ms: int
) -> _Written | Reply:
    """Check whose it is, add what is missing, write anew what cannot travel.

    Raises:
        CannotMend: it cannot travel.
    """
    header, body = await transaction.spool.split()
    fields = read_fields(header)
    is_own = partial(may_send_as, account)
    if foreign_authors(fields, is_own):
        return replies.NOT_YOUR_FROM
    completed = complete_header(
        header,
        fields,
        author=account.address,
        now_ms=now_ms,
        message_id=f"<{transaction.mail_id}@{account.address.domain}>",
    )
    if begins_folded(header, completed.cut):
        return replies.FOLDED_START
    size, changes, hash_body = transaction.spool.size, completed.changes, None
    if changes:
        header, fields = completed.header, read_fields(completed.header)
    mended = await mend(header, fields, body, utf8=via.smtputf8)
    if mended is not None:
        header, fields = mended.header, read_fields(mended.header)
        # Security: what was read once may read otherwise now that it is written otherwise.
        if foreign_authors(fields, is_own):
            return replies.NOT_YOUR_FROM
        changes += mended.changes
        size += len(mended.body) - size_of(body)
        body, hash_body = mended.body, partial(hash_anew, mended.body)
    if changes:
        transaction.events.append(HeaderCompleted(now_ms, ", ".join(changes)))
    return _Written(header, fields, body, size, hash_body)


def _trace(services: ReceiveServices, transaction: Transaction, via: Via, now_ms: int) -> bytes:
    # RFC 5321 section 4.4 asks for the name and the address of the client, section 7.6 says what
    # that gives away: to every recipient, where the writer was. The journey knows it.
    hides = services.submit is None or services.submit.hide_client
    return received_field(
        claimed_name="" if hides else via.claimed_name,
        peer=None if hides else via.peer,
        hostname=services.hostname,
        protocol=via.protocol,
        tls=via.tls,
        mail_id=transaction.mail_id,
        at_ms=now_ms,
    )
