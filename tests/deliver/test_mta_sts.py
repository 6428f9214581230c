"""MTA-STS of other domains (RFC 8461), with a real policy server over TLS and real mail servers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from kit.certificates import TestAuthority
from kit.clock import FakeClock
from kit.courier import Courier, courier
from kit.network import SmtpSink, smtp_sink
from kit.store import NOW_MS
from kit.web_server import WebServer, answer, web_server
from kit.zone import ZoneResolver
from zajil.app.sts_policies import policy_fetcher
from zajil.deliver.client_channel import ChannelTarget
from zajil.deliver.sts_policies import REFRESH_MS, REMEMBERED_MS, RETRY_MS, StsPolicies
from zajil.deliver.tls_watch import TlsWatch
from zajil.mailauth.mta_sts import StsPolicy
from zajil.mailauth.tls_session import NO_POLICY, TlsFailure, TlsPolicy, TlsProblem, TlsSession
from zajil.read.guarded_fetch import GuardedFetcher
from zajil.reports.tls.counts import encode_session
from zajil.store.engine.open import Store
from zajil.tls.tlsa import Tlsa
from zajil.tracking.events import AttemptMade, StsPolicyFound

PATH = "/.well-known/mta-sts.txt"
WEEK = 604_800
HOUR_MS = 3_600_000


def policy(mode: str = "enforce", *mx: str, max_age: int = WEEK) -> bytes:
    hosts = "".join(f"mx: {host}\r\n" for host in mx or ("mx.south.test",))
    text = f"version: STSv1\r\nmode: {mode}\r\n{hosts}max_age: {max_age}\r\n"
    return answer(text.encode(), "text/plain")


@dataclass
class Domain:
    """A domain with a policy, what sends to it, and what a test may change."""

    setup: Courier
    policies: StsPolicies
    web: WebServer
    sink: SmtpSink
    zone: dict[str, Any]
    sessions: list[TlsSession]
    """What was counted for TLS reports."""

    async def send(self, content: bytes = b"Subject: x\r\n\r\ny\r\n") -> tuple[Any, str, str]:
        """Send a mail; return its id, its state and the reason."""
        mail_id = await self.setup.put("a@south.test", content=content)
        await self.setup.deliverer.run_due()
        ((state, reason),) = await self.setup.states(mail_id)
        return mail_id, state, reason

    def announce(self, record_id: str | None) -> None:
        """Change the TXT record."""
        self.zone.pop("_mta-sts.south.test", None)
        if record_id is not None:
            self.zone["_mta-sts.south.test"] = {"TXT": [f"v=STSv1; id={record_id};"]}


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ssl.SSLContext]:
    """TLS of the policy server, of a mail server, and of one with a wrong certificate."""
    authority = TestAuthority(tmp_path_factory.mktemp("ca"))
    names = ("mta-sts.south.test", "mx.south.test", "else.test")
    return {
        "client": authority.client_context(),
        **{name: authority.server_context(name) for name in names},
    }


@asynccontextmanager
async def domain(
    store: Store,
    contexts: dict[str, ssl.SSLContext],
    served: bytes,
    *,
    mx_tls: str | None = "mx.south.test",
    web_tls: str = "mta-sts.south.test",
) -> AsyncIterator[Domain]:
    zone: dict[str, Any] = {
        "south.test": {"MX": ["10 mx.south.test"]},
        "mx.south.test": {"A": ["127.0.0.1"]},
        "mx.other.test": {"A": ["127.0.0.1"]},
        "mta-sts.south.test": {"A": ["127.0.0.1"]},
    }
    resolver, clock = ZoneResolver(zone), FakeClock(NOW_MS)
    fetcher = GuardedFetcher(resolver.resolve, contexts["client"], ("127.0.0.1",))
    async with (
        web_server({PATH: served}, contexts[web_tls]) as web,
        smtp_sink(tls=None if mx_tls is None else contexts[mx_tls]) as sink,
    ):
        sessions: list[TlsSession] = []

        def note(at_ms: int, name: str, session: TlsSession) -> None:
            assert (at_ms, name) == (clock.now_ms(), "south.test")
            sessions.append(session)

        policies = StsPolicies(
            store=store,
            resolve=resolver.resolve,
            fetch=policy_fetcher(fetcher, web.port),
            clock=clock,
            note_tls=note,
        )
        async with courier(
            store,
            zone,
            port=sink.port,
            tls=contexts["client"],
            resolver=resolver,
            clock=clock,
            policies=policies,
            note_tls=note,
        ) as setup:
            found = Domain(setup, policies, web, sink, zone, sessions)
            found.announce("1")
            yield found


Contexts = dict[str, ssl.SSLContext]


def test_an_enforced_policy_is_followed_and_fetched_once(store: Store, contexts: Contexts) -> None:
    async def run() -> None:
        async with domain(store, contexts, policy()) as south:
            for _ in range(3):
                mail_id, state, _ = await south.send()
                assert state == "delivered"
            (attempt,) = await south.setup.events(mail_id, AttemptMade)
            assert attempt.tls.endswith("certificate verified")
            (found,) = await south.setup.events(mail_id, StsPolicyFound)
            assert (found.mode, found.mx, found.refused) == ("enforce", ("mx.south.test",), ())
            assert len(south.web.asked) == 1
            lines = ("version: STSv1", "mode: enforce", "mx: mx.south.test")
            counted = TlsPolicy("sts", lines, ("mx.south.test",))
            assert south.sessions == [TlsSession(counted)]

    asyncio.run(run())


@pytest.mark.parametrize(
    ("mx_tls", "reason", "failure"),
    [
        ("else.test", "TLS failed: certificate not valid: ", TlsFailure.HOST_MISMATCH),
        (None, "mx.south.test does not offer STARTTLS", TlsFailure.NO_STARTTLS),
    ],
)
@pytest.mark.parametrize("mode", ["enforce", "testing", "none"])
def test_a_server_that_cannot_prove_its_name(
    store: Store,
    contexts: Contexts,
    mx_tls: str | None,
    reason: str,
    failure: TlsFailure,
    mode: str,
) -> None:
    async def run() -> None:
        async with domain(store, contexts, policy(mode), mx_tls=mx_tls) as south:
            mail_id, state, why = await south.send()
            if mode == "enforce":
                assert (state, why[: len(reason)]) == ("waiting", reason)
                assert south.sink.mails == []
            else:
                assert state == "delivered"
                found = await south.setup.events(mail_id, StsPolicyFound)
                assert [one.mode for one in found] == (["testing"] if mode == "testing" else [])
            (session,) = south.sessions
            if mode == "none":  # nothing is demanded, so any encryption is a success
                assert session.policy == NO_POLICY
                assert (session.problem is None) == (mx_tls is not None)
            else:
                assert session.policy.type == "sts"
                assert session.problem is not None
                assert session.problem.failure is failure
                assert (session.host, session.address) == ("mx.south.test", "127.0.0.1")

    asyncio.run(run())


def test_a_server_that_the_policy_does_not_name_is_left_out(
    store: Store, contexts: Contexts
) -> None:
    """Attack: forged MX records lead to a server with a valid certificate for its own name."""

    async def run() -> None:
        async with domain(store, contexts, policy()) as south:
            south.zone["south.test"] = {"MX": ["5 mx.other.test", "10 mx.south.test"]}
            mail_id, state, _ = await south.send()
            assert state == "delivered"
            (attempt,) = await south.setup.events(mail_id, AttemptMade)
            assert attempt.host == "mx.south.test"
            (found,) = await south.setup.events(mail_id, StsPolicyFound)
            assert found.refused == ("mx.other.test",)
            south.zone["south.test"] = {"MX": ["5 mx.other.test"]}
            south.setup.clock.advance(5000)
            _, state, why = await south.send()
            assert (state, why) == (
                "waiting",
                "the MTA-STS policy of south.test permits none of its mail servers",
            )
            assert [one.problem is None for one in south.sessions] == [True, False]
            assert south.sessions[1].host == "mx.other.test"

    asyncio.run(run())


def test_the_writer_may_prefer_delivery(store: Store, contexts: Contexts) -> None:
    """RFC 8689 section 3: TLS-Required: No outranks the policy."""

    async def run() -> None:
        async with domain(store, contexts, policy(), mx_tls=None) as south:
            _, state, _ = await south.send(b"TLS-Required: No\r\nSubject: x\r\n\r\ny\r\n")
            assert state == "delivered"

    asyncio.run(run())


def test_a_kept_policy_outlives_dns_and_its_server(store: Store, contexts: Contexts) -> None:
    """RFC 8461 section 3.3. Attack: silence both, to switch the policy off."""

    async def run() -> None:
        async with domain(store, contexts, policy(max_age=3600), mx_tls=None) as south:
            await south.send()
            south.announce(None)
            south.web.answers.clear()
            south.setup.clock.advance(REMEMBERED_MS)
            _, state, _ = await south.send()
            assert state == "waiting"
            south.setup.clock.advance(HOUR_MS)
            _, state, _ = await south.send()
            assert state == "delivered"  # it has ended

    asyncio.run(run())


def test_another_id_means_another_policy(store: Store, contexts: Contexts) -> None:
    async def run() -> None:
        async with domain(store, contexts, policy(), mx_tls=None) as south:
            await south.send()
            south.announce("2")
            south.web.answers[PATH] = answer(b"broken", "text/plain")
            south.setup.clock.advance(REMEMBERED_MS)
            _, state, _ = await south.send()
            assert state == "waiting"  # the old one holds
            assert len(south.web.asked) == 2
            south.web.answers[PATH] = policy("testing")
            south.setup.clock.advance(REMEMBERED_MS)
            await south.send()
            assert len(south.web.asked) == 2  # not again for five minutes
            south.setup.clock.advance(RETRY_MS)
            _, state, _ = await south.send()
            assert (state, len(south.web.asked)) == ("delivered", 3)

    asyncio.run(run())


@pytest.mark.parametrize(
    "case", ["no file", "redirect", "page", "broken", "certificate", "closed", "too large"]
)
def test_a_policy_that_cannot_be_fetched_holds_up_nothing(
    store: Store, contexts: Contexts, case: str
) -> None:
    whole = policy()
    served = {
        "no file": answer(b"no", "text/plain", "404 Not Found"),
        "redirect": answer(
            b"", "text/plain", "302 Found", Location=f"https://mta-sts.south.test{PATH}"
        ),
        "page": answer(whole.partition(b"\r\n\r\n")[2], "text/html"),
        "broken": answer(b"<html>", "text/plain"),
        "closed": b"\r\n",
        "too large": answer(b"x" * 100_000, "text/plain"),
    }.get(case, whole)
    web_tls = "else.test" if case == "certificate" else "mta-sts.south.test"

    async def run() -> None:
        async with domain(store, contexts, served, mx_tls=None, web_tls=web_tls) as south:
            mail_id, state, _ = await south.send()
            assert state == "delivered"
            assert await south.setup.events(mail_id, StsPolicyFound) == []
            problem = south.sessions[0].problem
            assert problem is not None
            is_broken = case == "broken"
            failure = TlsFailure.POLICY_INVALID if is_broken else TlsFailure.POLICY_FETCH
            assert (problem.failure, south.sessions[0].host) == (failure, "mta-sts.south.test")

    asyncio.run(run())


def test_without_a_record_nobody_is_asked(store: Store, contexts: Contexts) -> None:
    async def run() -> None:
        async with domain(store, contexts, policy(), mx_tls=None) as south:
            south.announce(None)
            _, state, _ = await south.send()
            assert (state, south.web.asked) == ("delivered", [])

    asyncio.run(run())


def test_policies_are_refreshed_every_day(store: Store, contexts: Contexts) -> None:
    async def run() -> None:
        async with domain(store, contexts, policy(max_age=2 * REFRESH_MS // 1000)) as south:
            await south.send()
            for day in range(1, 5):
                south.setup.clock.advance(REFRESH_MS + 1)
                await south.policies.refresh()
                await south.policies.refresh()
                assert len(south.web.asked) == 1 + day
            south.web.answers.clear()
            south.setup.clock.advance(REFRESH_MS + 1)
            await south.policies.refresh()
            found = await south.policies.find("south.test")
            assert found is not None
            south.setup.clock.advance(REFRESH_MS + 1)
            await south.policies.refresh()
            south.announce(None)
            assert await south.policies.find("south.test") is None

    asyncio.run(run())


@pytest.mark.parametrize("sender", ["dmarc-reports@north.test", "tls-reports@north.test"])
def test_connections_for_reports_do_not_count(
    store: Store, contexts: Contexts, sender: str
) -> None:
    """Else two servers would report on their reports for ever."""

    async def run() -> None:
        async with domain(store, contexts, policy()) as south:
            await south.setup.put("a@south.test", sender=sender)
            await south.setup.deliverer.run_due()
            assert (len(south.sink.mails), south.sessions) == (1, [])

    asyncio.run(run())


def test_a_server_without_tls_of_its_own_counts_nothing(store: Store) -> None:
    """``deliver.tls = "never"`` is no fault, and no success, of the other domain."""
    sessions: list[TlsSession] = []

    async def run() -> None:
        zone = {"south.test": {"MX": ["10 mx.south.test"]}, "mx.south.test": {"A": ["127.0.0.1"]}}
        async with (
            smtp_sink() as sink,
            courier(
                store,
                zone,
                port=sink.port,
                tls_mode="never",
                note_tls=lambda _at_ms, _domain, session: sessions.append(session),
            ) as setup,
        ):
            await setup.put("a@south.test")
            await setup.deliverer.run_due()
            assert (len(sink.mails), sessions) == (1, [])

    asyncio.run(run())


def test_a_large_policy_makes_no_large_row() -> None:
    """Attack: the rows of a domain hold its policy; a thousand of them fill a disk."""
    counted: list[TlsSession] = []
    watch = TlsWatch(lambda *noted: counted.append(noted[2]), FakeClock(NOW_MS), "south.test")
    watch.policy = StsPolicy("enforce", tuple([f"mx{n}.south.test" for n in range(500)]), WEEK)
    watch.none_permitted(("mx.other.test",))
    tlsa = tuple([Tlsa(3, 0, 0, bytes(5000)) for _ in range(50)])
    watch.refused(ChannelTarget("mx", "192.0.2.1", 25, None, tlsa), TlsProblem(TlsFailure.OTHER))
    assert [len(encode_session(one)) < 4000 for one in counted] == [True, True]
