"""End of data on port 25: check, file, write trace fields, hand over (RFC 5321 section 6.1).

Law: a 250 leaves here only as the result of ``take_in``, after the commit.
"""

from __future__ import annotations

import asyncio
from asyncio import Future
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from zajil.accept import replies
from zajil.accept.commit import Incoming, Origin, refuse, take_in
from zajil.accept.forward_seal import seal_forwarded
from zajil.accept.recipients import limit_reports, reject_for
from zajil.accept.trace_fields import protocol_keyword, received_field
from zajil.accept.transaction import Transaction
from zajil.check.facts import MessageFacts
from zajil.check.sender.peer import PeerFindings
from zajil.check.step import Checked, Faults
from zajil.check.verdict.verdict import Action
from zajil.core.address import Address
from zajil.core.ids import AccountId
from zajil.message.encoded_word import decode_words
from zajil.message.fields import Field, begins_folded, cut_ranges, find_value, read_fields
from zajil.message.smtputf8 import has_utf8_address, has_utf8_header
from zajil.net.peer import Peer
from zajil.route.recipient import Remote
from zajil.smtp.command import BodyEnd
from zajil.smtp.reply import Reply
from zajil.smtp.server import ServerConnection
from zajil.tracking.events import MessageReceived

_DEFECTS = {
    "bare-lf": replies.BARE_LINE_END,
    "bare-cr": replies.BARE_LINE_END,
    "nul": replies.NUL_BYTE,
    "size": replies.TOO_LARGE,
}


class Connection(Origin, Protocol):
    """What acceptance needs to know of the session: ``ReceiveSession`` has it."""

    peer: Peer
    conn: ServerConnection
    extended: bool
    claimed_name: str
    tls: str | None
    looked: Future[PeerFindings] | None


async def accept_mail(session: Connection, transaction: Transaction, end: BodyEnd) -> Reply:
    """Decide about a whole mail; 250 means it is on disk."""
    refusal = body_refusal(transaction, end)
    if refusal is not None:
        return refuse(session, transaction, refusal)
    return await take_in(session, transaction, _decide(session, transaction))


def body_refusal(transaction: Transaction, end: BodyEnd) -> Reply | None:
    """Say what is wrong with the bytes themselves; a failed disk is found later, by ``split``."""
    if end.defect is not None:
        return _DEFECTS.get(end.defect, replies.MALFORMED)
    return replies.TOO_LARGE if transaction.spool.too_large else None


async def _decide(session: Connection, transaction: Transaction) -> Incoming | Reply:
    now_ms = session.services.clock.now_ms()
    facts = await _facts(session, transaction, now_ms)
    if begins_folded(facts.header):
        return replies.FOLDED_START
    faults = Faults(now_ms)
    checked = await session.services.checks.check_message(facts, session.looked)
    note_result = session.services.note_result
    if note_result is not None:
        faults.run("report", lambda: note_result(checked.sender, facts, checked.action), None)
    received = received_event(facts)
    transaction.events += (received, *checked.events)
    refusal = verdict_refusal(checked)
    if refusal is not None:
        return refusal
    if session.conn.offer.lmtp:
        reject_for(transaction, rejecting_accounts(checked, facts), now_ms)
    if begins_folded(facts.header, checked.forged):
        return replies.FOLDED_START
    if facts.peer is not None:
        spf = checked.sender.spf
        is_proven = spf is not None and spf.result == "pass"
        limit_reports(transaction, is_proven=is_proven, at_ms=now_ms)
    header = cut_ranges(facts.header, checked.forged)
    services, results = session.services, checked.results
    sealing = seal_forwarded(services, transaction, results, header, facts.body)
    seal = await faults.wait("seal", sealing, b"")
    transaction.events += faults.events
    return Incoming(
        now_ms,
        None,
        received.header_from,
        received.message_id,
        await needs_smtputf8(facts),
        (_trace(session, transaction, now_ms), results, seal, header, facts.body),
        checked.verdict,
        checked.by_account,
        then=partial(services.checks.remember, checked, facts),
    )


async def _facts(session: Connection, transaction: Transaction, now_ms: int) -> MessageFacts:
    header, body = await transaction.spool.split()
    accounts, leaves = whose_copies(transaction)
    fields = read_fields(header)
    return MessageFacts(
        now_ms=now_ms,
        peer=session.peer if session.services.looks_at_peers else None,
        claimed_name=session.claimed_name,
        reverse_path=transaction.reverse_path,
        recipients=tuple([recipient.address for recipient in transaction.recipients]),
        accounts=accounts,
        leaves=leaves,
        header=header,
        fields=fields,
        size=transaction.spool.size,
        smtputf8=transaction.smtputf8,
        login=None,
        authserv_id=session.services.hostname,
        limits=session.services.limits,
        digests=transaction.spool.digests(fields, body),
        body=body,
    )


def whose_copies(transaction: Transaction) -> tuple[dict[AccountId, Address], bool]:
    """Give the accounts that would get a copy, and whether another server would."""
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


def _trace(session: Connection, transaction: Transaction, now_ms: int) -> bytes:
    protocol = protocol_keyword(
        extended=session.extended,
        utf8=transaction.smtputf8,
        encrypted=session.conn.encrypted,
        authenticated=False,
        lmtp=session.conn.offer.lmtp,
    )
    return received_field(
        claimed_name=session.claimed_name,
        peer=session.peer,
        hostname=session.services.hostname,
        protocol=protocol,
        tls=session.tls,
        mail_id=transaction.mail_id,
        at_ms=now_ms,
    )


def received_event(facts: MessageFacts) -> MessageReceived:
    """Tell that the message is here, and the two fields that people search by."""
    return MessageReceived(
        facts.now_ms,
        facts.size,
        header_text(facts.fields, b"from"),
        header_text(facts.fields, b"message-id"),
    )


def header_text(fields: Sequence[Field], name: bytes) -> str:
    """Give a field as text for people, cut to what a row should hold; ``""`` when absent."""
    value = find_value(fields, name)
    if value is None:
        return ""
    text = decode_words(value)[:500]
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


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


def verdict_refusal(checked: Checked) -> Reply | None:
    """Give the reply to a mail that the checks do not let in; ``None``: it may come in."""
    match checked.action:
        case Action.REJECT:
            return _why_rejected(checked)
        case Action.DEFER:
            asks_dns = any(one.signal == "dmarc.not-asked" for one in checked.verdict.reasons)
            return replies.DNS_LATER if asks_dns else replies.LATER
    return None


def rejecting_accounts(checked: Checked, facts: MessageFacts) -> set[AccountId]:
    """Give the accounts that would not have the message, where others take it."""
    verdicts = checked.by_account
    return {
        account
        for account in facts.accounts
        if verdicts.get(account, checked.verdict).action is Action.REJECT
    }


def _why_rejected(checked: Checked) -> Reply:
    signals = {reason.signal for reason in checked.verdict.reasons}
    if "format.loop" in signals:
        return replies.LOOP
    if "format.header-size" in signals:
        return replies.TOO_LARGE
    return replies.NOT_WANTED
