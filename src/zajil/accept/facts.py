"""The first step: a message that arrived becomes the facts that the checks and filing look at.

Mail from elsewhere is taken as it came. A submission is first completed in the name of its account
(``complete``): its author may only be one of the account's addresses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from zajil.accept.complete import complete_header, foreign_authors, mend
from zajil.accept.context import AcceptanceContext, SessionFacts
from zajil.accept.outcome import NotAccepted, RefusalReason
from zajil.accept.transaction import Transaction
from zajil.check.facts import MessageFacts
from zajil.core.address import Address
from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.keys.sign import hash_anew
from zajil.login.account import Account
from zajil.mailauth.dkim_body import BodyDigests
from zajil.message.field_text import header_text
from zajil.message.fields import Field, begins_folded, read_fields
from zajil.message.mend_fields import CannotMend
from zajil.message.smtputf8 import has_utf8_address, has_utf8_header
from zajil.message.source import Source, size_of
from zajil.route.recipient import Remote
from zajil.tracking.events import HeaderCompleted, MessageReceived


@value_class(frozen=True, slots=True)
class Arrived:
    """A message, ready to be checked."""

    facts: MessageFacts
    received: MessageReceived
    """The size, and the fields that people search by."""
    hash_body: Callable[[], BodyDigests] | None = None
    """Hashes a body that was written anew; ``None``: the spool hashed it while it came in."""


async def gather_facts(
    context: AcceptanceContext, session: SessionFacts, transaction: Transaction
) -> Arrived | NotAccepted:
    """Return the facts of a mail whose last byte is here.

    Raises:
        StoreUnavailable: the message could not be kept, or cannot be read again.
    """
    if transaction.spool.too_large:
        return NotAccepted(RefusalReason.TOO_LARGE)
    now_ms = context.clock.now_ms()
    header, body = await transaction.spool.split()
    message = _Message(header, read_fields(header), body, transaction.spool.size)
    if session.account is not None:
        completed = await _complete(message, session.account, transaction, now_ms)
        if isinstance(completed, NotAccepted):
            return completed
        message = completed
    elif begins_folded(header):
        return NotAccepted(RefusalReason.FOLDED_START)
    facts = _facts(context, session, transaction, message, now_ms)
    received = MessageReceived(
        now_ms,
        facts.size,
        header_text(facts.fields, b"from"),
        header_text(facts.fields, b"message-id"),
        header_text(facts.fields, b"subject"),
    )
    return Arrived(facts, received, message.hash_body)


@value_class(frozen=True, slots=True)
class _Message:
    header: bytes
    fields: list[Field]
    body: bytes | Source
    """With the empty line before it."""
    size: int
    hash_body: Callable[[], BodyDigests] | None = None


def _facts(
    context: AcceptanceContext,
    session: SessionFacts,
    transaction: Transaction,
    message: _Message,
    now_ms: int,
) -> MessageFacts:
    policy, digests = context.policy, None
    accounts: dict[AccountId, Address] = {}
    leaves = False
    if policy.is_incoming:
        accounts, leaves = whose_copies(transaction)
        digests = transaction.spool.digests(message.fields, message.body)
    account = session.account
    return MessageFacts(
        now_ms=now_ms,
        peer=session.peer if policy.checks_peer or not policy.is_incoming else None,
        claimed_name=session.claimed_name,
        reverse_path=transaction.reverse_path,
        recipients=tuple([recipient.address for recipient in transaction.recipients]),
        accounts=accounts,
        leaves=leaves,
        header=message.header,
        fields=message.fields,
        size=message.size,
        smtputf8=transaction.smtputf8,
        login=session.vouched_for if account is None else account.login,
        authserv_id=context.hostname,
        limits=context.limits,
        digests=digests,
        body=message.body,
    )


def whose_copies(transaction: Transaction) -> tuple[dict[AccountId, Address], bool]:
    """Return the accounts that would get a copy, and whether another server would."""
    accounts: dict[AccountId, Address] = {}
    leaves = False
    for recipient in transaction.recipients:
        route = recipient.route
        if isinstance(route, Remote):
            leaves = True
            continue
        leaves = leaves or bool(route.remote)
        for entry in route.entries:
            accounts.setdefault(entry.account_id, recipient.address)
    return accounts, leaves


async def needs_smtputf8(facts: MessageFacts) -> bool:
    """Whether no copy can travel without SMTPUTF8 (RFC 6531 section 3.2).

    A mail that came without it goes on without it, raw header fields and all: it is as good or as
    bad as it was. Only an address in UTF-8 cannot do without. Recipients do not count: whether one
    of them needs it concerns that one alone.
    """
    sender, body = facts.reverse_path, facts.body
    if sender is not None and not sender.is_ascii:
        return True
    if not facts.smtputf8:
        return not facts.header.isascii() and has_utf8_address(facts.fields)
    if isinstance(body, bytes):
        return has_utf8_header(facts.header, facts.fields, body)
    return await asyncio.to_thread(has_utf8_header, facts.header, facts.fields, body)


async def _complete(
    message: _Message, account: Account, transaction: Transaction, now_ms: int
) -> _Message | NotAccepted:
    """Check whose it is, add what is missing, write anew what cannot travel."""
    header, fields, body, size = message.header, message.fields, message.body, message.size
    if foreign_authors(fields, account.may_send_as):
        return NotAccepted(RefusalReason.NOT_YOUR_FROM)
    completed = complete_header(
        header,
        fields,
        author=account.address,
        now_ms=now_ms,
        message_id=f"<{transaction.mail_id}@{account.address.domain}>",
    )
    if begins_folded(header, completed.cut):
        return NotAccepted(RefusalReason.FOLDED_START)
    changes, hash_body = completed.changes, None
    if changes:
        header, fields = completed.header, read_fields(completed.header)
    try:
        mended = await mend(header, fields, body, utf8=transaction.smtputf8)
    except CannotMend as error:
        return NotAccepted(RefusalReason.CANNOT_TRAVEL, error.text, error.status)
    if mended is not None:
        header, fields = mended.header, read_fields(mended.header)
        # Security: what was read once may read otherwise now that it is written otherwise.
        if foreign_authors(fields, account.may_send_as):
            return NotAccepted(RefusalReason.NOT_YOUR_FROM)
        changes += mended.changes
        size += len(mended.body) - size_of(body)
        body, hash_body = mended.body, partial(hash_anew, mended.body)
    if changes:
        transaction.events.append(HeaderCompleted(now_ms, ", ".join(changes)))
    return _Message(header, fields, body, size, hash_body)
