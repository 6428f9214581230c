"""Who gets a copy, and where it goes: routed recipients become what the store writes. No I/O.

Laws:
- One account gets one copy, however many of its addresses were named (RFC 5321 section 3.9 leaves
  it to us); it is delivered to the first of them, and the others have a row that says so. Such a
  row waits where the copy waits, or where its own address asked to be told of delivery.
- A copy of ours lies in its mailbox at once, unless it must wait: for a future release, or because
  the sender wants to be told of its delivery, and the queue is who tells (RFC 3461 section 5.2.3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from zajil.core.address import Address
from zajil.core.directory import AccountEntry
from zajil.core.envelope import PLAIN_RECIPIENT, Notify, RecipientOptions
from zajil.core.ids import AccountId
from zajil.message.final_fields import write_final_fields
from zajil.route.filing import choose_mailbox
from zajil.route.recipient import Local, Remote
from zajil.store.mail.intake import LocalCopy, RemoteCopy, WaitReason
from zajil.tracking.events import AliasExpanded, MailboxFiled, RecipientQueued, TrackingEvent

ONE_COPY = "Another address of the same account was named: there is one copy for both."
"""Why nothing more is put into a mailbox, for a person."""


class RoutedRecipient(Protocol):
    """What a plan needs to know of a recipient: ``accept.transaction.Recipient`` has it."""

    @property
    def address(self) -> Address:
        """As the sender named it."""

    @property
    def route(self) -> Local | Remote:
        """Where it leads."""

    @property
    def options(self) -> RecipientOptions:
        """What the sender asked for."""


@dataclass(frozen=True, slots=True)
class Addressed:
    """A routed recipient of a mail that we make ourselves."""

    address: Address
    route: Local | Remote
    options: RecipientOptions = PLAIN_RECIPIENT


@dataclass(slots=True)
class Copies:
    """The copies of one mail, and the events that tell of them."""

    local: list[LocalCopy] = field(default_factory=list)
    remote: list[RemoteCopy] = field(default_factory=list)
    events: list[TrackingEvent] = field(default_factory=list)
    accounts: set[AccountId] = field(default_factory=set)
    waiting: set[AccountId] = field(default_factory=set)
    """Those whose copy is not in its mailbox yet."""
    remote_keys: dict[str, int] = field(default_factory=dict)
    """Place in ``remote`` of each address."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is the same for all copies of one mail."""

    reverse_path: Address | None
    """For Return-Path; ``None``: the null path, which nobody reports to."""
    now_ms: int
    """When the mail is accepted."""
    lifetime_ms: int
    """How long delivery is tried (``queue.lifetime``), from its release on."""
    junk: str | None = None
    """Why it goes to Junk; ``None``: it does not."""
    release_ms: int | None = None
    """When it may be delivered (RFC 4865); ``None``: at once."""
    junk_by_account: Mapping[AccountId, str | None] = field(default_factory=dict)
    """Why it goes to the Junk of accounts that judge it otherwise."""

    def why_junk(self, account_id: AccountId) -> str | None:
        """Why the copy of an account goes to its Junk; ``None``: it does not."""
        return self.junk_by_account.get(account_id, self.junk)


def plan_copies(recipients: Iterable[RoutedRecipient], plan: Plan) -> Copies:
    """Give every recipient its copy, or copies, where it is an alias."""
    copies = Copies()
    for recipient in recipients:
        route, options = recipient.route, recipient.options
        if not isinstance(route, Local):
            _add_remote(copies, plan, recipient.address, options)
            continue
        if route.via:
            targets = (*(str(entry.address) for entry in route.entries), *map(str, route.remote))
            copies.events.append(AliasExpanded(plan.now_ms, str(recipient.address), targets))
        is_new = False
        for entry in route.entries:
            if entry.account_id not in copies.accounts:
                copies.accounts.add(entry.account_id)
                _add_local(copies, plan, recipient.address, entry, options)
                options, is_new = _without_success(options), True
        if plan.junk is not None:
            # Attack: a forged sender would get a report of each letter that the next server, too,
            # takes for junk. Nor shall that server write one.
            options = replace(options, notify=Notify.NEVER)
        for address in route.remote:
            if _add_remote(copies, plan, address, options, recipient.address):
                options = _without_success(options)
        if route.entries and not is_new:
            _repeat(copies, plan, recipient.address, route.entries[0], options)
    return copies


def _without_success(options: RecipientOptions) -> RecipientOptions:
    """Ask for the other copies of an alias: the sender named one recipient, and hears once."""
    if options.notify is None or Notify.SUCCESS not in options.notify:
        return options
    return replace(options, notify=options.notify & ~Notify.SUCCESS)


def _add_local(
    copies: Copies,
    plan: Plan,
    recipient: Address,
    entry: AccountEntry,
    options: RecipientOptions,
) -> None:
    why_junk = plan.why_junk(entry.account_id)
    is_junk = why_junk is not None
    filing = choose_mailbox(entry, is_junk=is_junk, why_junk=why_junk or "")
    wait = None
    if plan.release_ms is not None or options is not PLAIN_RECIPIENT:
        wait = _must_wait(plan, options, is_junk=is_junk)
    copies.local.append(
        LocalCopy(
            recipient,
            entry.account_id,
            filing.mailbox_id,
            filing.mailbox_name,
            prefix=write_final_fields(plan.reverse_path, recipient),
            options=options,
            wait=wait,
        )
    )
    now_ms, who = plan.now_ms, str(recipient)
    if wait is not None:
        copies.waiting.add(entry.account_id)
        copies.events.append(RecipientQueued(now_ms, who, "", wait.due_ms))
        return
    copies.events.append(
        MailboxFiled(now_ms, who, str(entry.address), filing.mailbox_name, filing.reason)
    )


def _repeat(
    copies: Copies,
    plan: Plan,
    recipient: Address,
    entry: AccountEntry,
    options: RecipientOptions,
) -> None:
    """Give a second address of an account its row: the copy is that of the first."""
    is_junk = plan.why_junk(entry.account_id) is not None
    filing = choose_mailbox(entry, is_junk=is_junk)
    wait = _must_wait(plan, options, is_junk=is_junk)
    if wait is None and entry.account_id in copies.waiting:
        wait = WaitReason(plan.now_ms, plan.now_ms + plan.lifetime_ms)
    place = (recipient, entry.account_id, filing.mailbox_id, filing.mailbox_name)
    copies.local.append(LocalCopy(*place, options=options, wait=wait, is_repeated=True))
    now_ms, who = plan.now_ms, str(recipient)
    if wait is not None:
        copies.events.append(RecipientQueued(now_ms, who, "", wait.due_ms))
        return
    copies.events.append(
        MailboxFiled(now_ms, who, str(entry.address), filing.mailbox_name, ONE_COPY)
    )


def _must_wait(plan: Plan, options: RecipientOptions, *, is_junk: bool) -> WaitReason | None:
    # Attack: what looks like junk may have a forged sender, who would get reports of its delivery.
    told = not is_junk and options.notify is not None and Notify.SUCCESS in options.notify
    if plan.release_ms is None and (not told or plan.reverse_path is None):
        return None
    due_ms = plan.now_ms if plan.release_ms is None else plan.release_ms
    return WaitReason(due_ms, due_ms + plan.lifetime_ms)


def _add_remote(
    copies: Copies,
    plan: Plan,
    address: Address,
    options: RecipientOptions,
    addressed_as: Address | None = None,
) -> bool:
    """Say whether it is one more copy."""
    place = copies.remote_keys.setdefault(address.key, len(copies.remote))
    if place < len(copies.remote):
        copies.remote[place] = _merge(copies.remote[place], options, addressed_as)
        return False
    due_ms = plan.now_ms if plan.release_ms is None else plan.release_ms
    copies.remote.append(
        RemoteCopy(
            address,
            address.domain,
            due_ms,
            due_ms + plan.lifetime_ms,
            options=options,
            addressed_as=addressed_as,
        )
    )
    copies.events.append(RecipientQueued(plan.now_ms, str(address), address.domain, due_ms))
    return True


def _merge(copy: RemoteCopy, options: RecipientOptions, addressed_as: Address | None) -> RemoteCopy:
    """Let one copy stand for what was named twice: the sender hears what either asked for."""
    if addressed_as is None:  # the sender knows the target itself, so it is no secret
        copy = replace(copy, addressed_as=None)
    if copy.options.notify == options.notify:
        return copy
    asked = [
        Notify.FAILURE if one is None else one for one in (copy.options.notify, options.notify)
    ]
    return replace(copy, options=replace(copy.options, notify=asked[0] | asked[1]))
