"""The certificate of a running server is replaced under its listeners, over memory."""

from __future__ import annotations

import shutil
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from kit.certificates import TestAuthority
from zajil.tls.context import BadCertificate, CertificateAndKey, read_pair
from zajil.tls.keeper import NoCertificate, TlsKeeper
from zajil.tls.self_signed import make_self_signed


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return TestAuthority(tmp_path_factory.mktemp("authority"))


class Connection:
    """Both ends after the handshake."""

    def __init__(
        self,
        keeper: TlsKeeper | ssl.SSLContext,
        client: ssl.SSLContext,
        name: str | None,
        session: ssl.SSLSession | None = None,
    ) -> None:
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = client.wrap_bio(to_client, to_server, False, name, session=session)
        context = keeper.context if isinstance(keeper, TlsKeeper) else keeper
        self.server = context.wrap_bio(to_server, to_client, True)
        done: set[ssl.SSLObject] = set()
        while len(done) < 2:
            for end in (self.client, self.server):
                try:
                    end.do_handshake()
                    done.add(end)
                except ssl.SSLWantReadError:
                    continue
        self.talk()

    def talk(self) -> None:
        self.server.write(b"x")
        assert self.client.read(1) == b"x"
        self.client.write(b"y")
        assert self.server.read(1) == b"y"


def test_old_connections_live_and_new_ones_get_the_new_certificate(
    authority: TestAuthority,
) -> None:
    client = authority.client_context()
    keeper = TlsKeeper([authority.issue("old.test")])
    old = Connection(keeper, client, "old.test")
    assert keeper.replace([authority.issue("new.test")])
    Connection(keeper, client, "new.test")
    with pytest.raises(ssl.SSLCertVerificationError):
        Connection(keeper, client, "old.test")
    old.talk()


def test_other_contents_of_the_same_files_are_another_certificate(
    authority: TestAuthority, tmp_path: Path
) -> None:
    files = tmp_path / "certificate.pem", tmp_path / "key.pem"

    def install(pair: tuple[Path, Path]) -> None:
        for source, target in zip(pair, files, strict=True):
            shutil.copyfile(source, target)

    install(authority.issue("one.test"))
    keeper = TlsKeeper([files])
    assert not keeper.replace([files])
    install(authority.issue("two.test"))
    assert keeper.replace([files])
    assert not keeper.replace([files])
    Connection(keeper, authority.client_context(), "two.test")


def test_a_certificate_that_cannot_be_used_replaces_nothing(
    authority: TestAuthority, tmp_path: Path
) -> None:
    pair = authority.issue("good.test")
    keeper = TlsKeeper([pair])
    other, _ = authority.issue("other.test")
    for files in ((other, pair[1]), (tmp_path / "none.pem", pair[1])):
        with pytest.raises(BadCertificate):
            keeper.replace([files])
    assert keeper.own_certificates == (pair[0],)
    assert not keeper.replace([pair])
    Connection(keeper, authority.client_context(), "good.test")


def presented(keeper: TlsKeeper, name: str | None, *, web: bool = False) -> list[str]:
    """Return the names in the certificate that a client gets, in a handshake."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    if web:
        client.set_alpn_protocols(["h2", "http/1.1"])
    context = keeper.web_context if web else keeper.context
    connection = Connection(context, client, name)
    assert connection.client.selected_alpn_protocol() == ("http/1.1" if web else None)
    content = connection.client.getpeercert(binary_form=True)
    assert content
    names = x509.load_der_x509_certificate(content).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    return names.value.get_values_for_type(x509.DNSName)


def offered(authority: TestAuthority, *names: str) -> CertificateAndKey:
    return read_pair(*authority.issue(*names))


@pytest.mark.parametrize("web", [False, True])
def test_the_name_that_the_client_asks_for_chooses(authority: TestAuthority, web: bool) -> None:
    """RFC 6066 section 3; own files first, a wildcard stands for one label."""
    own = [authority.issue("mail.own.test"), authority.issue("*.wild.test", "wild.test")]
    keeper = TlsKeeper(own, hostname="mail.own.test")
    keeper.offer(
        {
            "mta-sts.a.test": offered(authority, "mta-sts.a.test"),
            "b.wild.test": offered(authority, "b.wild.test"),
            "*.c.test": offered(authority, "*.c.test"),
        }
    )
    for name, expected in (
        ("mail.own.test", "mail.own.test"),
        ("MAIL.own.test", "mail.own.test"),
        ("mta-sts.a.test", "mta-sts.a.test"),
        ("b.wild.test", "*.wild.test"),
        ("x.b.wild.test", "mail.own.test"),
        ("d.c.test", "*.c.test"),
        ("unknown.test", "mail.own.test"),
        (None, "mail.own.test"),
    ):
        assert presented(keeper, name, web=web)[0] == expected, name


def test_without_files_a_fallback_is_presented_until_the_store_has_a_certificate(
    authority: TestAuthority,
) -> None:
    fallback = make_self_signed(("mail.x.test",), 0)
    keeper = TlsKeeper([], hostname="mail.x.test", fallback=fallback)
    assert keeper.find("mail.x.test") == fallback
    pair = offered(authority, "mail.x.test")
    keeper.offer({"mail.x.test": pair, "mta-sts.y.test": offered(authority, "mta-sts.y.test")})
    for name in (None, "mail.x.test", "else.test"):
        assert keeper.find(name) == pair
        Connection(keeper, authority.client_context(), "mail.x.test")
    keeper.offer({"mail.x.test": CertificateAndKey(b"junk", b"junk")})
    assert presented(keeper, "mail.x.test") == ["mail.x.test"]
    keeper.offer({})
    assert keeper.find("mta-sts.y.test") == fallback
    with pytest.raises(NoCertificate):
        TlsKeeper([])


def test_a_key_of_the_store_is_not_written_to_a_disk(
    authority: TestAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = offered(authority, "mail.x.test")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    keeper = TlsKeeper([], fallback=pair)
    assert presented(keeper, None) == ["mail.x.test"]


def test_a_client_resumes_with_its_ticket_after_a_replacement(authority: TestAuthority) -> None:
    """All workers are forked with the same ticket keys, and keep them."""
    client = authority.client_context()
    pair = authority.issue("mx.test")
    keeper = TlsKeeper([pair])
    first = Connection(keeper, client, "mx.test")
    keeper.replace([authority.issue("mx.test")])
    again = Connection(keeper, client, "mx.test", first.client.session)
    assert again.client.session_reused


def test_a_key_of_another_kind_takes_the_place_of_the_old_one(
    authority: TestAuthority, tmp_path: Path
) -> None:
    """OpenSSL keeps a certificate for each kind of key; clients prefer ECDSA."""
    keeper = TlsKeeper([authority.issue("mx.test")])
    keeper.replace([_self_signed_rsa(tmp_path)])
    client = ssl.create_default_context(cafile=str(tmp_path / "rsa.pem"))
    Connection(keeper, client, "rsa.test")


def _self_signed_rsa(folder: Path) -> tuple[Path, Path]:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "rsa.test")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2120, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("rsa.test")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "rsa.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "rsa.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "rsa.pem", folder / "rsa.key"
