"""OAUTHBEARER and XOAUTH2 as steps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.sasl.oauth import MAX_TOKEN_SIZE, OAuthBearer, XOAuth2
from zajil.sasl.step import BadResponse, Challenge, Step, Token

# RFC 7628 section 4.1.
EXAMPLE = (
    b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01"
    b"auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01"
)
INVALID = b'{"status":"invalid_token"}'


def test_the_message_of_the_rfc() -> None:
    token = Token("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==", "user@example.com", INVALID)
    assert OAuthBearer().start(EXAMPLE) == token
    waiting = OAuthBearer()
    assert waiting.start(None) == Challenge(b"")
    assert waiting.respond(EXAMPLE) == token


def test_without_an_identity_it_is_the_tokens() -> None:
    assert OAuthBearer().start(b"n,,\x01auth=bearer abc\x01\x01") == Token("abc", "", INVALID)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01",
        b"n,,\x01\x01",
        b"n,,\x01auth=\x01\x01",
        b"n,,\x01auth=Basic abc\x01\x01",
        b"n,,\x01auth=Bearer a b\x01\x01",
        b"n,,\x01auth=Bearer a\r\nb\x01\x01",
        b"n,,\x01auth=Bearer abc\x01",
        b"n,,\x01auth=Bearer a\x01auth=Bearer b\x01\x01",
        b"n,a=a=b,\x01auth=Bearer abc\x01\x01",
        b"n,a=\xff,\x01auth=Bearer abc\x01\x01",
        b"p=tls-exporter,,\x01auth=Bearer abc\x01\x01",
        b"n,,\x01auth=Bearer " + b"a" * MAX_TOKEN_SIZE + b"\x01\x01",
    ],
)
def test_messages_that_are_none(data: bytes) -> None:
    assert isinstance(OAuthBearer().start(data), BadResponse)


def test_xoauth2() -> None:
    message = b"user=amal@north.test\x01auth=Bearer ya29.vF9dft4\x01\x01"
    step = XOAuth2().start(message)
    assert isinstance(step, Token)
    assert (step.token, step.authorization_id) == ("ya29.vF9dft4", "amal@north.test")
    assert "ya29" not in repr(step)
    waiting = XOAuth2()
    assert waiting.start(None) == Challenge(b"")
    assert isinstance(waiting.respond(b"user=\x01auth=Bearer x\x01\x01"), BadResponse)
    assert isinstance(waiting.respond(message.replace(b"amal", b"\xff")), BadResponse)


PIECES = st.lists(
    st.sampled_from([b"n,,", b"n,a=", b"\x01", b"auth=Bearer ", b"user=", b"host=x", b","])
    | st.binary(max_size=12)
).map(b"".join)


@given(PIECES)
def test_no_bytes_make_it_raise(data: bytes) -> None:
    for mechanism in (OAuthBearer(), XOAuth2()):
        step: Step = mechanism.start(data)
        assert isinstance(step, BadResponse | Token)
