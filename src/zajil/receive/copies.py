"""Who gets a copy, and where it goes: recipients and a verdict become what the store writes.

One account gets one copy, however many of its addresses were named (RFC 5321 section 3.9 leaves
it to us); the copy is delivered to the first of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from zajil.check.verdict import Action, Verdict
from zajil.core.address import Address
from zajil.core.directory import AccountEntry
from zajil.core.ids import AccountId
from zajil.message.final_fields import write_final_fields
from zajil.receive.transaction import Recipient
from zajil.route.filing import Filing, choose_mailbox
from zajil.route.recipient import Local
from zajil.store.intake import LocalCopy, RemoteCopy
from zajil.tracking.events import AliasExpanded, MailboxFiled, RecipientQueued, TrackingEvent


@dataclass(slots=True)
class Copies:
    """The copies of one mail, and the events that tell of them."""

    local: list[LocalCopy] = field(default_factory=list)
    remote: list[RemoteCopy] = field(default_factory=list)
    events: list[TrackingEvent] = field(default_factory=list)
    accounts: set[AccountId] = field(default_factory=set)
    remote_keys: set[str] = field(default_factory=set)


def plan_copies(
    reverse_path: Address | None,
    recipients: Iterable[Recipient],
    verdict: Verdict,
    now_ms: int,
    lifetime_ms: int,
) -> Copies:
    """Give every recipient its copy.

    Args:
        reverse_path: for Return-Path.
        recipients: accepted by RCPT.
        verdict: of the check step; it chooses between INBOX and Junk.
        now_ms: when the mail is accepted.
        lifetime_ms: how long delivery elsewhere is tried (``queue.lifetime``).
    """
    copies = Copies()
    is_junk = verdict.action is Action.JUNK
    why_junk = verdict.reasons[0].text if is_junk and verdict.reasons else ""
    for recipient in recipients:
        route = recipient.route
        if not isinstance(route, Local):
            _add_remote(copies, recipient.address, now_ms, lifetime_ms)
            continue
        if route.via:
            targets = (*(str(entry.address) for entry in route.entries), *map(str, route.remote))
            copies.events.append(AliasExpanded(now_ms, str(recipient.address), targets))
        for entry in route.entries:
            if entry.account_id not in copies.accounts:
                copies.accounts.add(entry.account_id)
                filing = choose_mailbox(entry, is_junk=is_junk, why_junk=why_junk)
                _add_local(copies, reverse_path, recipient.address, entry, filing, now_ms)
        for address in route.remote:
            _add_remote(copies, address, now_ms, lifetime_ms)
    return copies


def _add_local(
    copies: Copies,
    reverse_path: Address | None,
    recipient: Address,
    entry: AccountEntry,
    filing: Filing,
    now_ms: int,
) -> None:
    copies.local.append(
        LocalCopy(
            recipient,
            entry.account_id,
            filing.mailbox_id,
            filing.mailbox_name,
            prefix=write_final_fields(reverse_path, recipient),
        )
    )
    copies.events.append(
        MailboxFiled(now_ms, str(recipient), str(entry.address), filing.mailbox_name, filing.reason)
    )


def _add_remote(copies: Copies, address: Address, now_ms: int, lifetime_ms: int) -> None:
    if address.key in copies.remote_keys:
        return
    copies.remote_keys.add(address.key)
    copies.remote.append(
        RemoteCopy(address, address.domain, now_ms, now_ms + lifetime_ms, "waiting", "")
    )
    copies.events.append(RecipientQueued(now_ms, str(address), address.domain, now_ms))
