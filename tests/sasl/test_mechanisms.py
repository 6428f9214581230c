"""PLAIN and LOGIN as steps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.sasl.mechanism import PASSWORD_MECHANISMS, TOKEN_MECHANISMS, make_mechanism
from zajil.sasl.step import BadResponse, Challenge, Credentials, Mechanism


def begin(name: str) -> Mechanism:
    mechanism = make_mechanism(name, bytes)
    assert mechanism is not None
    return mechanism


def test_plain_in_one_message() -> None:
    """RFC 4616 section 4."""
    assert begin("PLAIN").start(b"\0tim\0tanstaaftanstaaf") == Credentials(
        "tim", "tanstaaftanstaaf"
    )
    assert begin("PLAIN").start(b"Ursel\0Kurt\0xipj3plmq") == Credentials(
        "Kurt", "xipj3plmq", "Ursel"
    )


def test_plain_asks_where_nothing_was_sent() -> None:
    plain = begin("PLAIN")
    assert plain.start(None) == Challenge(b"")
    assert plain.respond("\0سلمى\0كلمة".encode()) == Credentials("سلمى", "كلمة")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0a",
        b"a\0b\0c\0d",
        b"\0\0secret",
        b"\0amal\0",
        b"\0\xff\0secret",
        b"\0amal\0\xff",
        b"\0" + b"a" * 400 + b"\0secret",
        b"\0amal\0" + b"a" * 2000,
    ],
)
def test_plain_refuses(data: bytes) -> None:
    assert isinstance(begin("PLAIN").start(data), BadResponse)


def test_login_asks_twice() -> None:
    login = begin("LOGIN")
    assert login.start(None) == Challenge(b"Username:")
    assert login.respond(b"amal") == Challenge(b"Password:")
    assert login.respond(b"secret") == Credentials("amal", "secret")


def test_login_with_the_name_as_initial_response() -> None:
    login = begin("LOGIN")
    assert login.start(b"amal") == Challenge(b"Password:")
    assert login.respond(b"\xff") == BadResponse("bad password")


@pytest.mark.parametrize("name", [*PASSWORD_MECHANISMS, *TOKEN_MECHANISMS, "SCRAM-SHA-256"])
@given(answers=st.lists(st.binary(max_size=40), min_size=1, max_size=4))
def test_no_answer_makes_it_raise(name: str, answers: list[bytes]) -> None:
    mechanism = begin(name)
    step = mechanism.start(answers[0])
    for answer in answers[1:]:
        if isinstance(step, Challenge):
            step = mechanism.respond(answer)


def test_unknown_mechanism() -> None:
    assert make_mechanism("CRAM-MD5", bytes) is None


def test_the_password_is_not_in_the_repr() -> None:
    assert "secret" not in repr(Credentials("amal", "secret"))
