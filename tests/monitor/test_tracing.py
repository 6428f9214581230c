"""The journey of a mail as a trace: a real collector receives real OTLP over HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from kit.certificates import TestAuthority
from kit.installation import running_installation, set_up
from kit.raw_smtp import RawPeer
from zajil.config.options_monitor import TracingOptions
from zajil.core.ids import MailId, SessionId
from zajil.monitor.spans import MailSpan, SpanMaker, is_sampled, span_id_of, trace_id_of
from zajil.monitor.tracing import Tracer
from zajil.store.mail.tracking import EventBatch
from zajil.tracking import events as tracked
from zajil.tracking.events import TrackingEvent

SESSION, MAIL, BOUNCE = SessionId("5" * 28), MailId("a" * 28), MailId("b" * 28)


class Collector:
    """Takes traces as an OpenTelemetry collector does; ``status`` is what it answers."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], ExportTraceServiceRequest]] = []
        self.status = 200
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if collector.status == 200:
                    request = ExportTraceServiceRequest.FromString(body)
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    collector.requests.append(({**headers, "path": self.path}, request))
                self.send_response(collector.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def spans(self) -> list[Any]:
        """All spans, in the order in which they came."""
        return [
            span
            for _, request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    def wait(self, number: int) -> list[Any]:
        """Wait for so many spans."""
        end = time.monotonic() + 60
        while len(self.spans) < number:
            assert time.monotonic() < end, [span.name for span in self.spans]
            time.sleep(0.02)
        return self.spans

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    yield collector
    collector.close()


RECEPTION: tuple[TrackingEvent, ...] = (
    tracked.SessionOpened(1000, "smtp", "192.0.2.1:4711", "192.0.2.2:25"),
    tracked.TlsStarted(1010, "TLSv1.3", "x", None),
    tracked.SenderNamed(1020, "secret-sender@there.test", ""),
    tracked.RecipientNamed(1030, "secret-recipient@y.test", "local"),
    tracked.MessageReceived(1100, 5000, "secret-from@there.test", "<1@there.test>"),
    tracked.CheckDone(1150, "dmarc", "pass", "", ()),
    tracked.VerdictReached(1160, None, "accept", 0.0, ()),
    tracked.MailAccepted(1200, 1),
    tracked.MailboxFiled(1200, "secret-recipient@y.test", "b", "INBOX", ""),
)
ATTEMPT: tuple[TrackingEvent, ...] = (
    tracked.RouteFound(2000, "there.test", (), ()),
    tracked.AttemptMade(2400, "mx.there.test", "192.0.2.9:25", "TLSv1.3 x", (), ""),
    tracked.RecipientFailed(2400, "secret@there.test", "mx.there.test", "5.1.1", "no", False),
    tracked.DsnSent(2400, BOUNCE, ("secret@there.test",)),
)


def make(*batches: EventBatch, ratio: float = 1, addresses: bool = False) -> dict[str, MailSpan]:
    """Give the spans by their names."""
    maker = SpanMaker(ratio, addresses=addresses)
    return {f"{span.name} {span.mail_id[:1]}": span for span in maker.spans(batches)}


def test_a_reception_is_a_root_and_its_steps() -> None:
    spans = make(EventBatch(SESSION, MAIL, 0, RECEPTION))
    root = spans["mail a"]
    assert (root.start_ms, root.end_ms, root.parent_id) == (1000, 1200, None)
    assert root.attributes == {
        "zajil.mail_id": MAIL,
        "zajil.service": "smtp",
        "zajil.size": 5000,
        "zajil.verdict": "accept",
        "zajil.recipients": 1,
    }
    steps = [spans[f"{name} a"] for name in ("session", "receive", "check", "accept")]
    assert [(one.start_ms, one.end_ms) for one in steps] == [
        *((1000, 1020), (1020, 1100), (1100, 1160), (1160, 1200)),
    ]
    assert {one.parent_id for one in steps} == {root.span_id} == {span_id_of(MAIL)}
    assert f"{root.trace_id:032x}" == MAIL + "0000"


def test_no_address_is_told_unless_it_is_asked_for() -> None:
    batches = [EventBatch(SESSION, MAIL, 0, RECEPTION), EventBatch(None, MAIL, 0, ATTEMPT)]
    plain, whole = str(make(*batches)), str(make(*batches, addresses=True))
    for secret in ("secret", "192.0.2.1", "INBOX"):
        assert secret not in plain
        assert secret in whole


def test_an_attempt_finds_its_parent_and_its_bounce() -> None:
    bounce = (tracked.RecipientQueued(2400, "a@b.test", "b.test", 2400),)
    spans = make(EventBatch(None, MAIL, 0, ATTEMPT), EventBatch(None, BOUNCE, 2400, bounce))
    attempt, own = spans["delivery attempt a"], spans["mail b"]
    assert attempt.parent_id == span_id_of(MAIL)
    assert (attempt.start_ms, attempt.end_ms, attempt.error) == (2000, 2400, "failed: 5.1.1")
    assert attempt.attributes["server.address"] == "mx.there.test"
    assert attempt.links == [BOUNCE]
    assert own.links == (MAIL,)
    assert own.trace_id == trace_id_of(BOUNCE)


def test_what_came_to_nothing_is_an_error() -> None:
    events = (*RECEPTION[:5], tracked.MailRefused(1200, "550 5.7.1 no"))
    assert make(EventBatch(SESSION, MAIL, 0, events))["mail a"].error == "550 5.7.1 no"
    assert make(EventBatch(SESSION, None, 0, RECEPTION[:3])) == {}


def test_the_sample_is_the_same_everywhere() -> None:
    mails = [f"{0:012x}{number * 2**64 // 1000:016x}" for number in range(1000)]
    assert sum(is_sampled(one, 0.1) for one in mails) == 101
    assert all(is_sampled(one, 1) for one in mails)
    assert not any(is_sampled(one, 0) for one in mails)
    assert not is_sampled("no mail id", 1)


class Counts(dict[str, int]):
    """How many spans were sent and dropped."""

    def add(self, result: str, number: int) -> None:
        self[result] = self.get(result, 0) + number


def test_a_collector_receives_them(collector: Collector) -> None:
    counts = Counts()
    options = TracingOptions(endpoint=collector.url, headers={"x-token": "secret"})
    tracer = Tracer(options, "mail.y.test", counts.add)
    tracer.tell([EventBatch(SESSION, MAIL, 0, RECEPTION)])
    tracer.close(60)
    (root, *steps) = collector.wait(5)
    (headers, request) = collector.requests[0]
    assert headers["path"] == "/v1/traces"
    assert headers["x-token"] == "secret"
    assert headers["content-type"] == "application/x-protobuf"
    resource = {
        one.key: one.value.string_value for one in request.resource_spans[0].resource.attributes
    }
    assert resource["service.name"] == "zajil"
    assert resource["service.instance.id"] == "mail.y.test"
    assert root.trace_id.hex() == MAIL + "0000"
    assert root.start_time_unix_nano == 1_000_000_000
    assert [one.name for one in root.events][:2] == ["session.tls", "check.done"]
    assert {step.parent_span_id for step in steps} == {root.span_id}
    assert counts == {"sent": 5}


def test_a_collector_that_is_away_costs_nothing_but_its_spans(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    counts = Counts()
    collector.status = 400
    tracer = Tracer(TracingOptions(endpoint=collector.url), "mail.y.test", counts.add)
    began = time.monotonic()
    for _ in range(1000):
        tracer.tell([EventBatch(None, MAIL, 0, ATTEMPT)] * 6)
    assert time.monotonic() - began < 60
    tracer.close(60)
    assert counts == {"dropped": 6000}
    told = [one.getMessage() for one in caplog.records]
    assert told.count("traces cannot be sent and are dropped") == 1


def test_a_real_server_sends_them(
    collector: Collector, tmp_path: Path, authority: TestAuthority
) -> None:
    settings = [f"tracing.endpoint={collector.url}/v1/traces"]
    certificate = authority.issue("mail.y.test")
    with running_installation(tmp_path / "z", certificate, *settings) as server:
        with RawPeer(server.address("smtp")) as peer:
            peer.say("EHLO there.test")
            peer.say("MAIL FROM:<a@elsewhere.test>")
            peer.say("RCPT TO:<b@y.test>")
            peer.say("DATA")
            peer.send(b"From: <a@elsewhere.test>\r\nSubject: s\r\n\r\nb\r\n.\r\n")
            mail_id = peer.reply().split()[-1]
            peer.say("QUIT")
        spans = collector.wait(5)
    mine = [span for span in spans if span.trace_id.hex() == mail_id + "0000"]
    assert [span.name for span in mine] == ["mail", "session", "receive", "check", "accept"]
    checks = [one for one in mine[0].events if one.name == "check.done"]
    assert {"spf", "dkim", "dmarc"} <= {
        attribute.value.string_value for one in checks for attribute in one.attributes
    }


def test_a_missing_library_is_said(tmp_path: Path) -> None:
    made = set_up(tmp_path / "z")
    shadow = tmp_path / "shadow" / "opentelemetry"
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").touch()
    command = [sys.executable, "-m", "zajil", "--config", str(made.configuration)]
    command += ["--set", "tracing.endpoint=http://127.0.0.1:4318"]
    path = os.pathsep.join([str(shadow.parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    for words in (("config", "check"), ("serve",)):
        done = subprocess.run(
            [*command, *words], env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 1
        assert "pip install 'zajil[tracing]'" in done.stdout + done.stderr
