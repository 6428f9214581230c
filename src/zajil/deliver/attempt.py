"""One attempt: a mail to its next hop, host by host, until every recipient has an answer.

RFC 5321 section 5.1: hosts in the order of the route. 4yz at one host: the next one is asked. 5yz
to MAIL, RCPT or DATA is final for the recipient; 5yz to the greeting is about the host alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from zajil.config.options import DeliverOptions
from zajil.core.clock import Clock
from zajil.deliver.client_channel import (
    Channel,
    ChannelTarget,
    LinkBroken,
    LogInRefused,
    NotOpened,
    PeerClosing,
    RelayRefused,
)
from zajil.deliver.connections import Connections
from zajil.deliver.dane import DaneFacts, find_dane
from zajil.deliver.outgoing_mail import AttemptOutcome, Outgoing, RecipientResult, deferred, failed
from zajil.deliver.relays import Relays
from zajil.deliver.routes import Routes
from zajil.deliver.security import Opener, TlsRule, rule_for, waives_tls
from zajil.deliver.sts_policies import StsPolicies
from zajil.deliver.tls_watch import TlsWatch, watch_tls
from zajil.deliver.transaction import MaySend, Timeouts, send_mail
from zajil.mailauth.mta_sts import StsPolicy
from zajil.mailauth.tls_session import NoteTlsSession
from zajil.net.peer import split_host_port
from zajil.route.next_hop import Host, Hosts, NoRoute
from zajil.route.transport import Relay
from zajil.smtp.codes import EnhancedStatus
from zajil.store.mail.blob_reader import BlobReader
from zajil.store.queue.queue import LeasedRecipient
from zajil.tracking.events import (
    AttemptMade,
    RelayFound,
    RouteFailed,
    RouteFound,
    StsPolicyFound,
    TlsaFound,
    TrackingEvent,
)

MAX_TARGETS = 6
"""Addresses tried in one attempt; RFC 5321 section 5.1 asks for at least two."""

MAX_SECONDS = 3600.0
"""A whole attempt, whatever the peers do: large mails over slow lines fit, endless ones do not."""

MAX_REPORT_SECONDS = 600.0
"""The same for mail from the null path. Attack: reports go to forged senders, so to hosts that an
attacker chose; they could keep all attempts of a worker busy for hours by answering slowly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryContext:
    """What attempts need, the same for all of one worker."""

    options: DeliverOptions
    clock: Clock
    routes: Routes
    opener: Opener
    connections: Connections
    relays: Relays
    policies: StsPolicies | None
    """``None``: the MTA-STS policies of other domains are not followed."""
    open_body: Callable[[LeasedRecipient], Awaitable[BlobReader]]
    """Opens the message of a mail; whoever calls it closes what it gets."""
    may_send: MaySend
    note_tls: NoteTlsSession | None = None
    """Counts connections for TLS reports."""


@dataclass(slots=True, kw_only=True)
class Attempt:
    """One attempt, and what it has come to so far; ``run`` may be cancelled at any moment."""

    means: DeliveryContext
    outgoing: Outgoing
    results: dict[LeasedRecipient, RecipientResult] = field(default_factory=dict)
    """What the peers (or DNS) have said of each recipient."""
    events: list[TrackingEvent] = field(default_factory=list)
    unreachable: RecipientResult | None = None
    """No host could be reached, or DNS did not answer: mails behind this one will fare no better,
    and are deferred with this. ``None``: somebody answered."""
    rule: TlsRule = TlsRule.OPPORTUNISTIC
    """What this mail may be sent over."""
    tls_watch: TlsWatch = field(init=False)

    def __post_init__(self) -> None:
        means, one = self.means, self.outgoing
        self.tls_watch = watch_tls(means.note_tls, means.clock, one.next_hop, one.mail)

    async def run(self) -> None:
        """Try; afterwards every recipient is in ``results``.

        Waits for peers, at most ``MAX_SECONDS``. Cancelled, it leaves out of ``results`` those of
        whom nothing final was said.

        Raises:
            NoSuchBlob, StoreUnavailable: the message cannot be read; nothing was sent.
        """
        relay = self.means.routes.relay_for(self.outgoing.next_hop)
        paused = self.means.relays.why_paused(relay)
        if paused is not None:
            self.unreachable = paused
            self._give_up(paused)
            return
        route = await self._find_route(relay)
        if route is not None:
            policy = await self._find_policy(route, relay)
            await self._send(route, relay, policy)
        if relay is not None and self.unreachable is not None:
            self.means.relays.pause(relay, self.unreachable)

    async def _send(self, route: Hosts, relay: Relay | None, policy: StsPolicy | None) -> None:
        mail = self.outgoing.mail
        seconds = MAX_REPORT_SECONDS if mail.reverse_path is None else MAX_SECONDS
        body = self.outgoing.body or await self.means.open_body(mail)
        try:
            is_strict = await self._choose_rule(body, relay, policy)
            hosts = [
                host
                for host in route.hosts
                if policy is None or not is_strict or policy.permits(host.name)
            ]
            if not hosts:
                self.tls_watch.none_permitted(tuple(host.name for host in route.hosts))
                domain = self.outgoing.next_hop
                reason = f"the MTA-STS policy of {domain} permits none of its mail servers"
                self._give_up(deferred("4.7.0", reason))
                return
            facts = await self._find_dane(route, hosts, relay, body)
            usable = [host for host in hosts if host.name not in facts.failed]
            if not usable:
                self.tls_watch.dnssec_failed(facts.failed[0])
                reason = f"DNS lookup of the TLSA records of {facts.failed[0]} failed"
                self._give_up(deferred("4.4.3", reason))
                return
            targets = self._targets(usable, relay, facts)
            async with asyncio.timeout(seconds):
                await self._try_hosts(targets, body)
        except TimeoutError:
            self._give_up(deferred("4.4.2", f"no completion after {seconds:g} seconds"))
        finally:
            body.close()

    # ---- where to ----------------------------------------------------------------------------

    async def _find_route(self, relay: Relay | None) -> Hosts | None:
        domain = self.outgoing.next_hop
        route = await self.means.routes.find(domain)
        now_ms = self.means.clock.now_ms()
        if isinstance(route, Hosts):
            if relay is None:
                hosts = tuple(str(host) for host in route.hosts)
                self.events.append(RouteFound(now_ms, domain, hosts, route.inputs))
                return route
            for one in dict.fromkeys(claimed.next_hop for claimed in self.outgoing.recipients):
                found = RelayFound(now_ms, one, str(relay), relay.option, route.inputs)
                self.events.append(found)
            return route
        self.events.append(RouteFailed(now_ms, domain, route.temporary, route.reason, route.inputs))
        result = _no_route(route)
        self.unreachable = result if route.temporary else None
        self._give_up(result)
        return None

    async def _find_policy(self, route: Hosts, relay: Relay | None) -> StsPolicy | None:
        """Return the MTA-STS policy of the domain, if it demands something."""
        domain, policies = self.outgoing.next_hop, self.means.policies
        # RFC 8461 section 2: it is about domains that are reached by their MX records.
        if relay is not None or policies is None or domain.startswith("["):
            return None
        policy = await policies.find(domain)
        if policy is None or policy.mode == "none":
            return None
        self.tls_watch.policy = policy
        refused = tuple(host.name for host in route.hosts if not policy.permits(host.name))
        now_ms = self.means.clock.now_ms()
        self.events.append(StsPolicyFound(now_ms, domain, policy.mode, policy.mx, refused))
        return policy if policy.mode == "enforce" else None

    async def _find_dane(
        self, route: Hosts, hosts: Sequence[Host], relay: Relay | None, body: BlobReader
    ) -> DaneFacts:
        """Look up the TLSA records of hosts, if they are to be followed."""
        options = self.means.options
        is_asked = options.dane and route.is_authentic and self.rule is not TlsRule.NEVER
        if relay is not None or not is_asked:
            return _NO_DANE
        facts = await find_dane(hosts, self.means.routes.resolve, options.port)
        # RFC 8689 section 3: the writer's wish outranks it.
        may_waive = (facts.records or facts.failed) and self.rule is not TlsRule.REQUIRE
        if may_waive and waives_tls(await asyncio.to_thread(body.read_at, 0, _HEADER_READ)):
            return _NO_DANE
        now_ms, domain = self.means.clock.now_ms(), self.outgoing.next_hop
        self.events += [
            TlsaFound(now_ms, domain, host, tuple(map(str, records)))
            for host, records in facts.records.items()
        ]
        return facts

    def _targets(
        self, hosts: Sequence[Host], relay: Relay | None, facts: DaneFacts
    ) -> Iterator[ChannelTarget]:
        default = self.means.options.port if relay is None else relay.port
        for host in hosts:
            elsewhere = self.means.options.port_table.get(host.name)
            places = [(address, default) for address in host.addresses]
            if elsewhere is not None:
                places = [split_host_port(elsewhere)]
            for place in places:
                yield ChannelTarget(host.name, *place, relay, facts.records.get(host.name))

    async def _choose_rule(
        self, body: BlobReader, relay: Relay | None, policy: StsPolicy | None
    ) -> bool:
        """Set ``rule``; return whether the policy is to be followed."""
        rule = rule_for(self.means.options.tls, self.outgoing.mail, relay)
        if rule is TlsRule.OPPORTUNISTIC and policy is not None:
            rule = TlsRule.VERIFY
        self.rule = rule
        if rule is TlsRule.VERIFY and (relay is None or not relay.is_secure):
            head = await asyncio.to_thread(body.read_at, 0, _HEADER_READ)
            # RFC 8689 section 3: the writer's wish outranks the policy of the domain, too.
            if waives_tls(head):
                self.rule = TlsRule.OPPORTUNISTIC
        return self.rule in (TlsRule.VERIFY, TlsRule.REQUIRE)

    # ---- one host after the other ------------------------------------------------------------

    async def _try_hosts(self, targets: Iterator[ChannelTarget], body: BlobReader) -> None:
        reached = False
        tentative: dict[LeasedRecipient, RecipientResult] = {}
        for target, _ in zip(targets, range(MAX_TARGETS), strict=False):
            pending = [one for one in self.outgoing.recipients if one not in self.results]
            if not pending:
                return
            got: dict[LeasedRecipient, RecipientResult] = {}
            try:
                reached |= await self._try_target(target, self.outgoing.only(pending), body, got)
            finally:
                self._keep(got, tentative)
        for claimed in self.outgoing.recipients:
            if claimed not in self.results:
                self.results[claimed] = tentative.get(claimed, _NO_ANSWER)
        if not reached:
            self.unreachable = next(reversed(tentative.values()), _NO_ANSWER)

    def _keep(
        self,
        got: dict[LeasedRecipient, RecipientResult],
        tentative: dict[LeasedRecipient, RecipientResult],
    ) -> None:
        """Keep what is final; of the rest, what leaves most hope."""
        for claimed, result in got.items():
            if result.outcome is AttemptOutcome.DEFERRED:
                tentative[claimed] = result
            elif result.status in _ABOUT_THE_HOST:
                tentative.setdefault(claimed, result)
            else:
                self.results[claimed] = result

    async def _try_target(
        self,
        target: ChannelTarget,
        outgoing: Outgoing,
        body: BlobReader,
        got: dict[LeasedRecipient, RecipientResult],
    ) -> bool:
        """Fill ``got``; say whether the host was reached."""
        link = self.means.connections.take(target, self.rule)
        if link is not None:
            if await self._converse(link, outgoing, body, got, reused=True):
                return True
            got.clear()  # the host had closed it: that says nothing of the mail
        async with self.means.relays.turn(target.relay):
            paused = self.means.relays.why_paused(target.relay)
            if paused is not None:
                got.update(dict.fromkeys(outgoing.recipients, paused))
                return False
            try:
                link = await self.means.opener.open(target, self.rule)
            except NotOpened as error:
                self.tls_watch.refused(target, error.tls_problem)
                return self._heard_refusal(target, outgoing, error, got)
            self.tls_watch.opened(link)
            if target.relay is not None:
                self.means.relays.end_pause(target.relay)
        return await self._converse(link, outgoing, body, got, reused=False)

    def _heard_refusal(
        self,
        target: ChannelTarget,
        outgoing: Outgoing,
        error: NotOpened,
        got: dict[LeasedRecipient, RecipientResult],
    ) -> bool:
        """Fill ``got``; return whether the host was reached all the same."""
        host = None if error.reply is None else target.host
        # What a relay says to us is no fault of the mail, unless it is about REQUIRETLS.
        about_mail = target.relay is None or error.status == EnhancedStatus.REQUIRETLS_NEEDED
        if error.status[0] == "5" and about_mail:
            result = failed(error.status, str(error), host)
        else:
            result = deferred(f"4{error.status[1:]}", str(error), host)
        got.update(dict.fromkeys(outgoing.recipients, result))
        self._note(target, None, error.dialogue, str(error))
        if target.relay is not None and isinstance(error, LogInRefused):
            self.means.relays.pause(target.relay, result)
        # A host without REQUIRETLS was reached: another mail may fare better there.
        return error.reply is not None or result.outcome is AttemptOutcome.FAILED

    async def _converse(
        self,
        link: Channel,
        outgoing: Outgoing,
        body: BlobReader,
        got: dict[LeasedRecipient, RecipientResult],
        *,
        reused: bool,
    ) -> bool:
        """Send the mail over a link; false: a reused link turned out dead, nothing was said."""
        heard = link.replies
        options = self.means.options
        timeouts = Timeouts(options.reply_timeout_ms / 1000, options.data_timeout_ms / 1000)
        try:
            await send_mail(link, outgoing, body, timeouts, got, self.means.may_send)
        except LinkBroken as error:
            link.abort()
            if reused and (link.replies == heard or _is_first(error, link, heard)):
                return False
            rest = [claimed for claimed in outgoing.recipients if claimed not in got]
            result = deferred("4.4.2", str(error), link.target.host)
            got.update(dict.fromkeys(rest, result))
            if isinstance(error, RelayRefused) and link.target.relay is not None:
                self.means.relays.pause(link.target.relay, result)
            self._note(link.target, link.tls, link.take_dialogue(), str(error))
            return True
        except BaseException:
            link.abort()
            self._note(link.target, link.tls, link.take_dialogue(), "interrupted by this server")
            raise
        self._note(link.target, link.tls, link.take_dialogue(), _summary(got))
        self.means.connections.give(link)
        return True

    def _note(
        self, target: ChannelTarget, tls: str | None, dialogue: tuple[str, ...], outcome: str
    ) -> None:
        now_ms = self.means.clock.now_ms()
        hides = any(one.addressed_as is not None for one in self.outgoing.recipients)
        made = AttemptMade(
            now_ms,
            target.host,
            str(target),
            tls=tls,
            dialogue=dialogue,
            outcome=outcome,
            behind_alias=hides,
        )
        self.events.append(made)

    def _give_up(self, result: RecipientResult) -> None:
        for claimed in self.outgoing.recipients:
            self.results.setdefault(claimed, result)


_NO_DANE = DaneFacts({}, ())
_NO_ANSWER = deferred("4.4.2", "no host responded")
_ABOUT_THE_HOST = ("5.3.2", EnhancedStatus.REQUIRETLS_NEEDED)
"""Status of a host that accepts no mail at all (RFC 7504), or that does not promise TLS; another
host of the domain may."""
_HEADER_READ = 65_536
"""Bytes of the message in which we look for a header field."""


def _is_first(error: LinkBroken, link: Channel, heard: int) -> bool:
    """Return whether a 421 is the first thing a reused link says: it had been idle for too long."""
    return isinstance(error, PeerClosing) and link.replies == heard + 1


def _no_route(route: NoRoute) -> RecipientResult:
    return (deferred if route.temporary else failed)(route.status, route.reason)


def _summary(got: dict[LeasedRecipient, RecipientResult]) -> str:
    counts: dict[AttemptOutcome, int] = {}
    for result in got.values():
        counts[result.outcome] = counts.get(result.outcome, 0) + 1
    found = sorted(counts.items(), key=lambda item: item[0].value)
    return ", ".join([f"{count} {outcome.name.lower()}" for outcome, count in found])
