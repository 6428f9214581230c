"""DANE (RFC 7672): TLSA records that DNSSEC protects, and real mail servers with certificates."""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from kit.certificates import TestAuthority
from kit.courier import Courier, courier
from kit.name_servers import SIGNING, keys_of, running_named, running_unbound
from kit.network import SmtpSink, smtp_sink
from kit.zone import ZoneResolver
from zajil.config.options_server import DnsOptions
from zajil.deliver.dane import find_dane
from zajil.dns.flow import Answer, Question
from zajil.mailauth.tls_session import TlsSession
from zajil.net.system import SystemClock
from zajil.resolver.client import Resolver
from zajil.route.next_hop import Host
from zajil.store.engine.open import Store
from zajil.tls.context import server_context
from zajil.tls.tlsa import Tlsa, matches_tlsa, parse_tlsa
from zajil.tracking.events import AttemptMade, TlsaFound

HOST = "mx.south.test"
PrivateKey = ec.EllipticCurvePrivateKey
YEAR_2026_MS = 1_790_000_000_000


class SignedZone(ZoneResolver):
    """A zone whose answers are authentic, but for some names."""

    def __init__(self, zone: Mapping[str, Any], unsigned: tuple[str, ...] = ()) -> None:
        super().__init__(zone)
        self.unsigned = unsigned

    async def resolve(self, question: Question) -> Answer:
        """Answer at once."""
        answer = await super().resolve(question)
        return replace(answer, authentic=question.name not in self.unsigned)


class Server:
    """A certificate for ``HOST``, with the authority that issued it."""

    def __init__(self, folder: Path, name: str = HOST) -> None:
        self.authority = TestAuthority(folder)
        certificate, key = self.authority.issue(name)
        chain = folder / "chain.pem"
        chain.write_bytes(certificate.read_bytes() + self.authority.ca_file.read_bytes())
        self.tls = server_context(chain, key)
        self.chain = [
            one.public_bytes(Encoding.DER)
            for one in x509.load_pem_x509_certificates(chain.read_bytes())
        ]

    def record(self, usage: int, selector: int = 1, matching: int = 1) -> str:
        """Return the TLSA record of the server (usage 3) or its authority (usage 2)."""
        whole = self.chain[0 if usage == 3 else 1]
        key = x509.load_der_x509_certificate(whole).public_key()
        data = whole
        if selector == 1:
            data = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if matching:
            data = hashlib.new("sha256" if matching == 1 else "sha512", data).digest()
        return f"{usage} {selector} {matching} {data.hex()}"


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path)


# ---- records and certificates -------------------------------------------------------------------


@pytest.mark.parametrize("usage", [2, 3])
@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
def test_every_kind_of_record(server: Server, usage: int, selector: int, matching: int) -> None:
    records = parse_tlsa([server.record(usage, selector, matching)])
    assert len(records) == 1
    assert matches_tlsa(records, server.chain, HOST, YEAR_2026_MS)
    other = replace(records[0], data=bytes(len(records[0].data)))
    assert not matches_tlsa([other], server.chain, HOST, YEAR_2026_MS)


def test_name_and_date_count_under_an_authority_only(server: Server) -> None:
    """RFC 7672 section 3.1.1: of usage 3 the key alone counts."""
    itself, authority = (parse_tlsa([server.record(usage)]) for usage in (3, 2))
    long_after = YEAR_2026_MS * 4
    assert matches_tlsa(itself, server.chain, "else.test", long_after)
    assert not matches_tlsa(authority, server.chain, "else.test", YEAR_2026_MS)
    assert not matches_tlsa(authority, server.chain, HOST, long_after)


def test_an_authority_that_was_sent_and_issued_nothing(server: Server, tmp_path: Path) -> None:
    """Attack: the certificate of the right authority behind one of another."""
    folder = tmp_path / "other"
    folder.mkdir()
    records = parse_tlsa([server.record(2)])
    assert not matches_tlsa(records, [Server(folder).chain[0], server.chain[1]], HOST, YEAR_2026_MS)
    assert not matches_tlsa(records, [], HOST, YEAR_2026_MS)
    assert not matches_tlsa(records, [b"no certificate"], HOST, YEAR_2026_MS)


def make_certificate(
    subject: str, issuer: str, keys: tuple[PrivateKey, PrivateKey], *, is_authority: bool
) -> x509.Certificate:
    """Make a certificate with no more in it than it needs, for the first key, by the second."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(keys[0].public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2030, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(subject)]), critical=False)
    )
    return builder.sign(keys[1], hashes.SHA256())


def key_record(certificate: x509.Certificate) -> Tlsa:
    data = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Tlsa(2, 1, 1, hashlib.sha256(data).digest())


def test_an_authority_in_the_middle_may_be_the_anchor() -> None:
    """Attack: a certificate that is no authority issues another one."""
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(4)]
    root = make_certificate("root.test", "root.test", (keys[0], keys[0]), is_authority=True)
    middle = make_certificate("middle.test", "root.test", (keys[1], keys[0]), is_authority=True)
    leaf = make_certificate(HOST, "middle.test", (keys[2], keys[1]), is_authority=False)
    forged = make_certificate("victim.test", HOST, (keys[3], keys[2]), is_authority=False)
    chain = [one.public_bytes(Encoding.DER) for one in (leaf, middle, root)]
    forged_chain = [forged.public_bytes(Encoding.DER), *chain]
    for anchor in (middle, root):
        records = [key_record(anchor)]
        assert matches_tlsa(records, chain, HOST, YEAR_2026_MS)
        assert not matches_tlsa(records, chain, "victim.test", YEAR_2026_MS)
        assert not matches_tlsa(records, forged_chain, "victim.test", YEAR_2026_MS)
    assert not matches_tlsa([key_record(root)], chain[:2], HOST, YEAR_2026_MS)  # it was not sent
    assert not matches_tlsa([key_record(leaf)], forged_chain, "victim.test", YEAR_2026_MS)


def test_hosts_that_nobody_asked_about_are_not_used() -> None:
    """Attack: so many MX records that the one with the TLSA record is not looked up."""
    hosts = [Host(10, f"mx{number}.south.test", ("127.0.0.1",), True) for number in range(8)]
    facts = asyncio.run(find_dane(hosts, SignedZone({}).resolve, 25))
    assert facts.failed == ("mx6.south.test", "mx7.south.test")


@pytest.mark.parametrize(
    "value",
    [
        *("0 0 1 " + "ab" * 32, "1 1 1 " + "ab" * 32, "3 2 1 " + "ab" * 32),
        *("3 1 3 " + "ab" * 32, "3 1 2 " + "ab" * 32, "3 1 1 ab", "3 1 0 ", "3 1 1"),
        *("x 1 1 ab", "3 1 1 zz", ""),
    ],
)
def test_what_cannot_be_used_is_ignored(value: str) -> None:
    assert parse_tlsa([value]) == ()
    assert parse_tlsa([value, "3 1 1 " + "AB" * 32]) == (Tlsa(3, 1, 1, b"\xab" * 32),)


# ---- delivery -----------------------------------------------------------------------------------


async def send(setup: Courier, content: bytes = b"Subject: x\r\n\r\ny\r\n") -> tuple[Any, str, str]:
    """Send a mail; return its id, its state and the reason."""
    mail_id = await setup.put("a@south.test", content=content)
    await setup.deliverer.run_due()
    ((state, reason),) = await setup.states(mail_id)
    return mail_id, state, reason


def zone_of(port: int, *records: str) -> dict[str, Any]:
    return {
        "south.test": {"MX": [f"10 {HOST}"]},
        HOST: {"A": ["127.0.0.1"]},
        f"_{port}._tcp.{HOST}": {"TLSA": list(records)},
    }


@pytest.mark.parametrize("usage", [2, 3])
def test_a_server_with_the_right_certificate(store: Store, server: Server, usage: int) -> None:
    """No authority of ours knows it: only DNSSEC does."""

    async def run() -> None:
        async with smtp_sink(tls=server.tls) as sink:
            zone = SignedZone(zone_of(sink.port, server.record(usage)))
            async with courier(
                store, {}, port=sink.port, tls=ssl.create_default_context(), resolver=zone
            ) as setup:
                for _ in range(2):
                    mail_id, state, _ = await send(setup)
                    assert state == "delivered"
                assert [mail.encrypted for mail in sink.mails] == [True, True]
                assert len(sink.sessions) == 1
                (found,) = await setup.events(mail_id, TlsaFound)
                assert (found.host, found.records) == (HOST, (server.record(usage),))
                (attempt,) = await setup.events(mail_id, AttemptMade)
                assert attempt.tls.endswith(", certificate confirmed by DANE")

    asyncio.run(run())


WRONG = "3 1 1 " + "ab" * 32


@pytest.mark.parametrize(
    ("case", "state", "reason", "counted"),
    [
        (
            *("wrong", "waiting", f"the certificate of {HOST} does not match its TLSA records"),
            "tlsa validation-failure",
        ),
        (
            *("no STARTTLS", "waiting", f"{HOST} does not offer STARTTLS"),
            "tlsa starttls-not-supported",
        ),
        (
            *("lookup fails", "waiting", f"DNS lookup of the TLSA records of {HOST} failed"),
            "tlsa dnssec-invalid",
        ),
        ("unusable", "delivered", "", "tlsa tlsa-invalid"),
        (
            *("unusable, no STARTTLS", "waiting", f"{HOST} does not offer STARTTLS"),
            "tlsa starttls-not-supported",
        ),
        ("MX not signed", "delivered", "", "no-policy-found"),
        ("address not signed", "delivered", "", "no-policy-found"),
        ("TLSA not signed", "delivered", "", "no-policy-found"),
        ("waived", "delivered", "", "no-policy-found"),
        ("off", "delivered", "", "no-policy-found"),
    ],
)
def test_a_server_that_does_not_fit(
    store: Store, server: Server, case: str, state: str, reason: str, counted: str
) -> None:
    record = "1 1 1 " + "ab" * 32 if case.startswith("unusable") else WRONG
    content = b"TLS-Required: No\r\n\r\ny\r\n" if case == "waived" else b"Subject: x\r\n\r\ny\r\n"

    sessions: list[TlsSession] = []

    async def run() -> None:
        async with smtp_sink(tls=None if "no STARTTLS" in case else server.tls) as sink:
            records = zone_of(sink.port, record)
            name = f"_{sink.port}._tcp.{HOST}"
            if case == "lookup fails":
                records[name] = None
            unsigned = {"MX not signed": "south.test", "address not signed": HOST}.get(case, "")
            zone = SignedZone(records, (name if case == "TLSA not signed" else unsigned,))
            async with courier(
                store,
                {},
                port=sink.port,
                tls=ssl.create_default_context(),
                resolver=zone,
                dane=case != "off",
                note_tls=lambda _at_ms, _domain, session: sessions.append(session),
            ) as setup:
                _, found, why = await send(setup, content)
                assert found == state, why
                assert reason in why
                if case == "unusable":
                    assert [mail.encrypted for mail in sink.mails] == [True]

    asyncio.run(run())
    (session,) = sessions
    failure = "" if session.problem is None else session.problem.failure
    assert f"{session.policy.type} {failure}".strip() == counted


@pytest.mark.interop
def test_bind_signs_and_unbound_validates(store: Store, server: Server, tmp_path: Path) -> None:
    """The whole way: a signed zone, a validating resolver, a server with a matching key, or not."""
    for folder in ("named", "unbound"):
        (tmp_path / folder).mkdir()

    async def run() -> None:
        async with smtp_sink(tls=server.tls) as sink:
            records = (
                "mx A 127.0.0.1\nmx2 A 127.0.0.1\ngood MX 10 mx\nbad MX 10 mx2\n"
                f"_{sink.port}._tcp.mx TLSA {server.record(3)}\n"
                f"_{sink.port}._tcp.mx2 TLSA {WRONG}"
            )
            zones = {"signed.test": records}
            with (
                running_named(tmp_path / "named", zones, in_zone=SIGNING) as named,
                running_unbound(
                    tmp_path / "unbound", ["signed.test"], keys_of(named, "signed.test"), named
                ) as nameserver,
            ):
                await deliver(sink, nameserver)

    async def deliver(sink: SmtpSink, nameserver: str) -> None:
        options = DnsOptions(nameservers=(nameserver,))
        resolver = Resolver(options, SystemClock(), os.urandom)
        tls = ssl.create_default_context()
        async with courier(store, {}, port=sink.port, tls=tls, resolver=resolver) as setup:
            for domain, state in (("good", "delivered"), ("bad", "waiting")):
                mail_id = await setup.put(f"a@{domain}.signed.test")
                await setup.deliverer.run_due()
                ((found, reason),) = await setup.states(mail_id)
                assert found == state, reason
                assert len(await setup.events(mail_id, TlsaFound)) == 1
            assert len(sink.mails) == 1
        await resolver.close()

    asyncio.run(run())
