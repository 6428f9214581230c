"""The mail protocols on their listeners: who may connect, what is offered, what answers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from zajil.accept.context import AcceptanceContext, AcceptancePolicy, ShardContexts
from zajil.accept.outbound_hold import hold_rule
from zajil.accept.send_limit import send_limit
from zajil.app.monitoring import count_connections
from zajil.app.resources import WorkerResources
from zajil.config.options import LimitOptions
from zajil.config.options_users import SubmitOptions
from zajil.core.service import Service
from zajil.login.service import LoginService
from zajil.net.admission import Admission
from zajil.net.floods import FloodCounter
from zajil.net.limits import SessionLimits
from zajil.net.line_service import LineService
from zajil.net.log import trace_to_log
from zajil.net.peer import Networks, Peer
from zajil.net.smtp_service import MakeSession, SmtpLimits
from zajil.net.smtp_service import smtp_service as make_smtp_service
from zajil.read.imap.service import ImapLimits, ImapServices
from zajil.read.imap.service import imap_service as make_imap_service
from zajil.read.pop3.locks import MaildropLocks
from zajil.read.pop3.service import Pop3Limits
from zajil.read.pop3.service import pop3_service as make_pop3_service
from zajil.read.pop3.session import Pop3Services
from zajil.receive.lmtp_session import LmtpSession
from zajil.receive.patience import KnownPeers, SlowAnswers
from zajil.receive.session import SmtpSession
from zajil.smtp.extensions import Capabilities
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.submit.session import SubmitSession
from zajil.tracking.events import TrackingEvent

_NEVER = 1 << 62


def smtp_service(resources: WorkerResources, login: LoginService, name: Service) -> LineService:
    """Make the service of port 25, 587 or 465, or of LMTP."""
    configuration, tls = resources.configuration, resources.server_tls
    limits = configuration.limits
    offer = _offer(resources, login, name)
    return make_smtp_service(
        _session_maker(resources, login, name),
        offer,
        tls=tls,
        implicit_tls=name.has_implicit_tls and tls is not None,
        admission=admission(resources, name),
        peer_offers=_special_offers(resources, offer),
        trace=_trace(resources, "smtp.dialogue"),
        limits=SmtpLimits(
            # LMTP: a program in front of us passes on the errors of its peers.
            errors=_NEVER if name is Service.LMTP else limits.errors,
            commands=limits.commands,
            idle_seconds=limits.idle_ms / 1000,
            data_idle_seconds=limits.data_idle_ms / 1000,
            mail_seconds=limits.mail_time_ms / 1000,
            handshake_seconds=limits.handshake_ms / 1000,
            pending=limits.max_pending_bytes,
            greeting_delay_seconds=(
                configuration.receive.greeting_delay_ms / 1000 if name is Service.SMTP else 0
            ),
        ),
    )


def imap_service(resources: WorkerResources, login: LoginService, name: Service) -> LineService:
    """Make the service of port 143 or 993."""
    limits, tls = resources.configuration.limits, resources.server_tls
    starttls = tls is not None and not name.has_implicit_tls
    others: dict[str, ImapServices] = {}

    def add(other: WorkerResources) -> None:
        others[other.shard] = ImapServices(other.store, login, other.clock, starttls, name)

    _for_each_other(resources, add)
    return make_imap_service(
        ImapServices(resources.store, login, resources.clock, starttls, name, others),
        resources.configuration.server.hostname,
        limits,
        tls=tls,
        implicit_tls=name.has_implicit_tls,
        limits=ImapLimits(handshake_seconds=limits.handshake_ms / 1000),
        admission=admission(resources, name),
        trace=_trace(resources, "imap.dialogue"),
    )


def pop3_service(
    resources: WorkerResources,
    login: LoginService,
    locks: Mapping[str, MaildropLocks],
    name: Service,
) -> LineService:
    """Make the service of port 110 or 995; ``locks``: those of each shard, by its name."""
    limits = resources.configuration.limits
    others: dict[str, Pop3Services] = {}

    def add(other: WorkerResources) -> None:
        lock = locks[other.shard]
        others[other.shard] = Pop3Services(other.store, login, lock, other.clock, name)

    _for_each_other(resources, add)
    own = locks[resources.shard]
    return make_pop3_service(
        Pop3Services(resources.store, login, own, resources.clock, name, others),
        resources.configuration.server.hostname,
        tls=resources.server_tls,
        implicit_tls=name.has_implicit_tls,
        limits=Pop3Limits(handshake_seconds=limits.handshake_ms / 1000),
        admission=admission(resources, name),
        trace=_trace(resources, "pop3.dialogue"),
    )


def _trace(resources: WorkerResources, event: str) -> Callable[[Peer, str], None] | None:
    """Return what logs each line of a dialogue; ``None``: its log level is not ``debug``."""
    area = event.partition(".")[0]
    is_debug = resources.configuration.log.level_of(area) == "debug"
    return functools.partial(trace_to_log, event) if is_debug else None


def admission(resources: WorkerResources, name: Service, *, many_users: bool = False) -> Admission:
    """Make the admission control of a service; it records refused connections now and then.

    Args:
        resources: of the worker.
        name: of the service.
        many_users: many users come from one address: only the limit on all sessions applies.
    """
    limits, store = resources.configuration.limits, resources.store
    # Through LMTP, one program brings the mail of many peers.
    is_trusted = many_users or name is Service.LMTP
    caps = resources.sessions[name].caps(
        resources.worker,
        SessionLimits(
            limits.sessions,
            0 if is_trusted else limits.sessions_per_address,
            0 if is_trusted else limits.sessions_per_network,
        ),
    )

    floods = FloodCounter(name, resources.clock, functools.partial(record_floods, store))
    proxies = Networks(resources.configuration.net.proxy_peers)
    return Admission(caps, floods, proxies, count_connections(resources.meters, name))


def record_floods(store: Store, events: Sequence[TrackingEvent]) -> None:
    """Record the events of one moment as one row."""
    store.write_later(record_events, EventBatch(None, None, events[0].at_ms, tuple(events)))


def _for_each_other(resources: WorkerResources, use: Callable[[WorkerResources], None]) -> None:
    """Call a function for each shard besides the main one, now or when it is opened."""
    if resources.shards is not None:
        resources.shards.for_each_other(use)


def acceptance_context(resources: WorkerResources, name: Service) -> AcceptanceContext:
    """Make what all mails of a service share, in each shard; gives that of this one."""
    if resources.shards is None:
        return own_context(resources, name, None)
    return resources.shards.make_contexts(name).contexts[resources.shard]


def own_context(
    resources: WorkerResources, name: Service, shards: ShardContexts | None
) -> AcceptanceContext:
    """Make what all mails of a service share in one shard; ``shards``: that of all of them."""
    configuration = resources.configuration
    return AcceptanceContext(
        shards=shards,
        store=resources.store,
        clock=resources.clock,
        random=resources.random,
        limits=configuration.limits,
        hostname=configuration.server.hostname,
        lifetime_ms=configuration.queue.lifetime_ms,
        checks=resources.checks,
        policy=replace(
            acceptance_policy(name, configuration.limits, configuration.submit),
            defers_full=configuration.mail.full_mailbox == "defer",
        ),
        signer=resources.signer,
        note_result=None if resources.dmarc_counts is None else resources.dmarc_counts.note,
        refusals=resources.refusals,
    )


def acceptance_policy(
    name: Service, limits: LimitOptions, submit: SubmitOptions
) -> AcceptancePolicy:
    """Make the rules by which a service accepts mail."""
    if not name.is_for_users:
        return AcceptancePolicy(
            service=name,
            max_recipients=limits.recipients,
            checks_peer=name is Service.SMTP,
            answers_each_recipient=name is Service.LMTP,
        )
    own = submit.recipients_per_mail
    return AcceptancePolicy(
        service=name,
        max_recipients=min(own, limits.recipients) if own else limits.recipients,
        is_incoming=False,
        signs=True,
        hides_client=submit.hide_client,
        send_limit=send_limit(submit),
        hold_rule=hold_rule(submit),
    )


def _session_maker(resources: WorkerResources, login: LoginService, name: Service) -> MakeSession:
    context = acceptance_context(resources, name)
    if name.is_submission:
        return functools.partial(SubmitSession, context, SlowAnswers(), login)
    if name is Service.LMTP:
        return functools.partial(LmtpSession, context, SlowAnswers())
    tarpit_ms = resources.configuration.receive.tarpit_ms
    slow = SlowAnswers(KnownPeers(tarpit_ms) if tarpit_ms else None)
    return functools.partial(SmtpSession, context, slow)


def _offer(resources: WorkerResources, login: LoginService, name: Service) -> Capabilities:
    configuration, limits = resources.configuration, resources.configuration.limits
    is_submission = name.is_submission
    return Capabilities(
        hostname=configuration.server.hostname,
        max_message_size=limits.message_size,
        starttls=resources.server_tls is not None and not name.has_implicit_tls,
        auth_mechanisms=login.mechanisms if is_submission else (),
        chunking=True,
        dsn=True,
        require_tls=True,
        max_hold_seconds=configuration.submit.max_future_release_ms // 1000 if is_submission else 0,
        max_recipients=acceptance_policy(name, limits, configuration.submit).max_recipients,
        lmtp=name is Service.LMTP,
        clock=resources.clock,
    )


def _special_offers(
    resources: WorkerResources, offer: Capabilities
) -> Callable[[str], Capabilities | None] | None:
    """Return what finds the offer for peers that ``[net]`` names; ``None``: it names none."""
    options = resources.configuration.net
    proxies, lenient = Networks(options.xclient_peers), Networks(options.bare_lf_peers)
    if not proxies and not lenient:
        return None

    def pick(host: str) -> Capabilities | None:
        return offers.get((host in proxies, host in lenient))

    offers = {
        (xclient, bare): replace(offer, xclient=xclient, bare_line_ends=bare)
        for xclient in (False, True)
        for bare in (False, True)
        if xclient or bare
    }
    return pick
