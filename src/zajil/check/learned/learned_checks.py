"""What a worker knows beside the mail itself: words, history, a greylist, scanners, names of ours.

Laws:
- A part that nobody uses costs nothing: no trained word, no history, no scanner, no question.
- None of them raises; what is away says nothing, and the mail is taken (decision 0007, law 3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from zajil.check.content.protected_names import OurNames
from zajil.check.facts import MessageFacts
from zajil.check.learned.greylist import Greylist
from zajil.check.learned.model import NOTHING_SAID, Models, deceives
from zajil.check.learned.reputation import History, HistoryFound
from zajil.check.scanners.run import Scanners
from zajil.check.sender.correspondent import UNKNOWN, Correspondent, identify, prove
from zajil.check.sender.findings import SenderFindings
from zajil.check.verdict.verdict import Reason
from zajil.config.options_check import CheckOptions
from zajil.core.clock import Clock
from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.message.view import MessageView
from zajil.store.engine.open import Store

_PRETENDER = "phish.name-of-ours"
_OF_PRETENDERS = frozenset({_PRETENDER, "phish.lure"})
"""What is said because of the name it bears."""


@value_class(frozen=True, slots=True)
class LearnedFindings:
    """What is known of one mail."""

    reasons: tuple[Reason, ...] = ()
    """For everybody."""
    by_account: Mapping[AccountId, tuple[Reason, ...]] = field(default_factory=dict)
    """Of accounts whose own words or history have something to say, beside those."""
    correspondent: Correspondent = UNKNOWN
    """Whose history it is."""


class LearnedChecks:
    """All of it, for one worker."""

    def __init__(self, store: Store, options: CheckOptions, clock: Clock) -> None:
        self.history = History(store, clock)
        self.scanners = Scanners(options.scanners)
        self.names = OurNames(store, options.phishing.imitated_domains, clock)
        self._models = Models(store, options.words, clock)
        self._greylist = Greylist(store, options.greylist)

    async def ask(
        self,
        facts: MessageFacts,
        view: MessageView,
        sender: SenderFindings,
        inside: Sequence[Reason],
    ) -> LearnedFindings:
        """Return what is known of a mail, and of who sent it.

        Waits for the store where memory does not know, and for a commit where it greylists.

        Args:
            facts: the mail.
            view: ``inside.view_of(facts)``.
            sender: what was found out about the sender.
            inside: what ``look_inside`` found.

        Returns:
            All reasons together, those of ``inside`` too: a name of ours is no sign where the
            account knows who writes.
        """
        words = await self._models.judge(view, facts.accounts)
        if words is not NOTHING_SAID and deceives(inside):
            words = words.without_praise()
        if facts.login is not None:
            return LearnedFindings((*inside, *words.reasons))
        proven = prove(sender.spf, sender.dkim, sender.dmarc)
        host = None if facts.peer is None else facts.peer.host
        who = identify(facts.fields, host, proven)
        history = await self.history.judge(who, facts.accounts)
        again = await self._greylist.judge(facts, proven, history)
        by_account = {
            account: (*words.by_account.get(account, ()), *history.by_account.get(account, ()))
            for account in facts.accounts
            if account in words.by_account or account in history.by_account
        }
        common = _without_known_pretenders(inside, history, facts.accounts, by_account)
        return LearnedFindings((*common, *words.reasons, *history.for_all, *again), by_account, who)


def _without_known_pretenders(
    inside: Sequence[Reason],
    history: HistoryFound,
    accounts: Mapping[AccountId, object],
    by_account: dict[AccountId, tuple[Reason, ...]],
) -> Sequence[Reason]:
    """Leave to the accounts that do not know the author what is said of pretenders."""
    if not history.known_by or not any([one.signal == _PRETENDER for one in inside]):
        return inside
    pretender = [one for one in inside if one.signal in _OF_PRETENDERS]
    for account in accounts:
        if account not in history.known_by:
            by_account[account] = (*by_account.get(account, ()), *pretender)
    return [one for one in inside if one.signal not in _OF_PRETENDERS]
