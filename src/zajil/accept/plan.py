"""The copies of a mail: routed recipients become the rows that the store writes. No I/O.

Laws:
- One account gets one copy, however many of its addresses were named (RFC 5321 section 3.9 leaves
  it to us); it is delivered to the first of them, and the others have a row that says so. Such a
  row waits where the copy waits, or where its own address asked to be told of delivery.
- A copy of ours is in its mailboxes at once, unless it must wait: for a future release, or because
  the sender wants to be told of its delivery, and the queue tells (RFC 3461 section 5.2.3).
- A redirect is queued as a forwarding is: the sender is told of the address that it named.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from zajil.accept.filing import Filing, choose_mailbox
from zajil.core.address import Address
from zajil.core.directory import AccountEntry
from zajil.core.ids import AccountId
from zajil.core.mail_options import PLAIN_RECIPIENT, Notify, RecipientOptions
from zajil.core.value_class import value_class
from zajil.message.final_fields import write_final_fields
from zajil.route.recipient import Local, Remote
from zajil.store.mail.intake import LocalCopy, RemoteCopy, WaitReason
from zajil.tracking.events import AliasExpanded, MailboxFiled, RecipientQueued, TrackingEvent

ONE_COPY = "Another recipient address of the same account received the message."
"""Why nothing more is put into a mailbox, for a person."""
PHISHING = "$Phishing"
"""Keyword of a message that the checks call phishing (RFC 9051 section 2.3.2)."""


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


@value_class(frozen=True, slots=True)
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


@value_class(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is the same for all copies of one mail."""

    reverse_path: Address | None
    """For Return-Path; ``None``: the null path, which nothing is reported to."""
    now_ms: int
    """When the mail is accepted."""
    lifetime_ms: int
    """How long delivery is tried (``queue.lifetime``), from its release on."""
    why_junk: str | None = None
    """Why it is junk for whoever has no verdict of his own; ``None``: it is not."""
    junk_by_account: Mapping[AccountId, str | None] = field(default_factory=dict)
    """The same for accounts that judge it otherwise."""
    is_phishing: bool = False
    """Where it is filed as junk, the reader is warned: ``$Phishing`` (RFC 9051 section 2.3.2)."""
    release_ms: int | None = None
    """When it may be delivered (RFC 4865); ``None``: at once."""
    filings: Mapping[AccountId, Filing] = field(default_factory=dict)
    """What the accounts' rules decided; without one, INBOX or Junk."""
    redirects: Mapping[AccountId, Sequence[Local | Remote]] = field(default_factory=dict)
    """Where the redirects of these filings lead."""

    def junk_reason(self, account_id: AccountId) -> str | None:
        """Why the mail is junk for an account; ``None``: it is not."""
        return self.junk_by_account.get(account_id, self.why_junk)

    def filing_of(self, entry: AccountEntry) -> Filing:
        """Return the filing of an account."""
        filing, why_junk = self.filings.get(entry.account_id), self.junk_reason(entry.account_id)
        # Attack: a rejection of junk that was accepted would be a report to its forged sender.
        if filing is None or (filing.rejection is not None and why_junk is not None):
            filing = choose_mailbox(entry, why_junk=why_junk)
        if not self.is_phishing:
            return filing
        places = [
            replace(place, flags=place.flags | {PHISHING})
            if place.mailbox_id == entry.junk
            else place
            for place in filing.places
        ]
        return replace(filing, places=tuple(places))


def plan_copies(recipients: Iterable[RoutedRecipient], plan: Plan) -> Copies:
    """Plan the copy, or the copies, of every recipient."""
    copies = Copies()
    for recipient in recipients:
        route, options = recipient.route, recipient.options
        if not isinstance(route, Local):
            _add_remote(copies, plan, recipient.address, options)
            continue
        if route.via:
            targets = (*(str(entry.address) for entry in route.entries), *map(str, route.remote))
            copies.events.append(AliasExpanded(plan.now_ms, str(recipient.address), targets))
        before = len(copies.accounts)
        options = _add_route(copies, plan, recipient.address, route, options)
        if route.entries and len(copies.accounts) == before:
            if plan.why_junk is not None:
                options = replace(options, notify=Notify.NEVER)
            _repeat(copies, plan, recipient.address, route.entries[0], options)
    return copies


def _add_route(
    copies: Copies, plan: Plan, recipient: Address, route: Local, options: RecipientOptions
) -> RecipientOptions:
    """Add the copies that a recipient leads to; return what the next one may ask for."""
    for entry in route.entries:
        if entry.account_id not in copies.accounts:
            copies.accounts.add(entry.account_id)
            options = _add_account(copies, plan, recipient, entry, options)
    if route.remote:
        remote = options
        if plan.why_junk is not None:
            # Attack: a forged sender would get a report of each mail that the next server, too,
            # takes for junk. Nor shall that server write one.
            remote = replace(options, notify=Notify.NEVER)
        for address in route.remote:
            if _add_remote(copies, plan, address, remote, recipient):
                remote, options = _without_success(remote), _without_success(options)
    return options


def _without_success(options: RecipientOptions) -> RecipientOptions:
    """Ask for the other copies of an alias: the sender named one recipient, and hears once."""
    if options.notify is None or Notify.SUCCESS not in options.notify:
        return options
    return replace(options, notify=options.notify & ~Notify.SUCCESS)


def _add_account(
    copies: Copies,
    plan: Plan,
    recipient: Address,
    entry: AccountEntry,
    options: RecipientOptions,
) -> RecipientOptions:
    """Add the copy of one account, then those of its redirects."""
    filing = plan.filing_of(entry)
    redirects = plan.redirects.get(entry.account_id, ())
    if filing.places or filing.rejection is not None or not redirects:
        _add_local(copies, plan, recipient, entry, filing, options)
        options = _without_success(options)
    if redirects:
        targets = tuple([str(one) for one in filing.redirects])
        copies.events.append(AliasExpanded(plan.now_ms, str(entry.address), targets))
    for route in redirects:
        if isinstance(route, Remote):
            route = Local((), (route.address,))
        options = _add_route(copies, plan, recipient, route, options)
    return options


def _add_local(
    copies: Copies,
    plan: Plan,
    recipient: Address,
    entry: AccountEntry,
    filing: Filing,
    options: RecipientOptions,
) -> None:
    wait = None
    if filing.rejection is not None:
        # The queue bounces it; its row names no mailbox.
        wait = WaitReason(plan.now_ms, plan.now_ms + plan.lifetime_ms, reason=filing.rejection)
    elif filing.places and (plan.release_ms is not None or options is not PLAIN_RECIPIENT):
        is_junk = plan.junk_reason(entry.account_id) is not None
        wait = _must_wait(plan, options, is_junk=is_junk)
    copies.local.append(
        LocalCopy(
            recipient=recipient,
            account_id=entry.account_id,
            places=filing.places,
            prefix=write_final_fields(plan.reverse_path, recipient),
            options=options,
            wait=wait,
            reason="" if filing.places else filing.reason,
        )
    )
    now_ms, who, account = plan.now_ms, str(recipient), str(entry.address)
    if wait is not None:
        copies.waiting.add(entry.account_id)
        copies.events.append(RecipientQueued(now_ms, who, "", wait.due_ms))
        return
    for place in filing.places:
        filed = MailboxFiled(now_ms, who, account, place.mailbox_name, filing.reason)
        copies.events.append(filed)


def _repeat(
    copies: Copies,
    plan: Plan,
    recipient: Address,
    entry: AccountEntry,
    options: RecipientOptions,
) -> None:
    """Add a row for one more address of an account that has its copy."""
    filing = plan.filing_of(entry)
    wait = _must_wait(plan, options, is_junk=plan.junk_reason(entry.account_id) is not None)
    if wait is None and entry.account_id in copies.waiting:
        wait = WaitReason(plan.now_ms, plan.now_ms + plan.lifetime_ms)
    copies.local.append(
        LocalCopy(
            recipient=recipient,
            account_id=entry.account_id,
            places=filing.places,
            options=options,
            wait=wait,
            reason="" if filing.places else filing.reason,
            is_repeated=True,
        )
    )
    now_ms, who = plan.now_ms, str(recipient)
    if wait is not None:
        copies.events.append(RecipientQueued(now_ms, who, "", wait.due_ms))
        return
    for place in filing.places[:1]:
        filed = MailboxFiled(now_ms, who, str(entry.address), place.mailbox_name, ONE_COPY)
        copies.events.append(filed)


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
    """Return whether it is one more copy."""
    place = copies.remote_keys.setdefault(address.key, len(copies.remote))
    if place < len(copies.remote):
        copies.remote[place] = _merge(copies.remote[place], options, addressed_as)
        return False
    due_ms = plan.now_ms if plan.release_ms is None else plan.release_ms
    copies.remote.append(
        RemoteCopy(
            recipient=address,
            next_hop=address.domain,
            next_try_ms=due_ms,
            expires_ms=due_ms + plan.lifetime_ms,
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
