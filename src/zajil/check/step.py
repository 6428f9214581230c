"""The check step: every check, one verdict, the events that explain it (decision 0007).

What has to ask anybody runs side by side; what has not is called in between. A part that nobody
configured is not there at all.
"""

from __future__ import annotations

import asyncio
import traceback
from asyncio import Future
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field, replace
from functools import partial
from typing import TypeVar

from zajil.check.content.phishing import NOBODY, Protected
from zajil.check.content.run import look_inside, view_of
from zajil.check.facts import MessageFacts
from zajil.check.learned.learned_checks import LearnedChecks, LearnedFindings
from zajil.check.memory import Memory
from zajil.check.scanners.run import NOT_SCANNED, ScannerFindings
from zajil.check.sender.correspondent import UNKNOWN, Correspondent
from zajil.check.sender.dns_lists import DnsLists
from zajil.check.sender.findings import NOT_CHECKED, SenderFindings
from zajil.check.sender.known_sender import make_sender_memory
from zajil.check.sender.own_domain_spoofing import check_pretence
from zajil.check.sender.peer import PeerFindings, check_peer
from zajil.check.sender.result_fields import all_result_ranges, forged_ranges, result_field
from zajil.check.sender.sender import check_sender
from zajil.check.verdict.signals import make_reason
from zajil.check.verdict.verdict import Action, Reason, Thresholds, Verdict, decide
from zajil.config.options_check import CheckOptions
from zajil.core.ids import AccountId
from zajil.core.value_class import value_class
from zajil.dns.flow import Resolve
from zajil.mailauth.dkim_body import BodyDigests
from zajil.net.peer import LOCAL, Peer
from zajil.store.engine.errors import StoreUnavailable
from zajil.tracking.events import CheckDone, FaultHappened, TrackingEvent, VerdictReached

T = TypeVar("T")

_LARGE = 65_536
"""Bytes of a body: to look into a larger one takes milliseconds, and others wait for the loop."""


@value_class(frozen=True, slots=True, kw_only=True)
class Checked:
    """What the step found out."""

    verdict: Verdict
    """For every recipient that has none of its own."""
    results: bytes
    """Our Authentication-Results, with its CRLF."""
    forged: list[tuple[int, int]]
    """Offset and end, in the header section, of fields to cut out."""
    events: tuple[TrackingEvent, ...]
    by_account: Mapping[AccountId, Verdict] = field(default_factory=dict)
    """Verdicts that differ, because of an account's own words or history."""
    action: Action = Action.ACCEPT
    """What is said to the peer: a mail is refused only if everybody refuses it."""
    sender: SenderFindings = NOT_CHECKED
    correspondent: Correspondent = UNKNOWN
    """Whose history it belongs to."""


class Faults:
    """Runs the parts of one mail's checks; one that fails is left out, and the mail goes on.

    A message that makes one of our parsers fail would make it fail again each time the peer tries:
    a 4yz reply would hold the message up until its sender gives up. So the message is taken without
    that check, marked (``check.failed``), with the traceback in its journey and a line in the log.

    ``StoreUnavailable`` and cancellation pass: they are not about the message, and the peer shall
    try again.
    """

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self.events: list[FaultHappened] = []

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Mark the mail if any part failed."""
        return (make_reason("check.failed"),) if self.events else ()

    async def wait(self, part: str, work: Awaitable[T], otherwise: T) -> T:
        """Return the result of ``work``, or ``otherwise`` if it fails."""
        try:
            return await work
        except StoreUnavailable:
            raise
        except Exception as error:
            self._note(part, error)
            return otherwise

    def run(self, part: str, work: Callable[[], T], otherwise: T) -> T:
        """Return the result of ``work``, or ``otherwise`` if it fails."""
        try:
            return work()
        except StoreUnavailable:
            raise
        except Exception as error:
            self._note(part, error)
            return otherwise

    def _note(self, part: str, error: Exception) -> None:
        trace = "".join(traceback.format_exception(error))
        summary = f"check failed ({part}): {error!r}"
        self.events.append(FaultHappened(self._now_ms, summary, trace))


_PEER_KEPT_MS = 5000
"""What was found out about a peer is believed so long: its DNS answers live longer."""
_MOST_PEERS = 5000
"""Peers of the last seconds, in memory."""


def _nobodys(_domain: str) -> bool:
    return False


class Checks:
    """All that one worker checks mails with."""

    def __init__(
        self,
        options: CheckOptions,
        resolve: Resolve,
        hostname: str,
        is_our_domain: Callable[[str], bool] = _nobodys,
        knowledge: LearnedChecks | None = None,
        protected: Protected = NOBODY,
    ) -> None:
        """Take what all mails are checked with.

        Args:
            options: ``[check]``.
            resolve: asks DNS.
            hostname: ours.
            is_our_domain: answers from memory.
            knowledge: what is known beside the mail; ``None``: nothing.
            protected: names of ours, where ``knowledge`` is ``None``.
        """
        self._options = options
        self._resolve = resolve
        self._hostname = hostname
        self._is_our_domain = is_our_domain
        self.knowledge = knowledge
        self._protected = protected
        self.lists = DnsLists(options.peer.lists, resolve)
        self._weights = options.weights
        self.thresholds = thresholds_of(options)
        self._peers: Memory[tuple[str, str], PeerFindings] = Memory(_PEER_KEPT_MS, _MOST_PEERS)
        """By address and name in EHLO."""
        self._senders = make_sender_memory()

    def look_at(self, peer: Peer, claimed_name: str, now_ms: int) -> Future[PeerFindings] | None:
        """Begin to find out who a peer is, while its mail arrives; ``None``: nobody wants to know.

        A server that brings one mail on each connection is looked at every few seconds.
        """
        if peer.host == LOCAL or not self._options.peer.enabled:
            return None
        who = (peer.host, claimed_name)
        kept = self._peers.get(who, now_ms)
        if kept is not None:
            known: Future[PeerFindings] = asyncio.get_running_loop().create_future()
            known.set_result(kept)
            return known
        looking = asyncio.create_task(
            check_peer(peer.address, claimed_name, self._resolve, self.lists, self._is_ours, now_ms)
        )
        looking.add_done_callback(partial(self._keep_peer, who, now_ms))
        return looking

    def _keep_peer(self, who: tuple[str, str], now_ms: int, looked: Future[PeerFindings]) -> None:
        if not looked.cancelled() and looked.exception() is None:
            self._peers.put(who, looked.result(), now_ms)

    def _is_ours(self, name: str) -> bool:
        return name == self._hostname or self._is_our_domain(name)

    async def check_message(
        self, facts: MessageFacts, looked: Future[PeerFindings] | None = None
    ) -> Checked:
        """Check a mail that is here to its last byte.

        Args:
            facts: what is known of it.
            looked: what ``look_at`` began; ``None``: the peer is not looked at.

        Raises:
            StoreUnavailable: its body cannot be read from the disk.
        """
        knowledge, faults = self.knowledge, Faults(facts.now_ms)
        scan: asyncio.Task[ScannerFindings] | None = None
        if knowledge is not None and not knowledge.scanners.is_empty:
            scan = asyncio.create_task(knowledge.scanners.scan(facts))
        try:
            sender = NOT_CHECKED
            if facts.login is None:
                peer = None if looked is None else await faults.wait("peer", looked, None)
                checking = self._check_sender(facts, peer)
                sender = await faults.wait("sender", checking, NOT_CHECKED)
            known = await faults.wait(
                "content", self._look_inside(facts, sender), LearnedFindings()
            )
            scanned = NOT_SCANNED
            if scan is not None:
                scanned = await faults.wait("scanners", scan, NOT_SCANNED)
        finally:
            if scan is not None:
                scan.cancel()
        return self._conclude(facts, sender, known, scanned, faults)

    async def _check_sender(self, facts: MessageFacts, peer: PeerFindings | None) -> SenderFindings:
        digests = facts.digests or BodyDigests(())
        memory = self._senders
        return await check_sender(facts, digests, self._resolve, self._options, peer, memory)

    async def _look_inside(self, facts: MessageFacts, sender: SenderFindings) -> LearnedFindings:
        knowledge, view = self.knowledge, view_of(facts)
        protected = self._protected
        if knowledge is not None:
            protected = await knowledge.names.protected()
        refuse = self._options.attachments.refuse
        if isinstance(facts.body, bytes) and len(facts.body) <= _LARGE:
            inside = look_inside(view, facts, protected, refuse)
        else:
            inside = await asyncio.to_thread(look_inside, view, facts, protected, refuse)
        inside += check_pretence(facts, sender, protected.domains)
        if knowledge is None:
            return LearnedFindings(tuple(inside))
        return await knowledge.ask(facts, view, sender, inside)

    def remember(self, checked: Checked, facts: MessageFacts) -> None:
        """Note who got a mail where it is read: after its commit. Nobody waits for it."""
        if self.knowledge is None or facts.login is not None:
            return
        readers = [
            account
            for account in facts.accounts
            if checked.by_account.get(account, checked.verdict).action is Action.ACCEPT
        ]
        if readers:
            self.knowledge.history.remember_seen(checked.correspondent, readers)

    def _conclude(
        self,
        facts: MessageFacts,
        sender: SenderFindings,
        known: LearnedFindings,
        scanned: ScannerFindings,
        faults: Faults,
    ) -> Checked:
        peer = sender.peer
        results = faults.run("results", lambda: result_field(facts, sender.results), None)
        forged = faults.run("forged", lambda: forged_ranges(facts, self._is_our_domain), None)
        about_peer = peer.reasons if peer is not None else ()
        reasons = (*sender.reasons, *about_peer, *known.reasons, *scanned.reasons)
        if facts.login is None:
            reasons += faults.reasons
        if self._weights:
            reasons = self.reweigh(reasons)
        verdict = decide(reasons, self.thresholds)
        by_account = {
            account: decide((*reasons, *self.reweigh(own)), self.thresholds)
            for account, own in known.by_account.items()
            if own
        }
        told = " ".join(
            [reason.text for reason in known.reasons if reason.signal.startswith("format.")]
        )
        events = (
            *(_told_now(facts, peer) if peer is not None else ()),
            *sender.events,
            *scanned.events,
            *faults.events,
            CheckDone(
                facts.now_ms,
                "format",
                "remarks" if told else "pass",
                told or "The message is well-formed.",
                (),
            ),
            verdict_event(facts.now_ms, verdict),
            *[
                verdict_event(facts.now_ms, own, str(facts.accounts[account]))
                for account, own in by_account.items()
            ],
        )
        return Checked(
            verdict=verdict,
            results=result_field(facts, ()) if results is None else results,
            forged=all_result_ranges(facts) if forged is None else forged,
            events=events,
            by_account=by_account,
            action=joint_action(facts, verdict, by_account),
            sender=sender,
            correspondent=known.correspondent,
        )

    def reweigh(self, reasons: Sequence[Reason]) -> tuple[Reason, ...]:
        """Return the reasons with the weights that ``check.weights`` sets."""
        weights = self._weights
        return tuple(
            replace(reason, weight=weights[reason.signal]) if reason.signal in weights else reason
            for reason in reasons
        )


def _told_now(facts: MessageFacts, peer: PeerFindings) -> list[CheckDone]:
    """Return what was found of the peer, as part of this mail: a session may bring several."""
    now_ms = facts.now_ms
    return [CheckDone(now_ms, one.check, one.result, one.reason, one.inputs) for one in peer.events]


def thresholds_of(options: CheckOptions) -> Thresholds:
    """Return the scores that the operator chose."""
    return Thresholds(options.junk_score, options.reject_score)


def joint_action(
    facts: MessageFacts, verdict: Verdict, by_account: Mapping[AccountId, Verdict]
) -> Action:
    """Return what is said to the peer: the mildest of what its recipients would say."""
    if not by_account:
        return verdict.action
    actions = [by_account.get(account, verdict).action for account in facts.accounts]
    if facts.leaves:
        actions.append(verdict.action)
    return min(actions, key=_MILDEST_FIRST.index)


_MILDEST_FIRST = (Action.ACCEPT, Action.JUNK, Action.DEFER, Action.REJECT)


def verdict_event(at_ms: int, verdict: Verdict, recipient: str | None = None) -> VerdictReached:
    """Record a verdict; ``recipient`` is ``None`` for the verdict of all."""
    return VerdictReached(
        at_ms,
        recipient,
        verdict.action.value,
        verdict.score,
        tuple([reason.text for reason in verdict.reasons]),
        tuple(
            [
                (reason.signal, reason.weight, reason.template, dict(reason.values))
                for reason in verdict.reasons
            ]
        ),
    )
