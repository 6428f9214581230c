"""All tracking events. Logs, metrics and the journey page are views of them.

One closed list, therefore one long file.

Laws:
- ``name`` is stored: after a release neither the name nor the meaning of a field changes.
- An event belongs to a session, to a mail, or to both; the row in which it is stored defines this.
- Events never contain the data of AUTH exchanges or the bytes of a message.
- An event with a ``recipient`` is shown only to the sender and to the owner of that recipient;
  ``tracking.journey`` enforces it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from zajil.core.value_class import value_class


@value_class(frozen=True, slots=True)
class TrackingEvent:
    """Base of all events."""

    name: ClassVar[str]
    at_ms: int
    """Milliseconds since 1970 UTC."""


# ---- sessions: one connection of a peer to us ----------------------------------------------


@value_class(frozen=True, slots=True)
class SessionOpened(TrackingEvent):
    """A peer connected."""

    name: ClassVar[str] = "session.opened"
    service: str
    """``smtp``, ``submission``, ``submissions``, ``imap``, ``web`` ..."""
    peer: str
    """Address and port: ``192.0.2.1:4711``; ``local`` for our own web and command line."""
    local: str


@value_class(frozen=True, slots=True)
class TlsStarted(TrackingEvent):
    """The connection is encrypted from here on."""

    name: ClassVar[str] = "session.tls"
    version: str
    cipher: str
    peer_name: str | None
    """Name in the peer's verified certificate; ``None`` when none was shown or verified."""


@value_class(frozen=True, slots=True)
class PeerGreeted(TrackingEvent):
    """EHLO or HELO; the name is claimed, never proven (RFC 5321 section 4.1.4)."""

    name: ClassVar[str] = "session.greeted"
    verb: str
    claimed_name: str


@value_class(frozen=True, slots=True)
class PeerReported(TrackingEvent):
    """A proxy of ours said for whom it speaks (XCLIENT); the session before it is another one."""

    name: ClassVar[str] = "session.proxied"
    proxy: str
    """Its address and port; the peer stands in ``session.opened``."""
    claimed_name: str
    """What the peer said in EHLO or HELO; ``""``: not told."""
    login: str | None
    """Whom the proxy has authenticated, as it says."""


@value_class(frozen=True, slots=True)
class AnswersSlowed(TrackingEvent):
    """From here on our answers wait; told once in a session."""

    name: ClassVar[str] = "session.slowed"
    reason: str
    """``errors``, or ``unknown peer`` (``receive.tarpit``)."""


@value_class(frozen=True, slots=True)
class LoggedIn(TrackingEvent):
    """AUTH or LOGIN succeeded."""

    name: ClassVar[str] = "session.login"
    login: str
    mechanism: str
    service: str = ""
    """``submission``, ``imaps``, ``web`` ...; ``""``: that of ``session.opened``."""
    peer: str = ""
    """Its address without a port; ``""``: that of ``session.opened``."""


@value_class(frozen=True, slots=True)
class LoginFailed(TrackingEvent):
    """AUTH or LOGIN failed; what was typed is not kept beyond the login name."""

    name: ClassVar[str] = "session.login_failed"
    login: str | None
    mechanism: str
    reason: str
    service: str = ""
    """``submission``, ``imaps``, ``web`` ...; ``""``: recorded by an older version."""
    peer: str = ""
    """Its address without a port; ``""``: recorded by an older version."""


@value_class(frozen=True, slots=True)
class CommandRefused(TrackingEvent):
    """We answered 4yz or 5yz to something that was not about one recipient."""

    name: ClassVar[str] = "session.refused"
    command: str
    reply: str


@value_class(frozen=True, slots=True)
class SessionClosed(TrackingEvent):
    """The connection is gone."""

    name: ClassVar[str] = "session.closed"
    reason: str
    """``quit``, ``peer closed``, ``timeout``, ``too many errors``, ``bytes after STARTTLS`` ..."""
    mails: int
    """How many mails it handed in."""


@value_class(frozen=True, slots=True)
class ConnectionsRefused(TrackingEvent):
    """Connections of one address that did not become sessions; one event for many of them."""

    name: ClassVar[str] = "connection.refused"
    service: str
    peer: str
    """Its address; ``others`` stands for the rest when very many addresses came at once."""
    reason: str
    """``too many sessions in all``, ``... of the address``, ``TLS handshake failed`` ..."""
    count: int
    since_ms: int
    """When the first of them came; ``at_ms`` is not before the last."""


@value_class(frozen=True, slots=True)
class RefusalsMerged(TrackingEvent):
    """Refusals of one peer that are only counted, because very many came; one event for many."""

    name: ClassVar[str] = "refusals.merged"
    peer: str
    """Its address; ``others`` stands for the rest when very many addresses came at once."""
    what: str
    """``refused mails``, ``failed log-ins``, ``sessions without a mail``."""
    count: int
    since_ms: int
    """When the first of them came; ``at_ms`` is not before the last."""


# ---- one mail comes in ----------------------------------------------------------------------


@value_class(frozen=True, slots=True)
class SenderNamed(TrackingEvent):
    """MAIL FROM was accepted."""

    name: ClassVar[str] = "mail.sender"
    reverse_path: str
    """``""`` is the null path of bounces."""
    parameters: str
    """As they came: ``SIZE=5120 BODY=8BITMIME``."""


@value_class(frozen=True, slots=True)
class RecipientNamed(TrackingEvent):
    """RCPT TO was accepted."""

    name: ClassVar[str] = "mail.recipient"
    recipient: str
    route: str
    """``local``, ``remote``, or ``alias``: what it stands for is told by ``route.alias``."""


@value_class(frozen=True, slots=True)
class RecipientRefused(TrackingEvent):
    """RCPT TO got 4yz or 5yz."""

    name: ClassVar[str] = "mail.recipient_refused"
    recipient: str
    reply: str


@value_class(frozen=True, slots=True)
class MessageReceived(TrackingEvent):
    """The last byte of the message is here; nothing is promised yet."""

    name: ClassVar[str] = "mail.received"
    size: int
    header_from: str
    message_id: str
    subject: str = ""
    """``""``: it has none, or an older version recorded it."""


@value_class(frozen=True, slots=True)
class LineEndsMended(TrackingEvent):
    """Lines ended in a bare LF, which we put right for a peer in ``net.bare_lf_peers``."""

    name: ClassVar[str] = "mail.line_ends"


@value_class(frozen=True, slots=True)
class HeaderCompleted(TrackingEvent):
    """Submission added or removed header fields (RFC 6409 section 8)."""

    name: ClassVar[str] = "mail.completed"
    changes: str
    """``added Date, removed Bcc``."""


@value_class(frozen=True, slots=True)
class CheckDone(TrackingEvent):
    """One check of the ``check`` step, and what it rested on."""

    name: ClassVar[str] = "check.done"
    check: str
    """``format``, ``spf``, ``dkim`` ..."""
    result: str
    reason: str
    """One sentence for a person."""
    inputs: tuple[str, ...]
    """DNS answers and facts it was based on, one a line."""


@value_class(frozen=True, slots=True)
class VerdictReached(TrackingEvent):
    """What follows from the checks for one recipient, or for all (``recipient`` is ``None``)."""

    name: ClassVar[str] = "check.verdict"
    recipient: str | None
    verdict: str
    """``accept``, ``junk``, ``defer`` or ``reject``."""
    score: float
    reasons: tuple[str, ...]
    """Sentences in English, heaviest first."""
    signals: tuple[tuple[str, float, str, Mapping[str, str | int]], ...] = ()
    """The same for every language and for programs: name, weight, sentence with places, values."""


@value_class(frozen=True, slots=True)
class MailSigned(TrackingEvent):
    """The mail carries signatures of one of our domains (RFC 6376)."""

    name: ClassVar[str] = "mail.signed"
    dkim_domain: str
    selectors: tuple[str, ...]
    algorithms: tuple[str, ...]
    """In the order of the selectors."""


@value_class(frozen=True, slots=True)
class MailSealed(TrackingEvent):
    """What we found out about a mail that goes on to another server was sealed (RFC 8617)."""

    name: ClassVar[str] = "mail.sealed"
    domain: str
    selector: str
    instance: int
    """Which seal in the chain it is, from 1."""
    cv: str
    """What the chain before it was worth: ``none``, ``pass``, ``fail``."""


@value_class(frozen=True, slots=True)
class MailAccepted(TrackingEvent):
    """Durable: the 250 is sent after the commit that holds this event."""

    name: ClassVar[str] = "mail.accepted"
    recipients: int


@value_class(frozen=True, slots=True)
class MailRefused(TrackingEvent):
    """The message was read, and refused or deferred after its end."""

    name: ClassVar[str] = "mail.refused"
    reply: str


@value_class(frozen=True, slots=True)
class AliasExpanded(TrackingEvent):
    """A recipient stood for others."""

    name: ClassVar[str] = "route.alias"
    recipient: str
    targets: tuple[str, ...]


@value_class(frozen=True, slots=True)
class MailboxFiled(TrackingEvent):
    """The copy of one recipient lies in a mailbox: in the same commit as this event."""

    name: ClassVar[str] = "deliver.filed"
    recipient: str
    account: str
    mailbox: str
    """``INBOX``, ``Junk`` ..."""
    reason: str
    """Why this mailbox, in a sentence."""


@value_class(frozen=True, slots=True)
class RecipientQueued(TrackingEvent):
    """The copy of one recipient waits in the queue: in the same commit as this event."""

    name: ClassVar[str] = "deliver.queued"
    recipient: str
    next_hop: str
    next_try_ms: int


@value_class(frozen=True, slots=True)
class AccountHeld(TrackingEvent):
    """Its account suddenly wrote to many strangers: copies for elsewhere wait for an operator."""

    name: ClassVar[str] = "account.held"
    since_ms: int
    """When the account began to be held."""
    strangers: int
    """To so many it had written on that day."""


# ---- one mail goes on -----------------------------------------------------------------------


@value_class(frozen=True, slots=True)
class RouteFound(TrackingEvent):
    """Where the next server of a domain is, and the DNS answers that say so."""

    name: ClassVar[str] = "route.found"
    domain: str
    hosts: tuple[str, ...]
    """``10 mx1.example.net [192.0.2.1, 2001:db8::1]``, in the order they are tried."""
    inputs: tuple[str, ...]
    """``MX example.net -> 10 mx1.example.net (ttl 300)``, a line per question."""


@value_class(frozen=True, slots=True)
class RelayFound(TrackingEvent):
    """The mail of a domain goes to a relay, because an option says so."""

    name: ClassVar[str] = "route.relay"
    domain: str
    relay: str
    """Host and port: ``smtp.provider.example:587``."""
    option: str
    """``smarthost.host``, or ``deliver.routes``."""
    inputs: tuple[str, ...]
    """``A smtp.provider.example -> 192.0.2.1 (ttl 300)``, a line per question."""


@value_class(frozen=True, slots=True)
class StsPolicyFound(TrackingEvent):
    """The domain has an MTA-STS policy (RFC 8461)."""

    name: ClassVar[str] = "route.mta_sts"
    domain: str
    mode: str
    """``enforce``, or ``testing``: nothing is refused."""
    mx: tuple[str, ...]
    """Servers that it permits; ``*.example.net``: with one label more."""
    refused: tuple[str, ...]
    """Servers in the MX records that it does not permit."""


@value_class(frozen=True, slots=True)
class TlsaFound(TrackingEvent):
    """A host has TLSA records that DNSSEC protects, so it must encrypt (DANE, RFC 7672)."""

    name: ClassVar[str] = "route.dane"
    domain: str
    host: str
    records: tuple[str, ...]
    """Those that can be used: ``3 1 1 0b9f..``; empty: none can."""


@value_class(frozen=True, slots=True)
class RouteFailed(TrackingEvent):
    """There is no way to the domain, now or at all."""

    name: ClassVar[str] = "route.failed"
    domain: str
    temporary: bool
    reason: str
    inputs: tuple[str, ...]


@value_class(frozen=True, slots=True)
class AttemptMade(TrackingEvent):
    """One conversation with one host, whatever came of it."""

    name: ClassVar[str] = "deliver.attempt"
    host: str
    address: str
    """Address and port that was tried."""
    tls: str | None
    """``TLSv1.3 TLS_AES_256_GCM_SHA384, certificate verified``; ``None`` without TLS."""
    dialogue: tuple[str, ...]
    """``S: 220 ...``, ``C: EHLO ...``, a line each; the message is only counted."""
    outcome: str
    """One sentence."""
    behind_alias: bool | None = None
    """Whether it was for a target that an alias hides from the sender; ``None``: not known."""


@value_class(frozen=True, slots=True)
class RecipientDelivered(TrackingEvent):
    """The next server took responsibility for the copy of one recipient."""

    name: ClassVar[str] = "deliver.delivered"
    recipient: str
    remote_mta: str
    reply: str
    """Its reply, unchanged: where it holds ``queued as ID``, both journeys join."""


@value_class(frozen=True, slots=True)
class DeliveryDeferred(TrackingEvent):
    """A try failed for now; ``next_try_ms`` says when the next one is due."""

    name: ClassVar[str] = "deliver.deferred"
    recipient: str
    remote_mta: str | None
    """Host that answered, ``None`` when none did."""
    diagnostic: str
    """Its reply, unchanged (RFC 3464 section 2.3.6), or our own sentence."""
    next_try_ms: int


@value_class(frozen=True, slots=True)
class RecipientFailed(TrackingEvent):
    """Given up: refused for good, or too old; a DSN follows unless the sender is null."""

    name: ClassVar[str] = "deliver.failed"
    recipient: str
    remote_mta: str | None
    status: str
    """Enhanced status code: ``5.1.1`` (RFC 3463)."""
    diagnostic: str
    expired: bool


@value_class(frozen=True, slots=True)
class DsnSent(TrackingEvent):
    """A delivery status notification was made; it is a mail of its own."""

    name: ClassVar[str] = "dsn.sent"
    dsn_mail_id: str
    recipients: tuple[str, ...]
    """Whom it reports on."""


@value_class(frozen=True, slots=True)
class DsnSuppressed(TrackingEvent):
    """No DSN: nobody is to be told (null sender, or NOTIFY=NEVER)."""

    name: ClassVar[str] = "dsn.suppressed"
    reason: str


@value_class(frozen=True, slots=True)
class OperatorActed(TrackingEvent):
    """Somebody held, released, expired or retried the mail by hand."""

    name: ClassVar[str] = "queue.operator"
    action: str
    """``hold``, ``release``, ``expire``, ``retry``, ``discard``; ``recall``: its author did it."""
    who: str
    reason: str
    recipients: tuple[str, ...]


@value_class(frozen=True, slots=True)
class DkimKeyRotated(TrackingEvent):
    """A signing key of one of our domains went one step on its way; belongs to no mail."""

    name: ClassVar[str] = "keys.changed"
    domain: str
    selector: str
    algorithm: str
    state: str
    """``published``, ``active``, ``retired``, ``revoked``."""


@value_class(frozen=True, slots=True)
class CertificateEnding(TrackingEvent):
    """The certificate of our listeners ends soon, or has ended."""

    name: ClassVar[str] = "tls.certificate"
    names: tuple[str, ...]
    """DNS names in it."""
    not_after_ms: int
    days_left: int
    """Whole days; negative: it has expired."""


@value_class(frozen=True, slots=True)
class QuotaReached(TrackingEvent):
    """A mailbox is nearly full; its owner was told."""

    name: ClassVar[str] = "account.quota_reached"
    address: str
    """Of the account."""
    percent: int
    """Of the limit that is nearest."""


@value_class(frozen=True, slots=True)
class FaultHappened(TrackingEvent):
    """Our own code or machine failed: the peer got 4yz, or the mail was taken without a check."""

    name: ClassVar[str] = "fault"
    summary: str
    traceback: str
    """For admins only."""


EVENTS: dict[str, type[TrackingEvent]] = {
    event.name: event
    for event in (
        SessionOpened,
        TlsStarted,
        PeerGreeted,
        PeerReported,
        AnswersSlowed,
        LoggedIn,
        LoginFailed,
        CommandRefused,
        SessionClosed,
        ConnectionsRefused,
        RefusalsMerged,
        SenderNamed,
        RecipientNamed,
        RecipientRefused,
        MessageReceived,
        LineEndsMended,
        HeaderCompleted,
        CheckDone,
        VerdictReached,
        MailSigned,
        MailSealed,
        MailAccepted,
        MailRefused,
        AliasExpanded,
        MailboxFiled,
        RecipientQueued,
        AccountHeld,
        RouteFound,
        RelayFound,
        StsPolicyFound,
        TlsaFound,
        RouteFailed,
        AttemptMade,
        RecipientDelivered,
        DeliveryDeferred,
        RecipientFailed,
        DsnSent,
        DsnSuppressed,
        OperatorActed,
        DkimKeyRotated,
        CertificateEnding,
        QuotaReached,
        FaultHappened,
    )
}
"""Every event by its stored name."""
