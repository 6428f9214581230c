"""SCRAM-SHA-256 against the RFC's own exchange, and against whoever breaks its rules."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.sasl.scram import Scram, ScramKey, ScramKeys, derive_key
from zajil.sasl.step import BadResponse, Challenge, Denied, KeysWanted, Proven, Step

# RFC 7677 section 3.
SALT = b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
CLIENT_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = (
    b"r=rOprNGfwEbeRWgbNEkqO" + SERVER_NONCE.encode() + b",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
)
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO"
    + SERVER_NONCE.encode()
    + b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
PENCIL = derive_key("pencil", SALT)
OTHER = derive_key("eraser", SALT)


def begun(first: bytes = CLIENT_FIRST, *keys: ScramKey) -> Scram:
    scram = Scram(SERVER_NONCE)
    assert isinstance(scram.start(first), KeysWanted)
    assert isinstance(scram.take_keys(ScramKeys(SALT, 4096, keys or (PENCIL,))), Challenge)
    return scram


def prove(first: bytes, unproved: bytes, key: str = "pencil") -> bytes:
    """Do the client's side for a last message that is not the RFC's."""
    bare = first.split(b",", 2)[2]
    about = b",".join((bare, SERVER_FIRST, unproved))
    salted = hashlib.pbkdf2_hmac("sha256", key.encode(), SALT, 4096)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(client_key).digest(), about, "sha256")
    proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
    return unproved + b",p=" + b64encode(proof)


def test_the_exchange_of_the_rfc() -> None:
    """RFC 7677 section 3."""
    scram = Scram(SERVER_NONCE)
    assert scram.start(None) == Challenge(b"")
    assert scram.respond(CLIENT_FIRST) == KeysWanted("user")
    assert scram.take_keys(ScramKeys(SALT, 4096, (PENCIL,))) == Challenge(SERVER_FIRST)
    assert scram.respond(CLIENT_FINAL) == Proven(0, SERVER_FINAL)


def test_each_of_several_passwords_opens_and_is_named() -> None:
    """One salt for all of an account's app passwords: the client hashes once."""
    assert begun(CLIENT_FIRST, OTHER, PENCIL).respond(CLIENT_FINAL) == Proven(1, SERVER_FINAL)
    assert begun(CLIENT_FIRST, PENCIL, OTHER).respond(CLIENT_FINAL) == Proven(0, SERVER_FINAL)


def test_a_wrong_password_is_told_as_such() -> None:
    assert begun(CLIENT_FIRST, OTHER).respond(CLIENT_FINAL) == Denied("invalid-proof")


def test_a_client_that_would_bind_may_go_on() -> None:
    """RFC 5802 section 6: "y" is refused only by a server that offers PLUS."""
    first = CLIENT_FIRST.replace(b"n,,", b"y,,", 1)
    unproved = b"c=" + b64encode(b"y,,") + b",r=rOprNGfwEbeRWgbNEkqO" + SERVER_NONCE.encode()
    assert isinstance(begun(first).respond(prove(first, unproved)), Proven)


def test_binding_is_refused() -> None:
    first = CLIENT_FIRST.replace(b"n,,", b"p=tls-exporter,,", 1)
    assert Scram("x").start(first) == Denied("channel-binding-not-supported", wrong=False)


@pytest.mark.parametrize(("flag", "said"), [(b"y,,", b"n,,"), (b"n,,", b"y,,"), (b"n,,", b"p=x,,")])
def test_a_changed_flag_is_noticed(flag: bytes, said: bytes) -> None:
    """Security: whoever takes PLUS out of the announcement must change what the proof is about."""
    first = CLIENT_FIRST.replace(b"n,,", flag, 1)
    unproved = b"c=" + b64encode(said) + b",r=rOprNGfwEbeRWgbNEkqO" + SERVER_NONCE.encode()
    denied = Denied("channel-bindings-dont-match", wrong=False)
    assert begun(first).respond(prove(first, unproved)) == denied


@pytest.mark.parametrize(
    "nonce",
    [
        b"rOprNGfwEbeRWgbNEkqO",
        SERVER_NONCE.encode(),
        b"rOprNGfwEbeRWgbNEkqO" + SERVER_NONCE.encode() + b"x",
        b"ROprNGfwEbeRWgbNEkqO" + SERVER_NONCE.encode(),
    ],
)
def test_the_nonce_is_compared_whole(nonce: bytes) -> None:
    """RFC 5802 section 5.1: a replayed or shortened nonce fails."""
    answer = begun().respond(prove(CLIENT_FIRST, b"c=biws,r=" + nonce))
    assert answer == Denied("other-error", wrong=False)


@pytest.mark.parametrize(
    ("name", "login"),
    [
        (b"amal", "amal"),
        (b"a=2Cb=3Dc", "a,b=c"),
        ("سلمى@زاجل.test".encode(), "سلمى@زاجل.test"),
    ],
)
def test_names_are_decoded(name: bytes, login: str) -> None:
    assert Scram("x").start(b"n,,n=%b,r=abc" % name) == KeysWanted(login)
    assert Scram("x").start(b"n,a=%b,n=%b,r=abc" % (name, name)) == KeysWanted(login, login)


@pytest.mark.parametrize("name", [b"", b"a=b", b"a=2cb", b"=", b"a\0b", b"\xff", b"a" * 321])
def test_names_that_are_none(name: bytes) -> None:
    """CVE-2019-10691: what is not UTF-8 is refused, and nothing falls over."""
    step = Scram("x").start(b"n,,n=%b,r=abc" % name)
    assert step == Denied("invalid-username-encoding", wrong=False)


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"n",
        b"n,,",
        b"x,,n=user,r=abc",
        b"n,,r=abc,n=user",
        b"n,,n=user",
        b"n,,n=user,r=",
        b"n,,n=user,r=a b",
        b"n,,n=user,r=a\x7f",
        b"n,,n=user,r=" + b"a" * 257,
        b"n,,n=user,r=abc,",
        b"n,b=x,n=user,r=abc",
        b"n,a=,n=user,r=abc",
    ],
)
def test_first_messages_that_are_none(first: bytes) -> None:
    assert isinstance(Scram("x").start(first), BadResponse)


def test_what_must_be_understood_and_is_not_ends_the_exchange() -> None:
    """RFC 5802 section 5.1: "m" is for extensions to come; others are ignored."""
    refused = Denied("extensions-not-supported", wrong=False)
    assert Scram("x").start(b"n,,m=x,n=user,r=abc") == refused
    assert Scram("x").start(b"n,,n=user,r=abc,x=y,z=1") == KeysWanted("user")


@pytest.mark.parametrize(
    ("change", "answer"),
    [
        ((b",p=", b",q="), None),
        ((b"c=biws,", b""), None),
        ((b"p=dHzb", b"p=dHz"), "invalid-encoding"),
        ((b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", b"p=AAAA"), "invalid-encoding"),
        ((b",p=", b",m=1,p="), "extensions-not-supported"),
        ((b"=biws", b"=bi!s"), None),
    ],
)
def test_last_messages_that_are_none(change: tuple[bytes, bytes], answer: str | None) -> None:
    step = begun().respond(CLIENT_FINAL.replace(*change))
    if answer is None:
        assert isinstance(step, BadResponse)
    else:
        assert step == Denied(answer, wrong=False)


def test_keys_and_passwords_stay_out_of_the_repr() -> None:
    assert repr(PENCIL) == "ScramKey()"


PIECES = st.lists(
    st.sampled_from(
        [b"n,", b"y,", b"p=x,", b",", b"n=", b"a=", b"r=", b"c=biws", b"p=", b"=2C", b"m="]
    )
    | st.binary(max_size=12)
).map(b"".join)


@given(PIECES, PIECES)
def test_no_bytes_make_it_raise(first: bytes, final: bytes) -> None:
    scram = Scram(SERVER_NONCE)
    step: Step = scram.start(first)
    if isinstance(step, KeysWanted):
        scram.take_keys(ScramKeys(SALT, 4096, (PENCIL,)))
        assert not isinstance(scram.respond(final), Proven)
    assert not isinstance(begun().respond(final), Proven)
