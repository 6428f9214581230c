from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.mailauth.authres import MethodResult, is_forged, write_field
from zajil.message.fields import read_fields

OURS = "mx.north.test"


def test_no_results_is_none() -> None:
    """RFC 8601 section 2.2."""
    assert write_field(OURS, ()) == b"Authentication-Results: mx.north.test; none\r\n"


def test_results_stand_on_lines_of_their_own() -> None:
    results = [
        MethodResult("auth", "pass", (("smtp.auth", "amal"),)),
        MethodResult("spf", "fail", (("smtp.mailfrom", "سلمى@زاجل.test"),)),
    ]
    assert write_field(OURS, results).decode() == (
        "Authentication-Results: mx.north.test;\r\n\tauth=pass smtp.auth=amal;\r\n"
        "\tspf=fail smtp.mailfrom=سلمى@زاجل.test\r\n"
    )


@given(st.text(max_size=100))
def test_a_value_of_the_peer_stays_a_value(value: str) -> None:
    written = write_field(
        OURS,
        [MethodResult("spf", "pass", (("smtp.helo", value.encode("utf-8", "replace").decode()),))],
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


@pytest.mark.parametrize(
    "value",
    [
        b" mx.north.test/1; spf=pass",
        b" mx.north.test\xc2\xa0; spf=pass",
        b"\xc2\xa0mx.north.test; spf=pass",
        b" mx.north.test\x01; spf=pass",
        b" \x7fmx.nor\x00th.test; spf=pass",
        b" mx.north\xe2\x80\x8b.test; spf=pass",
        b" \xef\xbb\xbfmx.north.test; spf=pass",
        b" x.test mx.north.test; spf=pass",
        b" x.test (mx.north.test); spf=pass",
        b" x.test, mx.north.test; spf=pass",
        b" <mx.north.test>; spf=pass",
        b" 'mx.north.test'; spf=pass",
        b"\xff\xfe mx.north.test; spf=pass",
        b" \xfe\xffmx.north.test; spf=pass",
        b" mx.north.test:25; spf=pass",
        b" @mx.north.test; spf=pass",
        b" mx.north.test|x; spf=pass",
        b" {mx.north.test}*; spf=pass",
        b" mx.north.test\xe2\x81\x841; spf=pass",
        b" [mx.north.test]; spf=pass",
        b" =?utf-8?Q?mx.north.test?=; spf=pass",
        b" =?us-ascii?B?bXgubm9ydGgudGVzdA==?=; spf=pass",
        b" mx.=?utf-8?Q?north?=.test; spf=pass",
        b" mx.no\r\n rth.test; spf=pass",
        b" mx.north.\r\n\ttest 1; spf=pass",
        b' mx."north".test; spf=pass',
        " ｍｘ.north.test; spf=pass".encode(),
        " mx。north。test; spf=pass".encode(),
        b" mx.north.test=1; spf=pass",
        b" x.test" + b" " * 1500 + b"mx.north.test; spf=pass",
        b" mx.north.test spf=pass",
    ],
)
def test_names_that_a_careless_reader_takes_for_ours_are_forged(value: bytes) -> None:
    assert is_forged(value, OURS)


@pytest.mark.parametrize(
    "value",
    [
        b" imx.north.test; spf=pass",
        b" mx.north.test.example; spf=pass",
        b" mx.north.test-2.example; spf=pass",
        b" x.test; spf=pass smtp.helo=mx.north.test",
        b" x.test 1; dkim=pass header.d=mx.north.test",
        b" mx.north; spf=pass (test)",
    ],
)
def test_a_name_beside_ours_is_not_ours(value: bytes) -> None:
    assert not is_forged(value, OURS)


def test_no_line_of_ours_is_longer_than_998_octets() -> None:
    """RFC 5322 section 2.1.1: we pass it on, and an ARC seal covers it."""
    label = "x" * 60 + "."
    long = (("header.d", label * 4 + "test"), ("header.i", "a" * 64 + "@" + label * 4 + "test"))
    results = [
        MethodResult(
            "dkim", "fail", (*long, ("header.s", label * 4), ("x.y", "é" * 150)), "w" * 200
        )
    ]
    written = write_field(OURS, results)
    assert max(map(len, written.split(b"\r\n"))) <= 998
    short = write_field(OURS, [MethodResult("dkim", "fail", (("header.d", "x.test"),), "no")])
    assert short.count(b"\r\n") == 2


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
