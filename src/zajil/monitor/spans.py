"""A mail's journey as spans of a trace: from events of its transactions. Pure.

The trace id is the mail id, filled up with zeros: who has one has the other. Every process makes
the same ids, so that the attempts of another worker find their parent.

Laws:
- Addresses of people and peers are attributes only where ``tracing.addresses`` says so.
- A session that brought no mail has no trace.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from zajil.core.ids import MAIL_ID_PATTERN
from zajil.net.log import LogBatch
from zajil.tracking import events as tracked
from zajil.tracking.events import TrackingEvent

Attributes = Mapping[str, str | int | bool]

_ID = re.compile(MAIL_ID_PATTERN)
_ID_TIME_SIZE = 12
_ROOT = "mail"
_NEW_MS = 60_000
_ATTEMPT_EVENTS: frozenset[type[TrackingEvent]] = frozenset(
    {
        *(tracked.RouteFound, tracked.RouteFailed, tracked.AttemptMade),
        *(tracked.RecipientDelivered, tracked.DeliveryDeferred, tracked.RecipientFailed),
    }
)
_PLACED: frozenset[type[TrackingEvent]] = frozenset({tracked.RecipientQueued, tracked.MailboxFiled})


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened at one moment of a span."""

    name: str
    at_ms: int
    attributes: Attributes


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSpan:
    """One span."""

    mail_id: str
    span_id: int
    parent_id: int | None
    """``None``: it is the root of the trace."""
    name: str
    kind: str
    """``server``, ``client``, ``internal``."""
    start_ms: int
    end_ms: int
    attributes: Attributes = field(default_factory=dict)
    events: Sequence[SpanEvent] = ()
    links: Sequence[str] = ()
    """Mails whose traces belong to this one."""
    error: str = ""
    """Why it failed; ``""``: it did not."""

    @property
    def trace_id(self) -> int:
        """128 bits."""
        return trace_id_of(self.mail_id)


def trace_id_of(mail_id: str) -> int:
    """Return the trace id of a mail."""
    return int(mail_id.ljust(32, "0"), 16)


def span_id_of(mail_id: str, name: str = _ROOT) -> int:
    """Return the id of a span; never 0. That of the root is what other traces link to."""
    digest = hashlib.blake2b(f"{mail_id} {name}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") or 1


def is_sampled(mail_id: str, ratio: float) -> bool:
    """Return whether a mail is in the sample: the same in every process."""
    return bool(_ID.fullmatch(mail_id)) and int(mail_id[_ID_TIME_SIZE:], 16) < ratio * 2**64


class SpanMaker:
    """Makes spans from batches of events, in the order in which they were recorded.

    Args:
        ratio: share of the mails that have a trace, 0 to 1.
        addresses: whether addresses are attributes.
    """

    def __init__(self, ratio: float, *, addresses: bool) -> None:
        self._ratio = ratio
        self._addresses = addresses

    def spans(self, batches: Iterable[LogBatch]) -> Iterator[MailSpan]:
        """Yield the spans of some transactions."""
        parents: dict[str, str] = {}
        batches = list(batches)
        for batch in batches:
            for event in batch.events:
                if type(event) is tracked.DsnSent and batch.mail_id:
                    parents[event.dsn_mail_id] = batch.mail_id
        for batch in batches:
            mail_id = batch.mail_id
            if mail_id is None or not batch.events or not is_sampled(mail_id, self._ratio):
                continue
            kinds = {type(event) for event in batch.events}
            if kinds & {tracked.MailAccepted, tracked.MailRefused}:
                yield from self._reception(mail_id, batch.events)
            elif kinds & _ATTEMPT_EVENTS:
                yield self._attempt(mail_id, batch.events)
            elif kinds & _PLACED and _is_new(mail_id, batch):
                yield self._own(mail_id, batch.events, parents.get(mail_id))

    def _reception(self, mail_id: str, events: Sequence[TrackingEvent]) -> Iterator[MailSpan]:
        """The root, and a part for each step."""
        marks = {type(event): event.at_ms for event in reversed(events)}
        first, last = _period(events)
        opened = marks.get(tracked.SessionOpened, first)
        named = marks.get(tracked.SenderNamed, opened)
        received = marks.get(tracked.MessageReceived, named)
        judged = marks.get(tracked.VerdictReached, received)
        root = span_id_of(mail_id)
        refused = next((one for one in events if isinstance(one, tracked.MailRefused)), None)
        yield MailSpan(
            mail_id=mail_id,
            span_id=root,
            parent_id=None,
            name=_ROOT,
            kind="server",
            start_ms=first,
            end_ms=last,
            attributes=self._attributes(mail_id, events),
            events=[one for event in events if (one := self._event(event))],
            error="" if refused is None else refused.reply,
        )
        steps = [("session", opened, named), ("receive", named, received)]
        steps += [("check", received, judged), ("accept", judged, last)]
        for name, start, end in steps:
            yield MailSpan(
                mail_id=mail_id,
                span_id=span_id_of(mail_id, name),
                parent_id=root,
                name=name,
                kind="internal",
                start_ms=start,
                end_ms=max(start, end),
                attributes={"zajil.mail_id": mail_id},
            )

    def _own(self, mail_id: str, events: Sequence[TrackingEvent], parent: str | None) -> MailSpan:
        """A mail that this server wrote: a bounce, a report."""
        _, last = _period(events)
        return MailSpan(
            mail_id=mail_id,
            span_id=span_id_of(mail_id),
            parent_id=None,
            name=_ROOT,
            kind="internal",
            start_ms=min(int(mail_id[:_ID_TIME_SIZE], 16), last),
            end_ms=last,
            attributes={"zajil.mail_id": mail_id, "zajil.own": True},
            events=[one for event in events if (one := self._event(event))],
            links=() if parent is None else (parent,),
        )

    def _attempt(self, mail_id: str, events: Sequence[TrackingEvent]) -> MailSpan:
        first, last = _period(events)
        attributes: dict[str, str | int | bool] = {"zajil.mail_id": mail_id}
        error, links = "", []
        for event in events:
            match event:
                case tracked.RouteFound(domain=domain) | tracked.RouteFailed(domain=domain):
                    attributes["zajil.next_hop"] = domain
                case tracked.AttemptMade(host=host, tls=tls):
                    attributes["server.address"] = host
                    attributes["tls.protocol.version"] = (tls or "none").partition(" ")[0]
                case tracked.DeliveryDeferred(diagnostic=reason):
                    error = "deferred" if not self._addresses else f"deferred: {reason}"
                case tracked.RecipientFailed(status=status):
                    error = f"failed: {status}"
                case tracked.DsnSent(dsn_mail_id=dsn):
                    links.append(dsn)
        return MailSpan(
            mail_id=mail_id,
            span_id=span_id_of(mail_id, f"attempt {last} {attributes.get('server.address', '')}"),
            parent_id=span_id_of(mail_id),
            name="delivery attempt",
            kind="client",
            start_ms=first,
            end_ms=last,
            attributes=attributes,
            events=[one for event in events if (one := self._event(event))],
            links=links,
            error=error,
        )

    def _attributes(self, mail_id: str, events: Sequence[TrackingEvent]) -> Attributes:
        found: dict[str, str | int | bool] = {"zajil.mail_id": mail_id}
        for event in events:
            match event:
                case tracked.SessionOpened(service=service, peer=peer):
                    found["zajil.service"] = service
                    if self._addresses:
                        found["client.address"] = peer
                case tracked.SenderNamed(reverse_path=sender) if self._addresses:
                    found["zajil.sender"] = sender
                case tracked.MessageReceived(size=size):
                    found["zajil.size"] = size
                case tracked.VerdictReached(recipient=None, verdict=verdict):
                    found["zajil.verdict"] = verdict
                case tracked.MailAccepted(recipients=number):
                    found["zajil.recipients"] = number
        return found

    def _event(self, event: TrackingEvent) -> SpanEvent | None:
        values: dict[str, str | int | bool] = {}
        match event:
            case tracked.CheckDone(check=check, result=result):
                values = {"check": check, "result": result}
            case tracked.TlsStarted(version=version):
                values = {"version": version}
            case tracked.RecipientRefused(reply=reply):
                values = {"status": reply[:9]}
            case tracked.VerdictReached(recipient=None, verdict=verdict):
                values = {"verdict": verdict}
            case tracked.FaultHappened(summary=summary):
                values = {"summary": summary}
            case tracked.RecipientQueued(next_hop=hop):
                values = {"next_hop": hop}
            case tracked.MailboxFiled(mailbox=mailbox) if self._addresses:
                values = {"mailbox": mailbox}
            case (
                tracked.MailboxFiled()
                | tracked.RecipientDelivered()
                | tracked.DeliveryDeferred()
                | tracked.RecipientFailed()
                | tracked.LoggedIn()
                | tracked.MailSigned()
                | tracked.DsnSent()
            ):
                pass
            case _:
                return None
        recipient = getattr(event, "recipient", None)
        if self._addresses and recipient:
            values["recipient"] = recipient
        return SpanEvent(event.name, event.at_ms, values)


def _is_new(mail_id: str, batch: LogBatch) -> bool:
    """Whether a mail of our own begins with a batch; else a copy was released much later."""
    _, last = _period(batch.events)
    return batch.session_id is None and last - int(mail_id[:_ID_TIME_SIZE], 16) < _NEW_MS


def _period(events: Sequence[TrackingEvent]) -> tuple[int, int]:
    times = [event.at_ms for event in events]
    return min(times), max(times)
