"""Certificates of the lab: checked by the ssl module as any client would."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from zajil.lab.ca import CertificateAuthority, CertificateFiles, now

NAMES = ["mx.xn--mgbx2a0b.test", "xn--mgbx2a0b.test"]
ADDRESSES = [IPv4Address("127.1.0.3")]


def make(
    folder: Path, later: timedelta = timedelta()
) -> tuple[CertificateAuthority, CertificateFiles]:
    authority = CertificateAuthority(folder, now() + later)
    files = CertificateFiles(folder / "certificate.pem", folder / "key.pem")
    authority.certificate(files, NAMES, ADDRESSES)
    return authority, files


@pytest.mark.parametrize("name", ["127.1.0.3", *NAMES])
def test_clients_accept_the_certificate(tmp_path: Path, name: str) -> None:
    authority, files = make(tmp_path)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(files.certificate, files.key)
    client = ssl.create_default_context(cafile=str(authority.ca_file))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with server.wrap_socket(theirs, server_side=True) as wrapped:
            wrapped.recv(1)

    with ours, theirs:
        thread = threading.Thread(target=serve)
        thread.start()
        with client.wrap_socket(ours, server_hostname=name) as wrapped:
            assert wrapped.version() == "TLSv1.3"
            wrapped.send(b"x")
        thread.join()


def test_a_second_start_finds_the_same(tmp_path: Path) -> None:
    _, files = make(tmp_path)
    first = files.certificate.read_bytes(), (tmp_path / "ca.pem").read_bytes()
    make(tmp_path)
    assert first == (files.certificate.read_bytes(), (tmp_path / "ca.pem").read_bytes())


def test_a_certificate_near_its_end_is_made_anew(tmp_path: Path) -> None:
    _, files = make(tmp_path)
    first = files.certificate.read_bytes()
    make(tmp_path, timedelta(days=380))
    assert files.certificate.read_bytes() != first


def test_keys_are_closed_to_others(tmp_path: Path) -> None:
    _, files = make(tmp_path)
    assert [path.stat().st_mode & 0o777 for path in (files.key, tmp_path / "ca.key")] == [0o600] * 2


def test_anybody_may_read_whom_to_trust_and_nobody_the_keys(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        authority = CertificateAuthority(tmp_path / "ca", now())
    finally:
        os.umask(before)
    assert authority.ca_file.stat().st_mode & 0o777 == 0o644
    assert authority.ca_file.parent.stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "ca" / "ca.key").stat().st_mode & 0o777 == 0o600
