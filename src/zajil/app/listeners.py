"""The mail protocols on their listeners: who may connect, what is offered, who answers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace

from zajil.accept.context import ReceiveServices
from zajil.accept.known_peers import KnownPeers
from zajil.app.resources import WorkerResources
from zajil.core.service import Service
from zajil.login.service import LoginService
from zajil.net.admission import Admission
from zajil.net.drive_imap import ImapTimes
from zajil.net.drive_smtp import SmtpService
from zajil.net.floods import FloodCounter
from zajil.net.limits import SessionLimits
from zajil.net.log import trace_to_log
from zajil.net.peer import Networks, Peer
from zajil.net.smtp_contract import Session, SmtpLimits
from zajil.read.imap.service import ImapService
from zajil.receive.lmtp import LmtpSession
from zajil.receive.session import ReceiveSession
from zajil.smtp.extensions import Capabilities
from zajil.smtp.server import ServerConnection
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.submit.session import SubmitServices, SubmitSession
from zajil.tracking.events import TrackingEvent
from zajil.web.server import ConnectionRules

_NEVER = 1 << 62


def smtp_service(means: WorkerResources, login: LoginService, name: Service) -> SmtpService:
    """Make the service of port 25, 587 or 465, or of LMTP."""
    configuration, tls = means.configuration, means.server_tls
    limits = configuration.limits
    offer = _offer(means, login, name)
    return SmtpService(
        _session_maker(means, login, name),
        offer,
        tls=tls,
        implicit_tls=name.has_implicit_tls and tls is not None,
        entrance=entrance(means, name),
        peer_offers=_favourites(means, offer),
        trace=_trace(means, "smtp.dialogue"),
        limits=SmtpLimits(
            # LMTP: a program in front of us passes on what strangers got wrong.
            errors=_NEVER if name is Service.LMTP else limits.errors,
            commands=limits.commands,
            idle_seconds=limits.idle / 1000,
            data_idle_seconds=limits.data_idle / 1000,
            mail_seconds=limits.mail_time / 1000,
            handshake_seconds=limits.handshake / 1000,
            pending=limits.pending,
            greeting_delay_seconds=(
                configuration.receive.greeting_delay / 1000 if name is Service.SMTP else 0
            ),
        ),
    )


def imap_service(means: WorkerResources, login: LoginService, name: Service) -> ImapService:
    """Make the service of port 143 or 993."""
    limits = means.configuration.limits
    return ImapService(
        means.store,
        login,
        hostname=means.configuration.server.hostname,
        limits=limits,
        tls=means.server_tls,
        implicit_tls=name.has_implicit_tls,
        clock=means.clock,
        times=ImapTimes(handshake=limits.handshake / 1000),
        entrance=entrance(means, name),
        trace=_trace(means, "imap.dialogue"),
    )


def _trace(means: WorkerResources, event: str) -> Callable[[Peer, str], None] | None:
    """Give what writes dialogues to the log, at ``debug`` alone: it costs time."""
    is_debug = means.configuration.log.level == "debug"
    return functools.partial(trace_to_log, event) if is_debug else None


def entrance(means: WorkerResources, name: Service, *, many_users: bool = False) -> Admission:
    """Say who may connect to a service; what is refused becomes a row of events now and then.

    Args:
        means: of the worker.
        name: of the service.
        many_users: one address brings many users: only the cap on all sessions counts.
    """
    limits, store = means.configuration.limits, means.store
    is_trusted = (
        many_users or name is Service.LMTP
    )  # a program in front of us brings everybody's mail
    caps = means.sessions[name].caps(
        means.number,
        SessionLimits(
            limits.sessions,
            0 if is_trusted else limits.sessions_per_address,
            0 if is_trusted else limits.sessions_per_network,
        ),
    )

    floods = FloodCounter(name, means.clock, functools.partial(record_floods, store))
    return Admission(caps, floods, Networks(means.configuration.net.proxy_peers))


def web_admission(means: WorkerResources) -> ConnectionRules:
    """Say who may connect to the pages."""
    options = means.configuration.web
    return ConnectionRules(
        browsers=entrance(means, Service.WEB),
        proxies=entrance(means, Service.WEB, many_users=True),
        trusted=Networks(options.trusted_proxies),
        header_seconds=options.header_time / 1000,
    )


def record_floods(store: Store, events: Sequence[TrackingEvent]) -> None:
    """Keep the events of one moment as one row."""
    store.write_later(record_events, EventBatch(None, None, events[0].at_ms, tuple(events)))


def receive_services(means: WorkerResources, name: Service) -> ReceiveServices:
    """Give what all sessions of a service share."""
    configuration = means.configuration
    tarpit_ms = configuration.receive.tarpit if name is Service.SMTP else 0
    return ReceiveServices(
        means.store,
        means.clock,
        means.random,
        configuration.limits,
        configuration.server.hostname,
        name,
        configuration.queue.lifetime,
        means.checks,
        configuration.submit if name.is_for_users else None,
        KnownPeers(tarpit_ms) if tarpit_ms else None,
        means.signer,
        means.dmarc_counts,
        means.refusals,
    )


def _session_maker(
    means: WorkerResources, login: LoginService, name: Service
) -> Callable[[Peer, ServerConnection], Session]:
    services = receive_services(means, name)
    if name.is_submission:
        return functools.partial(SubmitSession, SubmitServices(services, login))
    return functools.partial(LmtpSession if name is Service.LMTP else ReceiveSession, services)


def _offer(means: WorkerResources, login: LoginService, name: Service) -> Capabilities:
    configuration, limits = means.configuration, means.configuration.limits
    is_submission = name.is_submission
    return Capabilities(
        configuration.server.hostname,
        limits.message_size,
        starttls=means.server_tls is not None and not name.has_implicit_tls,
        auth_mechanisms=login.mechanisms if is_submission else (),
        chunking=True,
        dsn=True,
        require_tls=True,
        max_hold_seconds=configuration.submit.future_release_max // 1000 if is_submission else 0,
        max_recipients=receive_services(means, name).most_recipients,
        lmtp=name is Service.LMTP,
        clock=means.clock,
    )


def _favourites(
    means: WorkerResources, offer: Capabilities
) -> Callable[[str], Capabilities | None] | None:
    """Give what picks the offer of peers that the operator has named; ``None``: none are."""
    options = means.configuration.net
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
