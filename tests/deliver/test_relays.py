"""Mail through a smarthost: routes, log-in, and faults that must not lose or bounce mail."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kit.courier import Courier, courier
from kit.network import Deed, SinkSession, SmtpSink, smtp_sink
from kit.relay_sink import LogInRequired
from kit.zone import Zone
from zajil.config.options_smarthost import SmarthostOptions
from zajil.core.mail_options import MailOptions, Notify, RecipientOptions
from zajil.deliver.relays import PAUSE_MS
from zajil.lab.ca import CertificateAuthority, CertificateFiles
from zajil.smtp.command import BodyEnd, Command, Mail, Rcpt
from zajil.smtp.reply import Reply
from zajil.store.engine.open import Store
from zajil.store.mail.intake import Intake
from zajil.tls.context import client_context, server_context
from zajil.tracking.events import AttemptMade, RelayFound, RouteFailed, RouteFound

HOST = "smtp.provider.test"
ZONE: Zone = {
    HOST: {"A": ["127.0.0.1"]},
    "south.test": {"MX": ["10 mx.south.test"]},
    "mx.south.test": {"A": ["127.0.0.1"]},
}
MECHANISMS = ("SCRAM-SHA-256", "PLAIN", "LOGIN")


class Tls:
    """Certificates of one test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = CertificateAuthority(folder / "ca", datetime.now(UTC))
        self.client = client_context(self._authority.ca_file, verify=True)
        self.good = self._server(self._authority, HOST)
        self.wrong_name = self._server(self._authority, "else.test")

    def expired(self) -> ssl.SSLContext:
        """Return the context of a server whose certificate is no longer valid."""
        long_ago = datetime.now(UTC) - timedelta(days=5000)
        return self._server(CertificateAuthority(self._folder / "ca", long_ago), HOST, "old")

    def unknown(self) -> ssl.SSLContext:
        """Return the context of a server whose authority nobody trusts."""
        other = CertificateAuthority(self._folder / "other", datetime.now(UTC))
        return self._server(other, HOST, "unknown")

    def _server(self, authority: CertificateAuthority, name: str, file: str = "") -> ssl.SSLContext:
        stem = self._folder / (file or name)
        files = CertificateFiles(stem.with_suffix(".pem"), stem.with_suffix(".key"))
        authority.certificate(files, [name], [])
        return server_context(files.certificate, files.key)


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    return Tls(tmp_path)


@asynccontextmanager
async def relayed(
    store: Store, certificates: Tls, sink: SmtpSink, **options: Any
) -> AsyncIterator[Courier]:
    """Run a deliverer whose smarthost is the sink, with a log-in unless ``login`` is None."""
    options = {"login": "me@north.test", "password": "a pigeon's password", **options}
    names = ("port", "tls", "login", "password")
    smarthost = {name: options.pop(name) for name in names if name in options}
    if "deliver_port" in options:
        options["port"] = options.pop("deliver_port")
    given = SmarthostOptions.model_validate({"host": HOST, "port": sink.port, **smarthost})
    async with courier(store, ZONE, tls=certificates.client, smarthost=given, **options) as setup:
        yield setup


async def dialogue(setup: Courier, mail_id: Any) -> str:
    """Return what was said for a mail."""
    attempts = await setup.events(mail_id, AttemptMade)
    return "\n".join(line for attempt in attempts for line in attempt.dialogue)


# ---- the way that works -------------------------------------------------------------------------


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize(
    ("offered", "used"),
    [
        (MECHANISMS, "SCRAM-SHA-256"),
        (("LOGIN", "PLAIN"), "PLAIN"),
        (("LOGIN", "OAUTHBEARER"), "LOGIN"),
    ],
)
def test_mail_for_any_domain_goes_through_it(
    store: Store, tls: Tls, offered: tuple[str, ...], used: str, implicit: bool
) -> None:
    async def run() -> None:
        answer = LogInRequired()
        async with (
            smtp_sink(tls=tls.good, auth=offered, answer=answer, implicit_tls=implicit) as sink,
            relayed(store, tls, sink, tls="implicit" if implicit else "starttls") as setup,
        ):
            mail_id = await setup.put("a@south.test", "b@[192.0.2.1]")
            await setup.deliverer.run_due()
            assert answer.log_ins == [used]
            (mail,) = sink.mails  # one transaction for all domains
            assert sorted(mail.recipients) == ["a@south.test", "b@[192.0.2.1]"]
            assert mail.encrypted
            found = await setup.events(mail_id, RelayFound)
            relay = f"{HOST}:{sink.port}"
            assert {(one.domain, one.relay, one.option) for one in found} == {
                ("south.test", relay, "smarthost.host"),
                ("[192.0.2.1]", relay, "smarthost.host"),
            }
            said = await dialogue(setup, mail_id)
            assert f"C: AUTH {used}\n" in said
            assert "S: 235 " in said
            for line in said.splitlines():
                assert not line.startswith("S: 334") or line == "S: 334 (challenge)"
            assert "cGln" not in said  # "pig" of the password, in base64
            (attempt, *_) = await setup.events(mail_id, AttemptMade)
            assert attempt.tls.endswith(", certificate verified")

    asyncio.run(run())


def test_a_server_that_has_no_scram_keys_of_the_account_gets_the_password(
    store: Store, tls: Tls
) -> None:
    async def run() -> None:
        answer = LogInRequired(has_scram_keys=False)
        async with (
            smtp_sink(tls=tls.good, auth=MECHANISMS, answer=answer) as sink,
            relayed(store, tls, sink) as setup,
        ):
            await setup.put("a@south.test")
            await setup.deliverer.run_due()
            assert answer.log_ins == ["SCRAM-SHA-256", "PLAIN"]
            assert len(sink.mails) == 1

    asyncio.run(run())


def test_a_long_password_follows_the_command(store: Store, tls: Tls) -> None:
    """RFC 4954 section 4: an initial response must fit into the command line."""

    async def run() -> None:
        answer = LogInRequired(password="ü" * 300)
        async with (
            smtp_sink(tls=tls.good, auth=("PLAIN",), answer=answer) as sink,
            relayed(store, tls, sink, password="ü" * 300) as setup,
        ):
            await setup.put("a@south.test")
            await setup.deliverer.run_due()
            assert len(sink.mails) == 1

    asyncio.run(run())


def test_what_a_mail_asks_for_is_passed_on(store: Store, tls: Tls) -> None:
    """DSN (RFC 3461) and REQUIRETLS (RFC 8689)."""

    def edit(item: Intake) -> Intake:
        options = RecipientOptions(Notify.FAILURE, "rfc822;a@south.test")
        remote = tuple(replace(one, options=options) for one in item.remote)
        return replace(item, remote=remote, options=MailOptions("HDRS", "id-1", require_tls=True))

    async def run() -> None:
        async with (
            smtp_sink(tls=tls.good, auth=("PLAIN",), answer=LogInRequired()) as sink,
            relayed(store, tls, sink) as setup,
        ):
            sink.offer = replace(sink.offer, require_tls=True, dsn=True)
            await setup.put("a@south.test", edit=edit)
            await setup.deliverer.run_due()
            (mail,) = sink.mails
            options = mail.mail.options
            assert (options.dsn_return, options.envelope_id) == ("HDRS", "id-1")
            assert options.require_tls
            (recipient,) = [event for event in sink.events if isinstance(event, Rcpt)]
            assert recipient.options.notify == Notify.FAILURE

    asyncio.run(run())


def test_all_domains_share_the_connections_of_a_relay(store: Store, tls: Tls) -> None:
    """``deliver.concurrency_per_host`` is about the relay, not about the domains."""

    async def run() -> None:
        async with (
            smtp_sink(tls=tls.good, auth=("PLAIN",), answer=LogInRequired()) as sink,
            relayed(store, tls, sink, concurrency_per_host=2) as setup,
        ):
            for number in range(12):
                await setup.put(f"a@d{number}.test")
            await setup.deliverer.run_due()
            assert len(sink.mails) == 12
            assert len(sink.sessions) <= 2

    asyncio.run(run())


# ---- routes -------------------------------------------------------------------------------------


def test_routes_by_recipient_domain(store: Store, tls: Tls) -> None:
    async def run() -> None:
        async with (
            smtp_sink(tls=tls.good, auth=("PLAIN",), answer=LogInRequired()) as provider,
            smtp_sink() as direct,
            smtp_sink() as branch,
            relayed(
                store,
                tls,
                provider,
                deliver_port=direct.port,
                routes={
                    "south.test": "direct",
                    ".branch.test": f"127.0.0.1:{branch.port}",
                    "far.branch.test": "smarthost",
                },
            ) as setup,
        ):
            names = ["south.test", "a.branch.test", "branch.test", "far.branch.test", "x.test"]
            mails = {name: await setup.put(f"a@{name}") for name in names}
            await setup.deliverer.run_due()
            taken = [
                sorted(one.partition("@")[2] for mail in sink.mails for one in mail.recipients)
                for sink in (provider, direct, branch)
            ]
            assert taken == [
                ["branch.test", "far.branch.test", "x.test"],
                ["south.test"],
                ["a.branch.test"],
            ]
            assert len(await setup.events(mails["south.test"], RouteFound)) == 1
            (found,) = await setup.events(mails["a.branch.test"], RelayFound)
            assert (found.relay, found.option) == (f"127.0.0.1:{branch.port}", "deliver.routes")

    asyncio.run(run())


def test_a_relay_without_a_log_in_is_spoken_to_like_any_other_server(
    store: Store, tls: Tls
) -> None:
    async def run() -> None:
        async with (
            smtp_sink() as sink,
            relayed(store, tls, sink, login=None, password=None, tls="opportunistic") as setup,
        ):
            await setup.put("a@south.test")
            await setup.deliverer.run_due()
            assert [mail.encrypted for mail in sink.mails] == [False]

    asyncio.run(run())


# ---- faults: mail waits, and says why -----------------------------------------------------------

DENIED = Reply(554, ("5.7.1 <a@south.test>: Relay access denied",))


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("wrong password", f"{HOST} refused the log-in: 535 5.7.8 wrong login"),
        ("no AUTH", f"{HOST} does not offer a log-in (AUTH)"),
        ("tokens only", f"{HOST} offers only XOAUTH2 for the log-in"),
        ("no STARTTLS", f"{HOST} does not offer STARTTLS"),
        ("expired", "TLS failed: certificate not valid: certificate has expired"),
        ("unknown", "TLS failed: certificate not valid: "),
        ("wrong name", "TLS failed: certificate not valid: Hostname mismatch"),
        ("greeting", "554 5.7.1 your address is blocked"),
        ("denied", "554 5.7.1 <a@south.test>: Relay access denied"),
        ("greylisted", "451 4.7.1 come back later"),
        ("busy", f"{HOST} refused the log-in: 454 4.7.0 too many log-ins"),
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_fault_of_the_relay_defers(store: Store, tls: Tls, case: str, reason: str) -> None:
    def answer(event: Command | BodyEnd, session: SinkSession) -> Reply | Deed | None:
        if isinstance(event, Rcpt):
            if case == "denied":
                return DENIED
            if case == "greylisted":
                return Reply(451, ("4.7.1 come back later",))
        return inside(event, session)

    inside = LogInRequired()
    if case == "wrong password":
        inside.password = "another one"
    if case == "busy":
        inside.password, inside.refusal = "", Reply(454, ("4.7.0 too many log-ins",))
    contexts = {"expired": tls.expired, "unknown": tls.unknown}
    server = contexts[case]() if case in contexts else tls.good
    if case == "wrong name":
        server = tls.wrong_name
    auth = {"no AUTH": (), "tokens only": ("XOAUTH2",)}.get(case, ("PLAIN", "LOGIN"))
    greeting = Reply(554, ("5.7.1 your address is blocked",)) if case == "greeting" else None

    async def run() -> None:
        async with (
            smtp_sink(
                tls=None if case == "no STARTTLS" else server,
                auth=auth,
                answer=answer,
                greeting=greeting,
            ) as sink,
            relayed(store, tls, sink) as setup,
        ):
            mail_id = await setup.put("a@south.test")
            await setup.deliverer.run_due()
            ((state, why),) = await setup.states(mail_id)
            assert state == "waiting"
            assert why.startswith(reason)
            assert sink.mails == []
            assert await setup.children(mail_id) == []

    asyncio.run(run())


def test_a_relay_that_wants_a_log_in_which_nobody_configured(store: Store, tls: Tls) -> None:
    async def run() -> None:
        async with (
            smtp_sink(tls=tls.good, auth=("PLAIN",), answer=LogInRequired()) as sink,
            relayed(store, tls, sink, login=None, password=None) as setup,
        ):
            mail_id = await setup.put("a@south.test")
            await setup.deliverer.run_due()
            ((state, why),) = await setup.states(mail_id)
            assert state == "waiting"
            assert why == f"{HOST} requires a log-in or encryption: 530 5.7.0 log in first"

    asyncio.run(run())


def test_a_server_that_does_not_know_the_password_is_not_believed(store: Store, tls: Tls) -> None:
    """RFC 5802 section 3: SCRAM proves the server, too."""
    inside = LogInRequired()

    def answer(event: Command | BodyEnd, session: SinkSession) -> Reply | Deed | None:
        reply = inside(event, session)
        # It lets everybody in, instead of showing its proof.
        is_proof = isinstance(reply, Reply) and reply.lines[0].startswith("dj")  # "v="
        return Reply(235, ("2.7.0 welcome",)) if is_proof else reply

    async def run() -> None:
        async with (
            smtp_sink(tls=tls.good, auth=("SCRAM-SHA-256",), answer=answer) as sink,
            relayed(store, tls, sink) as setup,
        ):
            mail_id = await setup.put("a@south.test")
            await setup.deliverer.run_due()
            ((state, why),) = await setup.states(mail_id)
            assert (state, why) == (
                "waiting",
                f"{HOST} did not prove that it knows the password",
            )
            assert not [event for event in sink.events if isinstance(event, Mail)]

    asyncio.run(run())


def test_a_wrong_password_is_tried_once_a_minute(store: Store, tls: Tls) -> None:
    """Attack on ourselves: a queue of mails that logs in until the provider locks the account."""

    async def run() -> None:
        answer = LogInRequired(password="another one")
        async with (
            smtp_sink(tls=tls.good, auth=("PLAIN",), answer=answer) as sink,
            relayed(store, tls, sink, queue_first_retry_ms="1s") as setup,
        ):
            for number in range(30):
                await setup.put(f"a@d{number}.test")
            await setup.deliverer.run_due()
            assert answer.log_ins == ["PLAIN"]
            setup.clock.advance(2000)
            await setup.put("b@d.test")
            await setup.deliverer.run_due()
            assert answer.log_ins == ["PLAIN"]
            setup.clock.advance(PAUSE_MS)
            await setup.deliverer.run_due()
            assert answer.log_ins == ["PLAIN", "PLAIN"]

    asyncio.run(run())


def test_after_the_pause_mail_goes_on(store: Store, tls: Tls) -> None:
    async def run() -> None:
        answer = LogInRequired(password="another one")
        async with (
            smtp_sink(tls=tls.good, auth=("PLAIN",), answer=answer) as sink,
            relayed(store, tls, sink) as setup,
        ):
            for number in range(5):
                await setup.put(f"a@d{number}.test")
            await setup.deliverer.run_due()
            assert answer.log_ins == ["PLAIN"]
            answer.password = "a pigeon's password"
            setup.clock.advance(PAUSE_MS * 10)
            await setup.deliverer.run_due()
            assert len(sink.mails) == 5
            assert len(answer.log_ins) <= 1 + 5

    asyncio.run(run())


def test_a_recipient_that_the_relay_refuses_bounces(store: Store, tls: Tls) -> None:
    inside = LogInRequired()

    def answer(event: Command | BodyEnd, session: SinkSession) -> Reply | Deed | None:
        if isinstance(event, Rcpt):
            return Reply(550, ("5.1.1 no such user",))
        return inside(event, session)

    async def run() -> None:
        async with (
            smtp_sink(tls=tls.good, auth=("PLAIN",), answer=answer) as sink,
            relayed(store, tls, sink) as setup,
        ):
            mail_id = await setup.put("a@south.test")
            await setup.deliverer.run_due()
            assert await setup.states(mail_id) == [("bounced", "550 5.1.1 no such user")]

    asyncio.run(run())


@pytest.mark.parametrize("answer", [None, {}])
def test_a_relay_that_dns_does_not_know_defers(
    store: Store, tls: Tls, answer: dict[str, list[str]] | None
) -> None:
    async def run() -> None:
        given = SmarthostOptions(host="gone.test", tls="opportunistic")
        zone: Zone = {**ZONE, "gone.test": answer}
        async with courier(store, zone, tls=tls.client, smarthost=given) as setup:
            mail_id = await setup.put("a@south.test")
            await setup.deliverer.run_due()
            ((state, why),) = await setup.states(mail_id)
            assert state == "waiting"
            assert "the relay gone.test" in why
            (failed,) = await setup.events(mail_id, RouteFailed)
            assert failed.temporary

    asyncio.run(run())
