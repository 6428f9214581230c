"""TLS between our own two contexts, over memory: versions, resumption, verification."""

from __future__ import annotations

import ssl
import time
from pathlib import Path

import pytest

from zajil.tls.context import BadCertificate, client_context, server_context
from zajil.tls.self_signed import make_self_signed


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    made = make_self_signed(("mx.north.test",), int(time.time() * 1000))
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(made.certificate)
    key.write_bytes(made.key)
    return certificate, key


class Shaken:
    """Both ends of one connection, after the handshake and one byte each way."""

    def __init__(
        self,
        server: ssl.SSLContext,
        client: ssl.SSLContext,
        name: str,
        session: ssl.SSLSession | None = None,
    ) -> None:
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = client.wrap_bio(to_client, to_server, False, name, session=session)
        self.server = server.wrap_bio(to_server, to_client, True)
        done: set[ssl.SSLObject] = set()
        while len(done) < 2:
            for end in (self.client, self.server):
                try:
                    end.do_handshake()
                    done.add(end)
                except ssl.SSLWantReadError:
                    continue
        self.server.write(b"x")
        assert self.client.read(1) == b"x"


def test_a_verified_connection_is_tls_1_3(pair: tuple[Path, Path]) -> None:
    both = Shaken(server_context(*pair), client_context(pair[0], verify=True), "mx.north.test")
    assert both.client.version() == "TLSv1.3"


def test_tls_1_2_has_forward_secrecy(pair: tuple[Path, Path]) -> None:
    """RFC 9325 section 4.2: ECDHE and AEAD."""
    client = client_context(None, verify=False)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    cipher = Shaken(server_context(*pair), client, "mx.north.test").client.cipher()
    assert cipher is not None
    assert cipher[0].startswith("ECDHE-ECDSA-")


def test_tls_1_1_is_refused(pair: tuple[Path, Path]) -> None:
    """RFC 8996 section 5: TLS 1.1 must not be used."""
    assert server_context(*pair).minimum_version is ssl.TLSVersion.TLSv1_2
    assert client_context(None, verify=False).minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_client_comes_back_with_its_ticket(pair: tuple[Path, Path]) -> None:
    server, client = server_context(*pair), client_context(pair[0], verify=True)
    first = Shaken(server, client, "mx.north.test")
    again = Shaken(server, client, "mx.north.test", first.client.session)
    assert again.client.session_reused


def test_a_wrong_name_is_refused_when_verifying(pair: tuple[Path, Path]) -> None:
    """RFC 9525 section 6.3: the name asked for must be in subjectAltName."""
    with pytest.raises(ssl.SSLCertVerificationError):
        Shaken(server_context(*pair), client_context(pair[0], verify=True), "mx.south.test")


def test_an_unknown_authority_is_refused_when_verifying(pair: tuple[Path, Path]) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        Shaken(server_context(*pair), client_context(None, verify=True), "mx.north.test")


def test_opportunistic_tls_encrypts_to_anybody(pair: tuple[Path, Path]) -> None:
    """RFC 7435 section 3: some protection most of the time."""
    both = Shaken(server_context(*pair), client_context(None, verify=False), "anything.test")
    assert both.client.version() == "TLSv1.3"


def test_files_that_cannot_be_used_are_named(pair: tuple[Path, Path], tmp_path: Path) -> None:
    certificate, key = pair
    other = tmp_path / "other.pem"
    other.write_bytes(make_self_signed(("x.test",), 0).key)
    junk = tmp_path / "junk.pem"
    junk.write_text("no certificate", "utf-8")
    for files, reason in (
        ((tmp_path / "none.pem", key), f"cannot read {tmp_path}/none.pem: No such file or dir"),
        ((certificate, tmp_path / "none.pem"), f"cannot read {tmp_path}/none.pem"),
        ((certificate, other), f"{other} is not the key of {certificate}"),
        ((junk, key), f"{junk} and {key} are not a PEM certificate and key"),
    ):
        with pytest.raises(BadCertificate) as caught:
            server_context(*files)
        assert str(caught.value).startswith(reason)
    with pytest.raises(BadCertificate, match="contains no PEM certificate"):
        client_context(junk, verify=True)


def test_an_encrypted_key_is_told_and_nobody_is_asked(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    made = make_self_signed(("x.test",), 0)
    key = serialization.load_pem_private_key(made.key, None)
    (tmp_path / "c.pem").write_bytes(made.certificate)
    (tmp_path / "k.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(BadCertificate, match="is encrypted"):
        server_context(tmp_path / "c.pem", tmp_path / "k.pem")
