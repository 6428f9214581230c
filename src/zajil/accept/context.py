"""What every SMTP session of one listener shares."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from zajil.accept.known_peers import KnownPeers
from zajil.accept.own_mail import OwnMailer
from zajil.accept.spool import Spool
from zajil.check.facts import MessageFacts
from zajil.check.sender.findings import SenderFindings
from zajil.check.step import Checks
from zajil.check.verdict.verdict import Action
from zajil.config.options import LimitOptions
from zajil.config.options_users import SubmitOptions
from zajil.core.clock import Clock, Random
from zajil.core.service import Service
from zajil.keys.sign import BODY_NEED, Signer
from zajil.net.floods import RefusalBudget
from zajil.store.engine.open import Store


@dataclass(frozen=True, slots=True)
class ReceiveServices:
    """What every session of one listener shares."""

    store: Store
    clock: Clock
    random: Random
    limits: LimitOptions
    hostname: str
    service: Service
    lifetime_ms: int
    """``queue.lifetime``: how long delivery elsewhere is tried."""
    checks: Checks
    submit: SubmitOptions | None = None
    """What an account may send; ``None`` where nobody logs in."""
    known_peers: KnownPeers | None = None
    """``None``: no peer is held in a tarpit."""
    signer: Signer | None = None
    """``None``: nothing is signed (``keys.sign``)."""
    note_result: Callable[[SenderFindings, MessageFacts, Action], object] | None = None
    """Counts each mail for DMARC reports; ``None``: none are sent (``check.dmarc``)."""
    refusals: RefusalBudget | None = None
    """How many refusals of one peer are kept; ``None``: all."""
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    """Waits so many seconds: for answers that are held back."""

    def make_spool(self) -> Spool:
        """Make what keeps the bytes of one mail; of a submission, it hashes what we sign."""
        if not self.service.is_for_users:
            return Spool(self.limits, self.store.blobs)
        needs = () if self.signer is None else (BODY_NEED,)
        return Spool(self.limits, self.store.blobs, needs, reads_signatures=False)

    @property
    def own_mailer(self) -> OwnMailer:
        """Return what sends mail of our own."""
        return OwnMailer(
            store=self.store,
            clock=self.clock,
            random=self.random,
            lifetime_ms=self.lifetime_ms,
            signer=self.signer,
        )

    @property
    def looks_at_peers(self) -> bool:
        """Whether those who connect are strangers; behind LMTP is a program in front of us."""
        return self.service is Service.SMTP

    @property
    def most_recipients(self) -> int:
        """How many one mail may have."""
        own = self.submit.recipients_per_mail if self.submit is not None else 0
        return min(own, self.limits.recipients) if own else self.limits.recipients
