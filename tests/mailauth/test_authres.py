from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.mailauth.authres import Result, is_forged, write_field
from zajil.message.fields import read_fields

OURS = "mx.north.test"


def test_no_results_is_none() -> None:
    """RFC 8601 section 2.2."""
    assert write_field(OURS, ()) == b"Authentication-Results: mx.north.test; none\r\n"


def test_results_stand_on_lines_of_their_own() -> None:
    results = [
        Result("auth", "pass", (("smtp.auth", "amal"),)),
        Result("spf", "fail", (("smtp.mailfrom", "سلمى@زاجل.test"),)),
    ]
    assert write_field(OURS, results).decode() == (
        "Authentication-Results: mx.north.test;\r\n\tauth=pass smtp.auth=amal;\r\n"
        "\tspf=fail smtp.mailfrom=سلمى@زاجل.test\r\n"
    )


@given(st.text(max_size=100))
def test_a_value_of_the_peer_stays_a_value(value: str) -> None:
    written = write_field(
        OURS, [Result("spf", "pass", (("smtp.helo", value.encode("utf-8", "replace").decode()),))]
    )
    (field,) = read_fields(written)
    assert field.value.count(b"\n") == 1
    # Nothing but the one quoted string may follow the equals sign.
    quoted = field.value.partition(b"smtp.helo=")[2]
    assert quoted.startswith(b'"') == quoted.endswith(b'"') or not quoted


@pytest.mark.parametrize(
    "value",
    [
        b" mx.north.test; spf=pass",
        b"\r\n\tMX.North.Test ;\r\n spf=pass",
        b" (comment) mx.north.test; spf=pass",
        b" (nested (comment)) mx.north.test; spf=pass",
        b" (a) (b(c)\\)) mx.north.test 1; spf=pass",
        b' "mx.north.test"; spf=pass',
        b' "mx.\\north.test"; spf=pass',
        b" mx.north.test.; spf=pass",
        b" mx.north.test(x); spf=pass",
        b" (never closed mx.north.test; spf=pass",
        b" ; spf=pass",
        b"",
        b" )mx.north.test; spf=pass",
    ],
)
def test_forged_fields_are_found_whatever_they_hide_in(value: bytes) -> None:
    """RFC 8601 section 5; what cannot be said to be another's is taken out too."""
    assert is_forged(value, OURS)


def test_fields_of_others_stay() -> None:
    for value in (b" mx.south.test; spf=pass", b" mx.north.test.evil.example; none", b" north.test",
                  b" mx.north.testing; none", b' "x;mx.north.test"; none'):  # fmt: skip
        assert not is_forged(value, OURS)


def test_u_labels_are_the_same_name() -> None:
    assert is_forged(" mx.زاجل.test; spf=pass".encode(), "mx.xn--mgbhr6e.test") == (
        "زاجل".encode("idna") == b"xn--mgbhr6e"
    )


@given(st.binary(max_size=200))
def test_no_bytes_make_it_raise(value: bytes) -> None:
    is_forged(value, OURS)


def test_endless_comments_take_linear_time() -> None:
    for bomb in (b"(" * 500_000, b"()" * 300_000, b'"' + b"\\" * 500_000, b"(\\" * 300_000):
        is_forged(bomb, OURS)
