"""MTA-STS records and policies of other domains (RFC 8461 section 3)."""

from __future__ import annotations

import pytest

from zajil.mailauth.mta_sts import (
    MAX_AGE_SECONDS,
    MAX_POLICY_SIZE,
    BadStsPolicy,
    StsPolicy,
    parse_sts_policy,
    parse_sts_record,
)

POLICY = (
    b"version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\n"
    b"max_age: 604800\r\n"
)


@pytest.mark.parametrize(
    ("values", "record_id"),
    [
        (["v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
        (["v=STSv1;id=1"], "1"),
        (["v=STSv1 ; other=x; id=1"], "1"),
        (["something else", "v=STSv1; id=1"], "1"),
        (["v=STSv1; id=1", "v=STSv1; id=2"], None),
        (["v=STSv1; id="], None),
        (["v=STSv1; id=a-b"], None),
        (["v=STSv1; id=" + "x" * 33], None),
        (["v=STSv1"], None),
        (["v=STSv10; id=1"], None),
        (["id=1; v=STSv1"], None),
        ([], None),
    ],
)
def test_the_record_has_an_id(values: list[str], record_id: str | None) -> None:
    assert parse_sts_record(values) == record_id


def test_the_example_of_the_rfc() -> None:
    assert parse_sts_policy(POLICY) == StsPolicy(
        "enforce", ("mail.example.com", "*.example.net"), 604_800
    )


def test_what_is_allowed() -> None:
    """Line feeds alone, blanks, unknown and repeated fields, capitals in host names."""
    text = b"version:STSv1\nmode: testing \nmode: none\nnew: x\n\nmx: Mail.Example.COM.\nmax_age: 0"
    assert parse_sts_policy(text) == StsPolicy("testing", ("mail.example.com",), 0)
    none = parse_sts_policy(b"version: STSv1\nmode: none\nmax_age: 9999999999\n")
    assert none == StsPolicy("none", (), MAX_AGE_SECONDS)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<html>",
        b"\xff",
        POLICY.replace(b"STSv1", b"STSv2"),
        POLICY.replace(b"enforce", b"strict"),
        POLICY.replace(b"604800", b"a week"),
        POLICY.replace(b"604800", b"-1"),
        POLICY.replace(b"mail.example.com", b"mail example"),
        POLICY.replace(b"*.example.net", b"*"),
        POLICY.replace(b"*.example.net", b"a.*.net"),
        b"version: STSv1\nmode: enforce\nmax_age: 1\n",
        POLICY + b"x" * MAX_POLICY_SIZE,
        POLICY + b"".join(b"mx: h%d.test\n" % number for number in range(600)),
    ],
)
def test_what_is_no_policy(text: bytes) -> None:
    with pytest.raises(BadStsPolicy):
        parse_sts_policy(text)


@pytest.mark.parametrize(
    ("host", "permitted"),
    [
        ("mail.example.com", True),
        ("MAIL.example.com.", True),
        ("a.mail.example.com", False),
        ("mx.example.net", True),
        ("a.mx.example.net", False),
        ("example.net", False),
        ("*.example.net", False),
        ("evil.test", False),
    ],
)
def test_a_star_is_one_label(host: str, permitted: bool) -> None:
    """RFC 8461 section 4.1."""
    assert parse_sts_policy(POLICY).permits(host) is permitted
