"""What acceptance needs besides the mail: the server, the rules of the service, the session."""

from __future__ import annotations

from asyncio import Future
from collections.abc import Callable, Sequence

from zajil.accept.filing import FilingRule, file_by_verdict
from zajil.accept.outbound_hold import HoldRule
from zajil.accept.own_mail import OwnMailer
from zajil.accept.send_limit import SendLimit
from zajil.accept.spool import Spool
from zajil.check.facts import MessageFacts
from zajil.check.sender.findings import SenderFindings
from zajil.check.sender.peer import PeerFindings
from zajil.check.step import Checks
from zajil.check.verdict.verdict import Action
from zajil.config.options import LimitOptions
from zajil.core.address import Address
from zajil.core.clock import Clock, Random
from zajil.core.ids import ID_RANDOM_SIZE, MailId, SessionId, new_mail_id, new_session_id
from zajil.core.service import Service
from zajil.core.value_class import value_class
from zajil.keys.sign import BODY_NEED, Signer
from zajil.login.account import Account
from zajil.net.floods import RefusalBudget
from zajil.net.peer import Peer
from zajil.store.engine.open import Store
from zajil.tracking.events import TrackingEvent


@value_class(frozen=True, slots=True, kw_only=True)
class AcceptancePolicy:
    """What differs between the services that accept mail; ``app`` makes it, one for each."""

    service: Service
    """For the journey; nothing is decided by it."""
    max_recipients: int
    """Of one mail."""
    is_incoming: bool = True
    """Mail comes from other servers: its signatures are verified. Else from our own users."""
    checks_peer: bool = False
    """Whoever connects is unknown: its address and name are checked too."""
    answers_each_recipient: bool = False
    """One recipient can be refused after the message, and another accepted (LMTP)."""
    defers_full: bool = True
    """The sender is to try again when a mailbox is full (``mail.full_mailbox``)."""
    signs: bool = False
    """Mail is signed for the domain of its author."""
    hides_client: bool = False
    """Received does not name the client (``submit.hide_client``)."""
    send_limit: SendLimit | None = None
    """How much an account may send; ``None``: no limit."""
    hold_rule: HoldRule | None = None
    """How many unusual recipients an account may write to before its mail is held; ``None``: no
    limit."""


class ShardContexts:
    """What each shard accepts mail with, for one service.

    Args:
        home_of: the shard of an address, from memory; ``None``: its domain is not ours.
        is_single: whether an account is apart from its domain.
    """

    def __init__(
        self, home_of: Callable[[Address], str | None], is_single: Callable[[Address], bool]
    ) -> None:
        self.home_of = home_of
        self.is_single = is_single
        self.contexts: dict[str, AcceptanceContext] = {}
        """By name of the shard; one whose database is away, or that was created after the start of
        the server, is not there."""


@value_class(frozen=True, slots=True, kw_only=True)
class AcceptanceContext:
    """What all mails of one service share."""

    store: Store
    clock: Clock
    random: Random
    limits: LimitOptions
    hostname: str
    lifetime_ms: int
    """``queue.lifetime``: how long delivery to other servers is tried."""
    checks: Checks
    policy: AcceptancePolicy
    filing: FilingRule = file_by_verdict
    signer: Signer | None = None
    """``None``: nothing is signed or sealed (``keys.sign``)."""
    note_result: Callable[[SenderFindings, MessageFacts, Action], object] | None = None
    """Counts each mail for DMARC reports; ``None``: none are sent (``check.dmarc``)."""
    refusals: RefusalBudget | None = None
    """How many refusals of one peer are recorded; ``None``: all."""
    shards: ShardContexts | None = None
    """The same for the other shards; ``None``: there are none."""

    def make_spool(self) -> Spool:
        """Return what collects the bytes of one mail, and hashes what will be signed."""
        needs = (BODY_NEED,) if self.policy.signs and self.signer is not None else ()
        return Spool(self.limits, self.store.blobs, needs, reads_signatures=self.policy.is_incoming)

    def new_mail_id(self, at_ms: int) -> MailId:
        """Return the id of a new mail."""
        return new_mail_id(at_ms, self.random(ID_RANDOM_SIZE))

    def new_session_id(self, at_ms: int) -> SessionId:
        """Return the id of a new session."""
        return new_session_id(at_ms, self.random(ID_RANDOM_SIZE))

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


@value_class(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """How a mail came here."""

    session_id: SessionId
    peer: Peer | None
    """``None``: our own web or command line."""
    claimed_name: str
    """Of EHLO or HELO; of a mail from the web, the address of the browser. Untrusted."""
    protocol: str
    """For Received: ``ESMTPS``, ``LMTP``, ``HTTP`` (``trace_fields.protocol_keyword``)."""
    tls: str | None = None
    """Version and cipher, for people."""
    account: Account | None = None
    """Who logged in; ``None``: the mail is not a submission."""
    vouched_for: str | None = None
    """One of our users, whose mail another shard has accepted and judged."""
    looked: Future[PeerFindings] | None = None
    """What ``Checks.look_at`` began to find out about the peer."""
    events: Sequence[TrackingEvent] = ()
    """About the session, not yet recorded; they are recorded with the mail."""
