"""Sends the spans of mails to an OpenTelemetry collector (OTLP over HTTP, protobuf).

The event loop only puts batches into a queue; a thread of each worker makes spans of them and
sends them, some hundred at a time.

Law: mail never waits for a collector. When the queue is full, spans are dropped and counted.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING

from zajil.config.options_monitor import TracingOptions
from zajil.monitor.spans import MailSpan, SpanMaker, span_id_of, trace_id_of
from zajil.net.log import LogBatch
from zajil.net.logger import get_logger

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import SpanContext

_MOST_WAITING = 5000
"""Transactions that wait to be sent, of one worker."""
_AT_ONCE = 500
_PAUSE_SECONDS = 2.0
"""How long spans are gathered before they are sent."""
_TIMEOUT_SECONDS = 10.0
_PATH = "/v1/traces"
MISSING = (
    "tracing.endpoint needs the libraries of the extra 'tracing': pip install 'zajil[tracing]'"
)


def has_library() -> bool:
    """Return whether spans can be sent with what is installed."""
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:
        return False


class Tracer:
    """Takes what one worker records; ``close`` ends its thread.

    Args:
        options: with an endpoint.
        hostname: names this server in the traces.
        count: is told in a thread how many spans were ``sent`` or ``dropped``; of transactions
            for which there was no room in the queue, one span each.
    """

    def __init__(
        self, options: TracingOptions, hostname: str, count: Callable[[str, int], None]
    ) -> None:
        self._maker = SpanMaker(options.sample_ratio, addresses=options.addresses)
        self._exporter = _make_exporter(options)
        self._resource = _make_resource(hostname)
        self._count = count
        self._waiting: deque[LogBatch] = deque()
        self._wake = threading.Event()
        self._overflow = 0
        """Transactions for which there was no room; the loop counts up, the thread reads."""
        self._is_closed = False
        self._is_away = False
        self._thread = threading.Thread(target=self._run, name="zajil-traces", daemon=True)
        self._thread.start()

    def tell(self, batches: Sequence[LogBatch]) -> None:
        """Queue events; called in the event loop with all that this process records."""
        mails = [batch for batch in batches if batch.mail_id is not None]
        if len(self._waiting) + len(mails) > _MOST_WAITING:
            self._overflow += len(mails)
            return
        self._waiting.extend(mails)

    def close(self, seconds: float) -> None:
        """Send what waits, for at most so long; blocks."""
        self._is_closed = True
        self._wake.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        told = 0
        while True:
            if len(self._waiting) < _AT_ONCE:
                self._wake.wait(_PAUSE_SECONDS)
            overflow = self._overflow
            if overflow > told:
                self._count("dropped", overflow - told)
                told = overflow
            batches = [self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))]
            if batches:
                self._send(self._make(batches))
            elif self._is_closed:
                self._exporter.shutdown()
                return

    def _make(self, batches: Sequence[LogBatch]) -> list[MailSpan]:
        try:
            return list(self._maker.spans(batches))
        except Exception as error:  # the thread must not end
            get_logger().error("no traces can be made of some events", exc_info=error)
            self._count("dropped", len(batches))
            return []

    def _send(self, spans: Sequence[MailSpan]) -> None:
        from opentelemetry.sdk.trace.export import SpanExportResult

        if not spans:
            return
        try:
            result = self._exporter.export([_readable(span, self._resource) for span in spans])
            is_sent, reason = result is SpanExportResult.SUCCESS, "the collector did not take them"
        except Exception as error:  # of a library: traces must not end, and mail goes on
            is_sent, reason = False, repr(error)
        self._count("sent" if is_sent else "dropped", len(spans))
        if is_sent == self._is_away:
            self._is_away = not is_sent
            if is_sent:
                get_logger().info("traces are sent again")
            else:
                get_logger().warning("traces cannot be sent and are dropped", reason=reason)


def _make_exporter(options: TracingOptions) -> SpanExporter:
    # Imported here, because it takes 15 MiB and few servers send traces.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    endpoint = options.endpoint or ""
    has_path = endpoint.partition("://")[2].rstrip("/").count("/") > 0
    return OTLPSpanExporter(
        endpoint=endpoint if has_path else endpoint.rstrip("/") + _PATH,
        headers=dict(options.headers),
        timeout=_TIMEOUT_SECONDS,
    )


def _make_resource(hostname: str) -> Resource:
    from opentelemetry.sdk.resources import Resource

    values: Mapping[str, str] = {
        "service.name": "zajil",
        "service.version": version("zajil"),
        "service.instance.id": hostname,
    }
    return Resource(values)


def _readable(span: MailSpan, resource: Resource) -> ReadableSpan:
    from opentelemetry.sdk.trace import Event, ReadableSpan
    from opentelemetry.trace import Link, SpanKind, Status, StatusCode

    parent = None if span.parent_id is None else _context(span.mail_id, span.parent_id)
    return ReadableSpan(
        name=span.name,
        context=_context(span.mail_id, span.span_id),
        parent=parent,
        resource=resource,
        attributes=span.attributes,
        events=[
            Event(event.name, event.attributes, timestamp=event.at_ms * 1_000_000)
            for event in span.events
        ],
        links=[Link(_context(mail_id, span_id_of(mail_id))) for mail_id in span.links],
        kind=SpanKind[span.kind.upper()],
        status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.UNSET),
        start_time=span.start_ms * 1_000_000,
        end_time=span.end_ms * 1_000_000,
    )


def _context(mail_id: str, span_id: int) -> SpanContext:
    from opentelemetry.trace import SpanContext, TraceFlags

    flags = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(trace_id_of(mail_id), span_id, is_remote=False, trace_flags=flags)
