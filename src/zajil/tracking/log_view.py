"""Tracking events as log lines for operators and fail2ban. Pure.

One of the three views of events. ``net.log`` writes the lines; ``docs/run/log.md`` documents them.

Laws:
- A line has the name of its event, which never changes, and the peer's address as its first value.
- Level ``info`` contains results of connections, log-ins, recipients and mails; all other events
  have level ``debug``.
- Many refusals are merged into a few lines and a count; lack of space is logged every ten minutes.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from zajil.core.service import Service
from zajil.tracking import events as tracked
from zajil.tracking.audit import AUDIT_EVENTS, AuditEvent, QueueChanged
from zajil.tracking.codec import event_to_dict
from zajil.tracking.events import TrackingEvent
from zajil.tracking.log_line import Floods, LogLine, Space, Values, spell_time


@dataclass(slots=True)
class _Session:
    """What later lines say of a connection."""

    values: dict[str, object]
    """``peer`` and ``service``, and ``login`` once there was one."""


@dataclass(slots=True)
class _Batch:
    """The events of one mail or connection, and what they have in common."""

    mail_id: str | None
    session: _Session
    events: Sequence[TrackingEvent]

    def first(self, kind: type[TrackingEvent]) -> Any:
        """Return the first event of a kind; ``None``: there is none."""
        return next((event for event in self.events if type(event) is kind), None)

    def values(self, **values: object) -> Values:
        """Put what all lines of the batch say before some values."""
        named = {} if self.mail_id is None else {"id": self.mail_id}
        return {**self.session.values, **named, **values}

    @property
    def sender(self) -> str:
        """The reverse path; ``<>``: the null path, or none was named."""
        named = self.first(tracked.SenderNamed)
        return named.reverse_path or "<>" if named is not None else "<>"


_MOST_SESSIONS = 10_000
"""Connections remembered, so that lines about their later mails name the peer."""
_NO_SPACE = "452 4.3.1"


class LogView:
    """Turns events into lines; remembers connections and floods, a bounded number of them.

    Args:
        is_debug: give the lines of level ``debug`` too.
    """

    def __init__(self, *, is_debug: bool = False) -> None:
        self._is_debug = is_debug
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._floods = Floods()
        self._space = Space()

    @property
    def owes_lines(self) -> bool:
        """Whether ``finish`` will have something to give."""
        return bool(self._floods)

    def lines(
        self, session_id: str | None, mail_id: str | None, events: Sequence[TrackingEvent]
    ) -> Iterator[LogLine]:
        """Yield the lines for the events of one mail or connection in one transaction."""
        batch = _Batch(mail_id, self._session(session_id, events), events)
        for event in events:
            tell = _TELL.get(type(event))
            line = tell(batch, event) if tell is not None else None
            if line is None:
                if self._is_debug:
                    yield from _debug_lines(batch, event)
                continue
            level, values = line
            if event.name in _FLOODING:
                if event.name == "mail.refused" and str(values["reply"]).startswith(_NO_SPACE):
                    yield from self._space.refused(event.at_ms, str(values["reason"]))
                    continue
                yield from self._floods.finish(event.at_ms)
                if not self._floods.has_room(event.name, str(values.get("peer", "")), event.at_ms):
                    continue
            elif type(event) is tracked.MailAccepted and self._space.short_since_ms:
                yield self._space.found(event.at_ms)
            yield LogLine(event.at_ms, level, event.name, values)

    def finish(self, now_ms: int) -> Iterator[LogLine]:
        """Return the counts of floods whose minute is over."""
        return self._floods.finish(now_ms)

    def _session(self, session_id: str | None, events: Sequence[TrackingEvent]) -> _Session:
        if session_id is None:
            return _Session({})
        session = self._sessions.get(session_id)
        if session is None:
            session = _Session({})
            for event in events:
                if type(event) is tracked.SessionOpened:
                    session.values = {"peer": _host(event.peer), "service": event.service}
                    self._sessions[session_id] = session
                    if len(self._sessions) > _MOST_SESSIONS:
                        self._sessions.popitem(last=False)
                    break
        for event in events:
            if type(event) is tracked.LoggedIn:
                session.values["login"] = event.login
            elif type(event) is tracked.SessionClosed:
                self._sessions.pop(session_id, None)
        return session


# ---- one event ----------------------------------------------------------------------------------

_Told = tuple[str, Values] | None
"""Level and values; ``None``: it is told at ``debug``."""


def _tell_refused_connections(_batch: _Batch, event: tracked.ConnectionsRefused) -> _Told:
    values = {"peer": event.peer, "service": event.service, "reason": event.reason}
    return "info", {**values, "count": event.count, "since": spell_time(event.since_ms)}


def _tell_merged(_batch: _Batch, event: tracked.RefusalsMerged) -> _Told:
    values = {"peer": event.peer, "what": event.what, "count": event.count}
    return "info", {**values, "since": spell_time(event.since_ms)}


def _tell_login(batch: _Batch, event: tracked.LoggedIn) -> _Told:
    if event.mechanism == Service.WEB:
        return None  # a mail of a browser that logged in before
    values = dict(batch.session.values)
    if event.peer:
        values |= {"peer": event.peer, "service": event.service}
    return "info", {**values, "login": event.login, "mechanism": event.mechanism}


def _tell_failed_login(batch: _Batch, event: tracked.LoginFailed) -> _Told:
    values = {"peer": event.peer, "service": event.service} if event.peer else {}
    failed = {"login": event.login or "", "mechanism": event.mechanism, "reason": event.reason}
    return "info", {**batch.session.values, **values, **failed}


def _tell_refused_command(batch: _Batch, event: tracked.CommandRefused) -> _Told:
    return "info", {**batch.session.values, "command": event.command, "reply": event.reply}


_ORDINARY_ENDS = ("quit", "peer closed", "shutdown", "XCLIENT", "logout")


def _tell_closed(batch: _Batch, event: tracked.SessionClosed) -> _Told:
    if event.reason in _ORDINARY_ENDS:
        return None
    return "info", {**batch.session.values, "reason": event.reason, "mails": event.mails}


def _tell_refused_recipient(batch: _Batch, event: tracked.RecipientRefused) -> _Told:
    values = {"from": batch.sender, "to": event.recipient, "reply": event.reply}
    return "info", batch.values(**values)


def _tell_refused_mail(batch: _Batch, event: tracked.MailRefused) -> _Told:
    reason = ""
    for other in batch.events:
        if isinstance(other, tracked.FaultHappened):
            reason = other.summary
        elif isinstance(other, tracked.VerdictReached) and other.recipient is None:
            reason = other.reasons[0] if other.reasons else ""
    return "info", batch.values(**{"from": batch.sender, "reply": event.reply, "reason": reason})


def _tell_accepted(batch: _Batch, event: tracked.MailAccepted) -> _Told:
    received = batch.first(tracked.MessageReceived)
    values = {
        "from": batch.sender,
        "recipients": event.recipients,
        "size": received.size if received is not None else 0,
        "message_id": received.message_id if received is not None else "",
    }
    return "info", batch.values(**values)


def _of_mail(batch: _Batch, **values: object) -> Values:
    """Name the mail, not the connection that it came by."""
    return {"id": batch.mail_id or "", **values}


def _tell_filed(batch: _Batch, event: tracked.MailboxFiled) -> _Told:
    values = {"to": event.recipient, "account": event.account, "mailbox": event.mailbox}
    return "info", _of_mail(batch, **values)


def _tell_delivered(batch: _Batch, event: tracked.RecipientDelivered) -> _Told:
    values = {"to": event.recipient, "host": event.remote_mta, "reply": event.reply}
    return "info", _of_mail(batch, **values)


def _tell_deferred(batch: _Batch, event: tracked.DeliveryDeferred) -> _Told:
    return "info", _of_mail(
        batch,
        to=event.recipient,
        host=event.remote_mta or "",
        reason=event.diagnostic,
        next_try=spell_time(event.next_try_ms),
    )


def _tell_failed(batch: _Batch, event: tracked.RecipientFailed) -> _Told:
    return "info", _of_mail(
        batch,
        to=event.recipient,
        host=event.remote_mta or "",
        status=event.status,
        reason=event.diagnostic,
        expired=event.expired,
    )


def _tell_dsn(batch: _Batch, event: tracked.DsnSent) -> _Told:
    about = ",".join(event.recipients)
    return "info", _of_mail(batch, dsn_id=event.dsn_mail_id, about=about)


def _tell_no_dsn(batch: _Batch, event: tracked.DsnSuppressed) -> _Told:
    return "info", _of_mail(batch, reason=event.reason)


def _tell_held(batch: _Batch, event: tracked.AccountHeld) -> _Told:
    login = batch.session.values.get("login", "")
    return "warning", _of_mail(batch, login=login, strangers=event.strangers)


def _tell_operator(batch: _Batch, event: tracked.OperatorActed) -> _Told:
    values = {"action": event.action, "who": event.who, "to": ",".join(event.recipients)}
    return "info", _of_mail(batch, **values, reason=event.reason)


def _tell_key(_batch: _Batch, event: tracked.DkimKeyRotated) -> _Told:
    values = {"domain": event.domain, "selector": event.selector}
    return "info", {**values, "algorithm": event.algorithm, "state": event.state}


def _tell_certificate(_batch: _Batch, event: tracked.CertificateEnding) -> _Told:
    level = "error" if event.days_left < 0 else "warning"
    values = {"names": ",".join(event.names), "days_left": event.days_left}
    return level, {**values, "not_after": spell_time(event.not_after_ms)}


def _tell_quota(_batch: _Batch, event: tracked.QuotaReached) -> _Told:
    return "warning", {"address": event.address, "percent": event.percent}


def _tell_fault(batch: _Batch, event: tracked.FaultHappened) -> _Told:
    if event.summary and batch.first(tracked.MailRefused) is not None:
        refused = batch.first(tracked.MailRefused)
        if refused.reply.startswith(_NO_SPACE):
            return None  # no fault of ours, and told once
    return "error", batch.values(summary=event.summary)


def _tell_change(_batch: _Batch, event: AuditEvent) -> _Told:
    values = event_to_dict(event)
    for name in ("name", "at_ms", "account_id"):
        del values[name]
    shown = {
        name: ",".join(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if name not in ("origin", "peer")
    }
    return "info", {"peer": event.peer or "local", **shown}


_TELL: dict[type[TrackingEvent], Callable[[_Batch, Any], _Told]] = {
    tracked.ConnectionsRefused: _tell_refused_connections,
    tracked.RefusalsMerged: _tell_merged,
    tracked.LoggedIn: _tell_login,
    tracked.LoginFailed: _tell_failed_login,
    tracked.CommandRefused: _tell_refused_command,
    tracked.SessionClosed: _tell_closed,
    tracked.RecipientRefused: _tell_refused_recipient,
    tracked.MailRefused: _tell_refused_mail,
    tracked.MailAccepted: _tell_accepted,
    tracked.MailboxFiled: _tell_filed,
    tracked.RecipientDelivered: _tell_delivered,
    tracked.DeliveryDeferred: _tell_deferred,
    tracked.RecipientFailed: _tell_failed,
    tracked.DsnSent: _tell_dsn,
    tracked.DsnSuppressed: _tell_no_dsn,
    tracked.AccountHeld: _tell_held,
    tracked.OperatorActed: _tell_operator,
    tracked.DkimKeyRotated: _tell_key,
    tracked.CertificateEnding: _tell_certificate,
    tracked.QuotaReached: _tell_quota,
    tracked.FaultHappened: _tell_fault,
    **{
        kind: _tell_change
        # Each mail of it has a line of its own: ``queue.operator``.
        for kind in AUDIT_EVENTS.values()
        if kind is not QueueChanged
    },
}
_FLOODING = {
    kind.name
    for kind in (
        tracked.LoginFailed,
        tracked.CommandRefused,
        tracked.SessionClosed,
        tracked.RecipientRefused,
        tracked.MailRefused,
    )
}


def _debug_lines(batch: _Batch, event: TrackingEvent) -> Iterator[LogLine]:
    values = event_to_dict(event)
    del values["name"], values["at_ms"]
    dialogue = values.pop("dialogue", ())
    yield LogLine(event.at_ms, "debug", event.name, {**batch.values(), **values})
    for said in dialogue:
        yield LogLine(event.at_ms, "debug", "deliver.dialogue", _of_mail(batch, said=said))


def _host(peer: str) -> str:
    """Return the address of ``192.0.2.1:4711``, ``[2001:db8::1]:4711``, ``local``."""
    if peer.count(":") > 1 and not peer.startswith("["):
        return peer  # an IPv6 address without a port
    return peer.rpartition(":")[0].strip("[]") or peer
