"""Filing: what becomes of the copy of one account, before the copies are planned.

A ``FilingRule`` is asked once for each account that a mail leads to. It sees the message, the
envelope and the account, may wait for the store, and answers with a ``Filing``: mailboxes and
flags, redirects, or a rejection. The rule of this server is ``file_by_verdict``: INBOX or Junk.

Laws:
- An account is asked once for each mail, however many addresses and redirects lead to it, so
  redirects cannot run in circles.
- A redirect that reaches nobody leaves the copy in the INBOX of the account: nothing is lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from zajil.check.facts import MessageFacts
from zajil.core.address import Address
from zajil.core.directory import AccountEntry
from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.message.view import MessageView
from zajil.route.directory_flow import ask_directory_and_wait
from zajil.route.recipient import Local, Remote, Suspended, route_recipient
from zajil.store.mail.intake import Place
from zajil.store.people.directory import Directory

JUNK = "Junk"
"""Name of the mailbox for unwanted mail."""
INBOX = "INBOX"
MAX_REDIRECTS = 16
"""Redirects of one account that are followed (attack: amplification)."""


@value_class(frozen=True, slots=True)
class Filing:
    """What becomes of the copy of one account; without any of the three it is discarded."""

    places: tuple[Place, ...]
    reason: str
    """One sentence for a person."""
    redirects: tuple[Address, ...] = ()
    """Addresses that get the mail too, or instead."""
    rejection: str | None = None
    """What the sender is told; then there are neither places nor redirects."""


@value_class(frozen=True, slots=True, kw_only=True)
class FilingRequest:
    """What a rule may look at."""

    entry: AccountEntry
    recipient: Address
    """The envelope's, which leads to the account."""
    facts: MessageFacts
    view: MessageView
    """Parsed only where a rule looks."""
    why_junk: str | None
    """Why the checks take it for junk; ``None``: they do not."""


FilingRule = Callable[[FilingRequest], Awaitable[Filing]]


async def file_by_verdict(request: FilingRequest) -> Filing:
    """File into INBOX, or into Junk when the verdict says so."""
    return choose_mailbox(request.entry, why_junk=request.why_junk)


def choose_mailbox(entry: AccountEntry, *, why_junk: str | None) -> Filing:
    """Return INBOX, or Junk with the reason; ``None``: it is not junk."""
    if why_junk is not None:
        return Filing((Place(entry.junk, JUNK),), why_junk or "The message was classified as junk.")
    return Filing((Place(entry.inbox, INBOX),), "The message passed the checks.")


@dataclass(slots=True)
class Filings:
    """The filings of one mail."""

    by_account: dict[AccountId, Filing] = field(default_factory=dict)
    redirects: dict[AccountId, list[Local | Remote]] = field(default_factory=dict)
    """Where the redirects of an account lead."""

    @property
    def rejections(self) -> Mapping[AccountId, str]:
        """What the accounts say that reject the mail."""
        return {
            account: filing.rejection
            for account, filing in self.by_account.items()
            if filing.rejection is not None
        }


async def ask_filing_rule(
    rule: FilingRule,
    directory: Directory,
    facts: MessageFacts,
    accounts: Sequence[tuple[Address, AccountEntry]],
    why_junk: Callable[[AccountId], str | None],
) -> Filings:
    """Ask the rule for each account, and for those that redirects lead to.

    Args:
        rule: of this server.
        directory: routes redirects.
        facts: the mail.
        accounts: each with the recipient that leads to it.
        why_junk: the verdict, for an account.

    Raises:
        StoreUnavailable: the rule or the directory cannot be asked.
    """
    found, view = Filings(), MessageView(facts.header, facts.fields, facts.body)
    waiting = deque(accounts)
    while waiting:
        recipient, entry = waiting.popleft()
        account = entry.account_id
        if account in found.by_account:
            continue
        request = FilingRequest(
            entry=entry,
            recipient=recipient,
            facts=facts,
            view=view,
            why_junk=why_junk(account),
        )
        filing = await rule(request)
        found.by_account[account] = filing
        if filing.redirects:
            routes = await _route(directory, filing.redirects)
            is_new = any([_reaches_somebody(found, one) for one in routes])
            if not is_new and not filing.places:
                lost = choose_mailbox(entry, why_junk=request.why_junk).places
                found.by_account[account] = replace(filing, places=lost)
            found.redirects[account] = routes
            for route in routes:
                if isinstance(route, Local):
                    waiting.extendleft([(recipient, one) for one in reversed(route.entries)])
    return found


def _reaches_somebody(found: Filings, route: Local | Remote) -> bool:
    """Whether a redirect brings a copy to somebody who has, or will get, one."""
    if isinstance(route, Remote) or route.remote:
        return True
    filings = [found.by_account.get(one.account_id) for one in route.entries]
    return any([filing is None or bool(filing.places) for filing in filings])


async def _route(directory: Directory, addresses: Sequence[Address]) -> list[Local | Remote]:
    routes: list[Local | Remote] = []
    for address in addresses[:MAX_REDIRECTS]:
        flow = route_recipient(address, directory.postmaster)
        route = await ask_directory_and_wait(flow, directory)
        if isinstance(route, Suspended):
            routes.append(Local((route.entry,)))
        elif isinstance(route, Local | Remote):
            routes.append(route)
    return routes
