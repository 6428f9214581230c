"""The server's end of TLS over memory, with OpenSSL's own client at the other end."""

from __future__ import annotations

import ssl
from contextlib import suppress

import pytest
from OpenSSL import SSL

from kit.certificates import TestAuthority
from zajil.tls.channel import TlsChannel


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return TestAuthority(tmp_path_factory.mktemp("authority"))


class Client:
    """The other end."""

    def __init__(self, authority: TestAuthority, version: ssl.TLSVersion) -> None:
        context = authority.client_context()
        context.maximum_version = version
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, False, "x.test")

    def shake(self) -> None:
        with suppress(ssl.SSLWantReadError):
            self.tls.do_handshake()

    def read(self) -> bytes:
        """Return what has come, up to close_notify or the last byte."""
        data = b""
        with suppress(ssl.SSLWantReadError):
            while part := self.tls.read(65536):
                data += part
        return data


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def client(authority: TestAuthority, request: pytest.FixtureRequest) -> Client:
    return Client(authority, request.param)


@pytest.fixture
def channel(authority: TestAuthority) -> TlsChannel:
    return TlsChannel(authority.keeper("x.test").context)


def carry(client: Client, channel: TlsChannel, size: int = 0) -> bytes:
    """Take the client's bytes to the server in pieces, and those of the server back.

    Returns what the server read.
    """
    data = client.outgoing.read()
    size = size or len(data) or 1
    got = b"".join([channel.receive(data[at : at + size]) for at in range(0, len(data), size)])
    client.incoming.write(channel.to_send())
    return got


def connect(client: Client, channel: TlsChannel, size: int = 0) -> None:
    while not channel.is_established:
        client.shake()
        assert carry(client, channel, size) == b""
    client.shake()


@pytest.mark.parametrize("size", [0, 1, 7])
def test_both_directions_however_the_bytes_are_cut(
    client: Client, channel: TlsChannel, size: int
) -> None:
    connect(client, channel, size)
    text = bytes(range(256)) * 300  # five records
    sent = 0
    while sent < len(text):
        sent += client.tls.write(text[sent:])
    assert carry(client, channel, size) == text
    client.incoming.write(channel.send(text))
    assert client.read() == text
    version, cipher = channel.version_and_cipher()
    assert version == client.tls.version()
    agreed = client.tls.cipher()
    assert agreed is not None
    assert cipher == agreed[0]


def test_words_that_come_with_the_end_of_the_handshake(
    authority: TestAuthority, channel: TlsChannel
) -> None:
    """TLS 1.3: the client may send with its Finished, which our tickets answer."""
    client = Client(authority, ssl.TLSVersion.TLSv1_3)
    client.shake()
    carry(client, channel)
    client.shake()
    client.tls.write(b"EHLO c\r\n")
    assert channel.receive(client.outgoing.read()) == b"EHLO c\r\n"
    # The tickets and the answer leave in one piece.
    client.incoming.write(channel.send(b"250 ok\r\n"))
    assert channel.to_send() == b""
    assert client.read() == b"250 ok\r\n"
    session = client.tls.session
    assert session is not None
    assert session.has_ticket


def test_the_end_of_the_peer_comes_behind_its_last_words(
    client: Client, channel: TlsChannel
) -> None:
    connect(client, channel)
    client.tls.write(b"QUIT\r\n")
    with suppress(ssl.SSLWantReadError):
        client.tls.unwrap()
    assert carry(client, channel) == b"QUIT\r\n"
    assert channel.is_closed
    # It reads on: TLS 1.3 closes each direction for itself.
    client.incoming.write(channel.send(b"221 bye\r\n") + channel.close())
    assert client.incoming.pending


def test_our_end_is_no_truncation(client: Client, channel: TlsChannel) -> None:
    connect(client, channel)
    last = b"* 1 FETCH ...\r\n" * 3000 + b"* BYE\r\n"
    client.incoming.write(channel.close(last))
    assert client.read() == last
    assert client.tls.read(10) == b""  # without close_notify: SSLWantReadError


def test_a_record_that_was_changed_is_refused(client: Client, channel: TlsChannel) -> None:
    connect(client, channel)
    client.tls.write(b"NOOP\r\n")
    record = bytearray(client.outgoing.read())
    record[-1] ^= 1
    with pytest.raises(ssl.SSLError):
        channel.receive(bytes(record))
    client.incoming.write(channel.to_send())
    with pytest.raises(ssl.SSLError, match="ALERT_BAD_RECORD_MAC"):
        client.tls.read(10)


def test_no_tls_at_all(channel: TlsChannel) -> None:
    with pytest.raises(ssl.SSLError):
        channel.receive(b"EHLO injected.example\r\n")
    assert not channel.is_established
    with pytest.raises(ssl.SSLError):
        channel.receive(b"QUIT\r\n")


def test_a_renegotiation_is_refused(channel: TlsChannel) -> None:
    """Attack: CVE-2011-1473: handshakes on one connection cost the server more than the client."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    client = SSL.Connection(context, None)
    client.set_connect_state()

    def turn() -> bytes:
        with suppress(SSL.WantReadError):
            client.do_handshake()
        got = b""
        with suppress(SSL.WantReadError):
            got = channel.receive(client.bio_read(65536))
        if answer := channel.to_send():
            client.bio_write(answer)
        return got

    while not channel.is_established:
        turn()
    turn()
    client.renegotiate()
    with suppress(SSL.WantReadError):
        client.do_handshake()
    assert channel.receive(client.bio_read(65536)) == b""
    client.bio_write(channel.to_send())
    with pytest.raises(SSL.Error, match="no renegotiation"):
        client.recv(10)
