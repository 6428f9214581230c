"""Keys of host names as bytes."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from zajil.certificates.host_key import (
    hash_of_chain,
    key_hash,
    make_challenge_certificate,
    make_host_key,
    make_request,
    renewal_id,
)
from zajil.store.people.host_keys import HostKeyState
from zajil.tls.context import BadCertificate


def test_renewal_information_names_a_certificate_as_the_rfc_does() -> None:
    """RFC 9773 section 4.1: the values of its example."""
    key = ec.generate_private_key(ec.SECP256R1())
    identifier = bytes.fromhex("69885B6B87464041E1B37B847BA0AE2CDE01C8D4")
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(key.public_key())
        .serial_number(0x87654321)
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=1))
    )
    bare = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    named = builder.add_extension(
        x509.AuthorityKeyIdentifier(identifier, None, None), critical=False
    )
    chain = named.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    assert renewal_id(chain) == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"
    assert renewal_id(bare) is None
    assert hash_of_chain(chain) == key_hash(key.public_key())
    with pytest.raises(BadCertificate):
        hash_of_chain(b"junk")


def test_a_request_is_for_one_name_and_the_stored_key() -> None:
    key = make_host_key("mail.x.test", HostKeyState.ACTIVE, 5)
    request = x509.load_pem_x509_csr(make_request(key.name, key.private_key))
    names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["mail.x.test"]
    assert key_hash(request.public_key()) == key.key_hash
    assert request.is_signature_valid


def test_a_challenge_certificate_has_the_digest_of_the_answer() -> None:
    """RFC 8737 section 3: critical, an OCTET STRING of 32 octets."""
    pair = make_challenge_certificate("mail.x.test", "token.thumbprint", 1_800_000_000_000)
    certificate = x509.load_pem_x509_certificate(pair.certificate)
    oid = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
    extension = certificate.extensions.get_extension_for_oid(oid)
    assert extension.critical
    content = extension.value.public_bytes()
    assert content[:2] == b"\x04\x20"
    assert len(content) == 34
