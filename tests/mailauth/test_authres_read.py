from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.mailauth.authres import MethodResult, write_field
from zajil.mailauth.authres_read import (
    ReadResults,
    payload_of,
    read_arc_results,
    read_instance,
    read_results,
)
from zajil.message.fields import read_fields


def test_none() -> None:
    """RFC 8601 appendix B.2."""
    assert read_results(b" example.org 1; none") == ReadResults("example.org", ())


def test_service_provided_and_comments() -> None:
    """RFC 8601 appendix B.3 and B.7."""
    found = read_results(
        b" foo.example.net (foobar) 1 (baz);\r\n"
        b"     dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n"
        b"       policy (A dot can go here) . (like that) expired\r\n"
        b"       (this surprised me) = (as I wasn't expecting it) 1362471462"
    )
    assert found == ReadResults(
        "foo.example.net", (MethodResult("dkim", "fail", (("policy.expired", "1362471462"),)),)
    )


def test_several_methods() -> None:
    """RFC 8601 appendix B.5."""
    found = read_results(
        b' example.com; dkim=pass reason="good signature" header.i=@mail-router.example.net;\r\n'
        b'\tdkim=fail reason=bad header.i=@newyork.example.com; spf=pass smtp.mailfrom="a b"@c.d'
    )
    assert found is not None
    assert found.results == (
        MethodResult("dkim", "pass", (("header.i", "@mail-router.example.net"),), "good signature"),
        MethodResult("dkim", "fail", (("header.i", "@newyork.example.com"),), "bad"),
        MethodResult("spf", "pass", (("smtp.mailfrom", "a b@c.d"),)),
    )
    assert [one.result for one in found.results_of("dkim")] == ["pass", "fail"]


@pytest.mark.parametrize(
    "value",
    [b"", b" ;", b" name", b" two names; spf=pass", b" (open; spf=pass", b" =; x=y", b"x" * 70_000],
)
def test_what_is_no_such_field(value: bytes) -> None:
    assert read_results(value) is None


@pytest.mark.parametrize(
    "value",
    [
        b' a; spf=fail reason="x; dmarc=pass header.from=b"',
        b" a; spf=fail (; dmarc=pass header.from=b)",
        b" a; spf=fail (\\); dmarc=pass header.from=b)",
        b' a; spf=fail (" ; dmarc=pass header.from=b)',
    ],
)
def test_nothing_hides_in_comments_and_strings(value: bytes) -> None:
    found = read_results(value)
    assert found is not None
    assert [one.method for one in found.results] == ["spf"]


def test_an_instance_comes_first() -> None:
    """RFC 8617 section 4.1.1."""
    found = read_arc_results(b" (x) i = 2 ; a.test; dmarc=pass header.from=b.test")
    assert found is not None
    assert (found.instance, found.authserv_id) == (2, "a.test")
    for value in (b" a.test; i=2; spf=pass", b" i=x; a.test; none", b" i=123; a; none", b" i=1"):
        assert read_arc_results(value) is None
    assert read_instance(b" i=7; anything at all") == 7
    assert read_instance(b" a.test; i=7") is None


def test_what_follows_the_name() -> None:
    assert (
        payload_of(b" A.test; spf=pass (\xe9);\r\n\tx=y", "a.test") == b" spf=pass (\xe9);\r\n\tx=y"
    )
    assert payload_of(b" b.test; spf=pass", "a.test") is None


WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=0x6FF), min_size=1, max_size=20)


@given(WORDS, st.text(max_size=30), st.text(max_size=30))
def test_what_we_write_can_be_read(value: str, other: str, reason: str) -> None:
    safe = other.encode("utf-8", "replace").decode()
    reason = "".join(
        char for char in reason.encode("utf-8", "replace").decode() if char.isprintable()
    )
    result = MethodResult("spf", "fail", (("smtp.mailfrom", value), ("smtp.helo", safe)), reason)
    (field,) = read_fields(write_field("mx.north.test", [result]))
    found = read_results(field.value)
    assert found is not None
    (read,) = found.results
    printable = "".join(char if char.isprintable() else "?" for char in value)
    assert read.properties[0] == ("smtp.mailfrom", printable)
    assert (read.method, read.result, read.reason) == ("spf", "fail", reason)


@given(st.binary(max_size=400))
def test_no_bytes_make_it_raise(value: bytes) -> None:
    read_results(value)
    read_arc_results(value)
    payload_of(value, "a.test")
    read_instance(value)
