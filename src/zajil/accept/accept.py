"""Take responsibility for a mail: the one way in for port 25, LMTP, submission and the web.

``accept`` is the story: facts, verdict, filing, plan, stage, commit, after. Each step answers with
what the next one needs, or with the reason why the mail is not accepted.

Laws:
- ``Accepted`` is returned only after the commit that holds the mail; 250 may then be sent.
- Whatever goes wrong in between is temporary: the peer still owns the mail.
- Nothing here knows SMTP: callers turn the outcome into replies or pages, and record refusals
  with what they answered (``refusals``).
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Mapping
from functools import partial

from zajil.accept.context import AcceptanceContext, SessionFacts
from zajil.accept.facts import Arrived, gather_facts, needs_smtputf8
from zajil.accept.filing import Filings, ask_filing_rule
from zajil.accept.forward_seal import seal_forwarded
from zajil.accept.outbound import commit_outgoing, looks_like_abuse
from zajil.accept.outcome import Accepted, NotAccepted, RefusalReason
from zajil.accept.plan import Copies, Plan, plan_copies
from zajil.accept.recipients import full_accounts, limit_reports, take_from_rejecting
from zajil.accept.trace_fields import received_field
from zajil.accept.transaction import Transaction
from zajil.check.facts import MessageFacts
from zajil.check.step import Checked, Faults
from zajil.check.verdict.verdict import Action, Verdict, is_phishing
from zajil.core.directory import AccountEntry
from zajil.core.ids import AccountId
from zajil.core.mail_options import PLAIN_MAIL, MailOptions
from zajil.keys.sign import UNSIGNED
from zajil.message.fields import begins_folded, cut_ranges, read_fields
from zajil.route.recipient import Local
from zajil.store.engine.errors import ReserveReached, StoreFull, StoreUnavailable
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.blobs import StagedBlob
from zajil.store.mail.intake import Intake, write_intakes
from zajil.tracking.events import FaultHappened, MailAccepted


async def accept(
    context: AcceptanceContext, session: SessionFacts, transaction: Transaction
) -> Accepted | NotAccepted:
    """Accept a mail whose message is complete, or say why not.

    Waits for the checks and the disk. Cancelled, the mail may be ours although nobody was told: a
    possible duplicate, never a loss.
    """
    try:
        return await _accept(context, session, transaction)
    except Exception as error:
        return record_fault(context, transaction, error)


async def _accept(
    context: AcceptanceContext, session: SessionFacts, transaction: Transaction
) -> Accepted | NotAccepted:
    arrived = await gather_facts(context, session, transaction)
    if isinstance(arrived, NotAccepted):
        return arrived
    checked = await _reach_verdict(context, session, transaction, arrived)
    if isinstance(checked, NotAccepted):
        return checked
    filings = await _file(context, transaction, arrived.facts, checked)
    if isinstance(filings, NotAccepted):
        return filings
    copies = _plan(context, transaction, arrived.facts, checked, filings)
    content = await _stage(context, session, transaction, arrived, checked)
    intake = await _make_intake(session, transaction, arrived, copies, content)
    refusal = await _commit(context, session, transaction, intake)
    if refusal is not None:
        return refusal
    _after(context, arrived.facts, checked)
    return Accepted(transaction.mail_id, transaction.rejected)


# ---- verdict --------------------------------------------------------------------------------


async def _reach_verdict(
    context: AcceptanceContext, session: SessionFacts, transaction: Transaction, arrived: Arrived
) -> Checked | NotAccepted:
    """Run the checks; return what they found, or why the mail is not let in."""
    facts = arrived.facts
    checked = await context.checks.check_message(facts, session.looked)
    if context.note_result is not None and context.policy.is_incoming:
        faults = Faults(facts.now_ms)
        note = partial(context.note_result, checked.sender, facts, checked.action)
        faults.run("report", note, None)
        transaction.events += faults.events
    transaction.events += (arrived.received, *checked.events)
    if session.account is not None and looks_like_abuse(checked, context.checks.thresholds):
        return NotAccepted(RefusalReason.LOOKS_LIKE_ABUSE)
    refused = why_refused(checked)
    if refused is not None:
        return NotAccepted(refused)
    if begins_folded(facts.header, checked.forged):
        return NotAccepted(RefusalReason.FOLDED_START)
    if context.policy.answers_each_recipient:
        take_from_rejecting(transaction, _rejecting_accounts(checked, facts), facts.now_ms)
    if context.policy.checks_peer:
        spf = checked.sender.spf
        is_proven = spf is not None and spf.result == "pass"
        limit_reports(transaction, is_proven=is_proven, at_ms=facts.now_ms)
    return checked


def why_refused(checked: Checked) -> RefusalReason | None:
    """Return why the checks do not let a mail in; ``None``: they do."""
    if checked.action not in (Action.REJECT, Action.DEFER):
        return None
    signals = {reason.signal for reason in checked.verdict.reasons}
    if checked.action is Action.DEFER:
        return (
            RefusalReason.DNS_LATER if "dmarc.not-asked" in signals else RefusalReason.CHECK_LATER
        )
    if "format.loop" in signals:
        return RefusalReason.LOOP
    return RefusalReason.TOO_LARGE if "format.header-size" in signals else RefusalReason.UNWANTED


def _rejecting_accounts(checked: Checked, facts: MessageFacts) -> dict[AccountId, NotAccepted]:
    """Return the accounts that reject the message, where others take it."""
    rejection = NotAccepted(RefusalReason.UNWANTED, "message refused by policy")
    return {
        account: rejection
        for account in facts.accounts
        if checked.by_account.get(account, checked.verdict).action is Action.REJECT
    }


# ---- filing and plan ------------------------------------------------------------------------


async def _file(
    context: AcceptanceContext, transaction: Transaction, facts: MessageFacts, checked: Checked
) -> Filings | NotAccepted:
    """Ask the filing rule for every account.

    A mail that all recipients reject, or have no room for, is not accepted. Where SMTP has one
    answer for all, those that are full get it beside the others, and pass their limit by one mail.
    """
    accounts = [
        (recipient.address, entry)
        for recipient in transaction.recipients
        if isinstance(recipient.route, Local)
        for entry in recipient.route.entries
    ]
    is_outgoing = not context.policy.is_incoming

    def why_junk(account: AccountId) -> str | None:
        # What our own users write to each other is not judged as junk.
        if is_outgoing:
            return None
        return _why_junk(checked.by_account.get(account, checked.verdict))

    filings = await ask_filing_rule(
        context.filing, context.store.directory, facts, accounts, why_junk
    )
    rejections = {
        account: NotAccepted(RefusalReason.REJECTED_BY_RECIPIENT, text)
        for account, text in filings.rejections.items()
    } | full_accounts(transaction, facts.size)
    if rejections:
        if _all_reject(transaction, rejections):
            return next(iter(rejections.values()))
        if context.policy.answers_each_recipient:
            take_from_rejecting(transaction, rejections, facts.now_ms)
    return filings


def _all_reject(transaction: Transaction, rejections: Mapping[AccountId, NotAccepted]) -> bool:
    routes = [recipient.route for recipient in transaction.recipients]
    entries: list[AccountEntry] = []
    for route in routes:
        if not isinstance(route, Local) or route.remote:
            return False
        entries += route.entries
    return all([entry.account_id in rejections for entry in entries])


def _plan(
    context: AcceptanceContext,
    transaction: Transaction,
    facts: MessageFacts,
    checked: Checked,
    filings: Filings,
) -> Copies:
    is_incoming = context.policy.is_incoming
    by_account = checked.by_account if is_incoming else {}
    plan = Plan(
        reverse_path=transaction.reverse_path,
        now_ms=facts.now_ms,
        lifetime_ms=context.lifetime_ms,
        why_junk=_why_junk(checked.verdict) if is_incoming else None,
        junk_by_account={one: _why_junk(verdict) for one, verdict in by_account.items()},
        is_phishing=is_incoming and is_phishing(checked.verdict),
        release_ms=release_time(transaction.options, facts.now_ms),
        filings=filings.by_account,
        redirects=filings.redirects,
    )
    return plan_copies(transaction.recipients, plan)


def _why_junk(verdict: Verdict) -> str | None:
    # Refused by one account and taken by another: it is here, so it goes to the Junk of the first.
    if verdict.action is Action.ACCEPT:
        return None
    return verdict.reasons[0].text if verdict.reasons else ""


def release_time(options: MailOptions, now_ms: int) -> int | None:
    """Return when a mail may be delivered (RFC 4865 section 5); ``None``: now."""
    if options is PLAIN_MAIL:
        return None
    release_ms = options.hold_until_ms or 0
    if options.hold_for_s is not None:
        release_ms = now_ms + options.hold_for_s * 1000
    return release_ms if release_ms > now_ms else None


# ---- stage and commit -----------------------------------------------------------------------


async def _stage(
    context: AcceptanceContext,
    session: SessionFacts,
    transaction: Transaction,
    arrived: Arrived,
    checked: Checked,
) -> StagedBlob:
    """Write our fields on top of the message, and bring its bytes to the store."""
    facts = arrived.facts
    header = cut_ranges(facts.header, checked.forged)
    own_fields = await _sign_or_seal(context, transaction, arrived, checked, header)
    hides = context.policy.hides_client
    trace = received_field(
        claimed_name="" if hides else session.claimed_name,
        peer=None if hides else session.peer,
        hostname=context.hostname,
        protocol=session.protocol,
        tls=session.tls,
        mail_id=transaction.mail_id,
        at_ms=facts.now_ms,
    )
    parts = (trace, checked.results, own_fields, header, facts.body)
    return await context.store.blobs.stage_any(parts)


async def _sign_or_seal(
    context: AcceptanceContext,
    transaction: Transaction,
    arrived: Arrived,
    checked: Checked,
    header: bytes,
) -> bytes:
    """Return the signatures of our own user's mail, or the ARC set of a forwarded one."""
    facts = arrived.facts
    if context.policy.is_incoming:
        faults = Faults(facts.now_ms)
        sealing = seal_forwarded(context, transaction, checked.results, header, facts.body)
        seal = await faults.wait("seal", sealing, b"")
        transaction.events += faults.events
        return seal
    signed = UNSIGNED
    if context.signer is not None and context.policy.signs:
        fields = read_fields(header) if checked.forged else facts.fields
        hash_body = arrived.hash_body or partial(transaction.spool.digests, fields, facts.body)
        # What stays here is signed too: a reader cannot tell the two apart.
        signed = await context.signer.sign(header, fields, hash_body)
        transaction.events += signed.events
    return signed.fields


async def _make_intake(
    session: SessionFacts,
    transaction: Transaction,
    arrived: Arrived,
    copies: Copies,
    content: StagedBlob,
) -> Intake:
    account, now_ms = session.account, arrived.facts.now_ms
    accepted = MailAccepted(now_ms, len(copies.local) + len(copies.remote))
    return Intake(
        mail_id=transaction.mail_id,
        parent_mail_id=None,
        session_id=session.session_id,
        received_at_ms=now_ms,
        account_id=None if account is None else account.account_id,
        reverse_path=transaction.reverse_path,
        header_from=arrived.received.header_from,
        message_id=arrived.received.message_id,
        subject=arrived.received.subject,
        content=content,
        size=content.size,
        needs_smtputf8=await needs_smtputf8(arrived.facts),
        local=tuple(copies.local),
        remote=tuple(copies.remote),
        refused=tuple(transaction.refused),
        events=(*session.events, *transaction.events, *copies.events, accepted),
        options=transaction.options,
        own_copy=transaction.own_copy,
    )


async def _commit(
    context: AcceptanceContext, session: SessionFacts, transaction: Transaction, intake: Intake
) -> NotAccepted | None:
    """Commit; return why nothing was kept although the store could."""
    store, refusal = context.store, None
    try:
        if session.account is None:
            await store.write(write_intakes, intake)
        else:
            account_id = session.account.account_id
            refusal = await commit_outgoing(context, account_id, transaction, intake)
    except (NoSuchMailbox, ReserveReached):
        # Attack: large mails that are refused for lack of space must not take what is left.
        store.blobs.discard(intake.content)
        raise
    if refusal is not None:
        store.blobs.discard(intake.content)
    return refusal


def _after(context: AcceptanceContext, facts: MessageFacts, checked: Checked) -> None:
    """Remember who gets mail from whom; nobody waits for it, and a fault of it is only logged."""
    if context.policy.is_incoming:
        asyncio.get_running_loop().call_soon(context.checks.remember, checked, facts)


def record_fault(
    context: AcceptanceContext, transaction: Transaction, error: Exception
) -> NotAccepted:
    """Put an error into the journey of a mail, and return that it is temporary.

    Unknown means temporary: a bug of ours must not cost the peer its mail.
    """
    is_known = isinstance(error, StoreUnavailable | NoSuchMailbox)
    trace = "".join(traceback.format_exception(error))
    what = str(error) if is_known else repr(error)
    transaction.events.append(FaultHappened(context.clock.now_ms(), what, trace))
    return NotAccepted(
        RefusalReason.NO_SPACE if isinstance(error, StoreFull) else RefusalReason.UNAVAILABLE
    )
