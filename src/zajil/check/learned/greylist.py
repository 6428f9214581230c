"""Ask an unknown server to come again later (RFC 6647): off unless it is switched on.

What sends spam from stolen machines seldom comes again; a mail server must. Who is known does not
wait: whoever proves a domain by SPF or DKIM (so a large sender that tries again from another
address never meets this), whose network brings mail to several people here, or whose mail somebody
took out of Junk. The others are known by network, sender's domain and recipient's domain, once they
came again.

It is done after the data (RFC 6647 section 2.5), when SPF and DKIM are known: that spares nearly
everybody the wait, and whoever only tries an address is answered.
"""

from __future__ import annotations

from collections import OrderedDict

from zajil.check.facts import MessageFacts
from zajil.check.learned.reputation import HistoryFound
from zajil.check.sender.correspondent import ProvenIdentity, correspondent_network
from zajil.check.verdict.signals import make_reason
from zajil.check.verdict.verdict import Reason
from zajil.config.options_check import GreylistOptions
from zajil.store.engine.errors import StoreUnavailable
from zajil.store.engine.open import Store
from zajil.store.feedback.greylist import Knock, Pruning, knock, prune

_REMEMBERED_MS = 3_600_000
"""A way that passed is not written down again so soon."""
_MOST_REMEMBERED = 20_000
_MOST_DOMAINS = 20
"""Of one mail's recipients: more tell nothing."""


class Greylist:
    """The greylist as one worker sees it; all share what is in the store."""

    def __init__(self, store: Store, options: GreylistOptions) -> None:
        self._store = store
        self._options = options
        self._passed: OrderedDict[str, int] = OrderedDict()
        """Ways that are open, and until when we need not look."""

    async def judge(
        self, facts: MessageFacts, proven: ProvenIdentity, history: HistoryFound
    ) -> tuple[Reason, ...]:
        """Return the demand to come again, or nothing.

        Waits for a commit where a way is not known. Never raises: without a store nobody waits.
        """
        if not self._options.enabled or proven.author or history.is_known_good:
            return ()
        keys = ways_of(facts)
        if not keys or any([self._passed.get(key, 0) > facts.now_ms for key in keys]):
            return ()
        options = self._options
        item = Knock(keys, facts.now_ms, options.delay_ms, options.window_ms, options.keep_ms)
        try:
            is_open = await self._store.write(knock, item)
        except StoreUnavailable:
            return ()
        if not is_open:
            return (make_reason("greylist.first"),)
        for key in keys:
            self._passed[key] = facts.now_ms + _REMEMBERED_MS
        while len(self._passed) > _MOST_REMEMBERED:
            self._passed.popitem(last=False)
        return ()


async def prune_greylist(store: Store, options: GreylistOptions, now_ms: int) -> None:
    """Forget ways that nobody takes any more: upkeep, once in a while.

    Raises:
        StoreUnavailable: the next time will do.
    """
    if options.enabled:
        await store.write(prune, Pruning(now_ms, options.window_ms, options.keep_ms))


def ways_of(facts: MessageFacts) -> tuple[str, ...]:
    """Return the ways a mail takes: network, sender's domain, recipient's domain. Pure.

    A sender counts by its domain alone: lists and shops change the local part with each mail. The
    null path is a sender like any other. Empty: a program of this machine, or of our own people.
    """
    network = None if facts.peer is None else correspondent_network(facts.peer.host)
    if network is None or facts.login is not None:
        return ()
    sender = "<>" if facts.reverse_path is None else facts.reverse_path.domain
    domains = sorted({recipient.domain for recipient in facts.recipients})[:_MOST_DOMAINS]
    return tuple([f"{network} {sender} {domain}" for domain in domains])
