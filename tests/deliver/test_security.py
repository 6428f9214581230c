"""STARTTLS towards other servers: RFC 3207, and what each mode of ``deliver.tls`` promises."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path
from typing import Literal

import pytest

from zajil.lab.ca import CertificateAuthority, CertificateFiles
from zajil.smtp.command import BodyEnd, Command, Mail, StartTls
from zajil.smtp.reply import Reply
from zajil.store.open import Store
from zajil.testing.courier import courier
from zajil.testing.network import Deed, SinkSession, smtp_sink
from zajil.testing.zone import Zone
from zajil.tls.context import client_context, server_context
from zajil.tracking.events import AttemptMade

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
