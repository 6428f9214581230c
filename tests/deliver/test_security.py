"""STARTTLS towards other servers: RFC 3207, and what each mode of ``deliver.tls`` promises."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import Literal

import pytest

from kit.courier import courier
from kit.network import Deed, SinkSession, smtp_sink
from kit.store import make_account
from kit.zone import Zone
from zajil.core.mail_options import MailOptions
from zajil.lab.ca import CertificateAuthority, CertificateFiles
from zajil.smtp.command import BodyEnd, Command, Mail, StartTls
from zajil.smtp.reply import Reply
from zajil.store.engine.open import Store
from zajil.store.mail.intake import Intake
from zajil.tls.context import client_context, server_context
from zajil.tracking.events import AttemptMade, RecipientFailed

ZONE: Zone = {
    "south.test": {"MX": ["10 mx.south.test"]},
    "mx.south.test": {"A": ["127.0.0.1"]},
    "other.test": {"MX": ["10 mx.other.test"]},
    "mx.other.test": {"A": ["127.0.0.1"]},
}
NO_TLS = Reply(454, ("4.7.0 not now",))


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path / "ca", datetime.now(UTC))


@pytest.fixture
def server(tmp_path: Path, authority: CertificateAuthority) -> ssl.SSLContext:
    """What mx.south.test shows."""
    files = CertificateFiles(tmp_path / "mx.pem", tmp_path / "mx.key")
    authority.certificate(files, ["mx.south.test"], [IPv4Address("127.0.0.2")])
    return server_context(files.certificate, files.key)


@pytest.fixture
def client(authority: CertificateAuthority) -> ssl.SSLContext:
    return client_context(authority.ca_file, verify=True)


@pytest.mark.parametrize("mode", ["opportunistic", "verify"])
def test_a_valid_certificate(
    store: Store,
    server: ssl.SSLContext,
    client: ssl.SSLContext,
    mode: Literal["opportunistic", "verify"],
) -> None:
    async def run() -> None:
        async with (
            smtp_sink(tls=server) as sink,
            courier(store, ZONE, port=sink.port, tls=client, tls_mode=mode) as setup,
        ):
            mail_id = await setup.put("a@south.test")
            await setup.deliverer.run_due()
            assert [mail.encrypted for mail in sink.mails] == [True]
            (attempt,) = await setup.events(mail_id, AttemptMade)
            assert attempt.tls is not None
            assert attempt.tls.startswith("TLSv1.")
            assert attempt.tls.endswith(", certificate verified")
            assert len(sink.sessions) == 1

    asyncio.run(run())


def test_another_name_in_the_certificate(
    store: Store, server: ssl.SSLContext, client: ssl.SSLContext
) -> None:
    """RFC 7435: encrypted is better than nothing; the journey says that nobody was verified."""

    async def run() -> None:
        async with (
            smtp_sink(tls=server) as sink,
            courier(store, ZONE, port=sink.port, tls=client) as setup,
        ):
            mail_id = await setup.put("a@other.test")
            await setup.deliverer.run_due()
            assert [mail.encrypted for mail in sink.mails] == [True]
            (attempt,) = await setup.events(mail_id, AttemptMade)
            assert attempt.tls is not None
            assert attempt.tls.endswith(", certificate not verified")
            assert any("certificate not valid" in line for line in attempt.dialogue)
            assert len(sink.sessions) == 2

    asyncio.run(run())


def test_a_certificate_that_is_not_valid_is_remembered(
    store: Store, server: ssl.SSLContext, client: ssl.SSLContext
) -> None:
    """Only the first connection to such a host is made twice."""

    def cut_the_first(event: Command | BodyEnd, session: SinkSession) -> Reply | Deed | None:
        again = session.number == 2 and bool(session.sink.mails)
        return Deed.CUT if again and isinstance(event, Mail) else None

    async def run() -> None:
        async with (
            smtp_sink(tls=server, answer=cut_the_first) as sink,
            courier(store, ZONE, port=sink.port, tls=client) as setup,
        ):
            for _ in range(2):
                await setup.put("a@other.test")
                await setup.deliverer.run_due()
            assert [(mail.session, mail.encrypted) for mail in sink.mails] == [(2, True), (3, True)]
            assert len(sink.sessions) == 3

    asyncio.run(run())


@pytest.mark.parametrize("answer", [NO_TLS, Deed.CUT])
def test_starttls_is_offered_and_fails(
    store: Store, server: ssl.SSLContext, client: ssl.SSLContext, answer: Reply | Deed
) -> None:
    def refuse(event: Command | BodyEnd, session: SinkSession) -> Reply | Deed | None:
        return answer if isinstance(event, StartTls) else None

    async def run() -> None:
        async with (
            smtp_sink(tls=server, answer=refuse) as sink,
            courier(store, ZONE, port=sink.port, tls=client) as setup,
        ):
            mail_id = await setup.put("a@south.test")
            await setup.deliverer.run_due()
            state = (await setup.states(mail_id))[0][0]
            # A refusal leaves the connection as it is; a cut one tells nothing, so: later.
            assert state == ("delivered" if isinstance(answer, Reply) else "waiting")

    asyncio.run(run())


def test_a_broken_handshake_falls_back_to_plain(store: Store, client: ssl.SSLContext) -> None:
    """Opportunistic only: whoever can break the handshake could have hidden the offer."""
    useless = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)  # it has no certificate

    async def run() -> None:
        async with (
            smtp_sink(tls=useless) as sink,
            courier(store, ZONE, port=sink.port, tls=client) as setup,
        ):
            mail_id = await setup.put("a@south.test")
            await setup.deliverer.run_due()
            assert [mail.encrypted for mail in sink.mails] == [False]
            (attempt,) = await setup.events(mail_id, AttemptMade)
            assert attempt.tls is None
            assert any("TLS failed" in line for line in attempt.dialogue)

    asyncio.run(run())


@pytest.mark.parametrize("case", ["wrong name", "no offer", "refused", "broken"])
def test_verify_never_falls_back(
    store: Store, server: ssl.SSLContext, client: ssl.SSLContext, case: str
) -> None:
    def refuse(event: Command | BodyEnd, session: SinkSession) -> Reply | Deed | None:
        return NO_TLS if case == "refused" and isinstance(event, StartTls) else None

    contexts = {"no offer": None, "broken": ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)}

    async def run() -> None:
        async with (
            smtp_sink(tls=contexts.get(case, server), answer=refuse) as sink,
            courier(store, ZONE, port=sink.port, tls=client, tls_mode="verify") as setup,
        ):
            mail_id = await setup.put("a@other.test" if case == "wrong name" else "a@south.test")
            await setup.deliverer.run_due()
            assert sink.mails == []
            assert [state for state, _ in await setup.states(mail_id)] == ["waiting"]

    asyncio.run(run())


def test_never_means_never(store: Store, server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    async def run() -> None:
        async with (
            smtp_sink(tls=server) as sink,
            courier(store, ZONE, port=sink.port, tls=client, tls_mode="never") as setup,
        ):
            await setup.put("a@south.test")
            await setup.deliverer.run_due()
            assert [mail.encrypted for mail in sink.mails] == [False]

    asyncio.run(run())


# ---- what a mail asks for (RFC 8689) ------------------------------------------------------------


def require_tls(item: Intake) -> Intake:
    return replace(item, options=MailOptions("FULL", require_tls=True))


@pytest.mark.parametrize("case", ["kept", "no promise", "no offer", "wrong name"])
def test_requiretls_is_kept_or_the_mail_bounces(
    store: Store, server: ssl.SSLContext, client: ssl.SSLContext, case: str
) -> None:
    """RFC 8689 section 4.2.1: verified TLS to whoever promises the same, else 5.7.30."""
    make_account(store, "amal@north.test")

    async def run() -> None:
        async with (
            smtp_sink(tls=None if case == "no offer" else server) as sink,
            courier(store, ZONE, port=sink.port, tls=client) as setup,
        ):
            sink.offer = replace(sink.offer, require_tls=case != "no promise")
            await setup.put("b@south.test")  # its link must not be used where it will not do
            await setup.deliverer.run_due()
            sink.mails.clear()
            to = "a@other.test" if case == "wrong name" else "a@south.test"
            mail_id = await setup.put(to, edit=require_tls)
            await setup.deliverer.run_due()
            if case == "kept":
                (mail,) = sink.mails
                assert (mail.encrypted, mail.mail.options.require_tls) == (True, True)
                return
            assert sink.mails == []
            (failed,) = await setup.events(mail_id, RecipientFailed)
            assert failed.status == "5.7.30"
            (report,) = await setup.children(mail_id)
            content = await setup.read_mail(report.mail_id)
            # RFC 8689 section 5: as if RET=HDRS were there.
            assert b"Content-Type: text/rfc822-headers\r\n" in content

    asyncio.run(run())


def test_a_bounce_with_requiretls_is_not_lost(store: Store) -> None:
    """RFC 8689 section 5: it goes on where nobody promises anything."""

    async def run() -> None:
        async with smtp_sink() as sink, courier(store, ZONE, port=sink.port) as setup:
            await setup.put("a@south.test", sender=None, edit=require_tls)
            await setup.deliverer.run_due()
            (mail,) = sink.mails
            assert not mail.mail.options.require_tls

    asyncio.run(run())


@pytest.mark.parametrize(("field", "sent"), [(b"TLS-Required: No\r\n", 1), (b"", 0)])
def test_the_writer_may_prefer_delivery_to_encryption(
    store: Store, client: ssl.SSLContext, field: bytes, sent: int
) -> None:
    """RFC 8689 section 3: the header field relaxes our own policy, and REQUIRETLS outranks it."""

    async def run() -> None:
        async with (
            smtp_sink() as sink,
            courier(store, ZONE, port=sink.port, tls=client, tls_mode="verify") as setup,
        ):
            content = field + b"Subject: x\r\n\r\ny\r\n"
            await setup.put("a@south.test", content=content)
            await setup.put("a@south.test", content=content, edit=require_tls)
            await setup.deliverer.run_due()
            assert len([mail for mail in sink.mails if mail.mail.reverse_path]) == sent

    asyncio.run(run())
