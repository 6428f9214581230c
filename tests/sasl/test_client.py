"""The client's side of the mechanisms, with an example of the RFC, and servers that lie."""

from __future__ import annotations

from base64 import b64encode

import pytest

from zajil.sasl.client import (
    MAX_ITERATIONS,
    BadChallenge,
    LoginClient,
    PlainClient,
    ScramClient,
    client_mechanisms,
)
from zajil.sasl.mechanism import make_mechanism
from zajil.sasl.scram import Scram, ScramKeys, derive_key
from zajil.sasl.step import Challenge, Credentials, KeysWanted, Proven

NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_NONCE = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"


def test_the_example_of_the_rfc() -> None:
    """RFC 7677 section 3."""
    client = ScramClient("user", "pencil", NONCE)
    assert client.start() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    final = client.respond(f"r={SERVER_NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".encode())
    assert final == (
        f"c=biws,r={SERVER_NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=".encode()
    )
    assert not client.is_complete
    assert client.respond(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=") == b""
    assert client.is_complete


@pytest.mark.parametrize("login", ["amal", "a,b=c", "سلمى@زاجل.test"])
def test_both_sides_of_scram_understand_each_other(login: str) -> None:
    client = ScramClient(login, "a pigeon's password", NONCE)
    server = make_mechanism("SCRAM-SHA-256", lambda size: b"x" * size)
    assert isinstance(server, Scram)
    wanted = server.start(client.start())
    assert isinstance(wanted, KeysWanted)
    assert wanted.login == login
    keys = ScramKeys(b"salt", 4096, (derive_key("a pigeon's password", b"salt"),))
    challenge = server.take_keys(keys)
    assert isinstance(challenge, Challenge)
    proven = server.respond(client.respond(challenge.data))
    assert isinstance(proven, Proven)
    assert client.respond(proven.final) == b""
    assert client.is_complete


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        (f"r={NONCE},s=c2FsdA==,i=4096", "the nonce of the server does not begin with ours"),
        ("r=other,s=c2FsdA==,i=4096", "the nonce of the server does not begin with ours"),
        (f"r={NONCE}x,s=c2FsdA==,i=1", "SCRAM with 1 iterations"),
        (f"r={NONCE}x,s=c2FsdA==,i={MAX_ITERATIONS + 1}", "iterations"),
        (f"r={NONCE}x,s=c2FsdA==,i=99999999999", "not a first message of SCRAM"),
        (f"r={NONCE}x,s=c2FsdA,i=4096", "the salt is not base64"),
        (f"m=x,r={NONCE}x,s=c2FsdA==,i=4096", "not a first message of SCRAM"),
        ("e=other-error", "not a first message of SCRAM"),
        ("", "not a first message of SCRAM"),
    ],
)
def test_a_bad_first_message_ends_the_exchange(first: str, reason: str) -> None:
    client = ScramClient("amal", "secret", NONCE)
    client.start()
    with pytest.raises(BadChallenge, match=reason):
        client.respond(first.encode())
    assert not client.is_complete


@pytest.mark.parametrize("final", [b"", b"v=", b"e=invalid-proof", b"v=" + b64encode(b"x" * 32)])
def test_a_server_without_proof_is_not_believed(final: bytes) -> None:
    client = ScramClient("amal", "secret", NONCE)
    client.start()
    client.respond(f"r={NONCE}x,s=c2FsdA==,i=4096".encode())
    with pytest.raises(BadChallenge):
        client.respond(final)
    assert not client.is_complete


def test_plain_and_login_send_what_the_server_expects() -> None:
    plain = make_mechanism("PLAIN", lambda size: b"")
    assert plain is not None
    assert plain.start(PlainClient("amal", "سر").start()) == Credentials("amal", "سر")
    client, login = LoginClient("amal", "secret"), make_mechanism("LOGIN", lambda size: b"")
    assert login is not None
    assert client.start() is None
    first = login.start(None)
    assert isinstance(first, Challenge)
    second = login.respond(client.respond(first.data))
    assert isinstance(second, Challenge)
    assert not client.is_complete
    assert login.respond(client.respond(second.data)) == Credentials("amal", "secret")
    assert client.is_complete
    with pytest.raises(BadChallenge):
        client.respond(b"once more")
    with pytest.raises(BadChallenge):
        PlainClient("amal", "secret").respond(b"")


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ({"LOGIN", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"}, ["SCRAM-SHA-256", "PLAIN"]),
        ({"SCRAM-SHA-256"}, ["SCRAM-SHA-256"]),
        ({"LOGIN", "XOAUTH2"}, ["LOGIN"]),
        ({"CRAM-MD5", "NTLM"}, []),
        (set(), []),
    ],
)
def test_the_best_mechanism_comes_first(offered: set[str], chosen: list[str]) -> None:
    found = client_mechanisms(offered, "amal", "secret", lambda size: b"x" * size)
    assert [one.name for one in found] == chosen
