"""The hash of a body, however it is cut (RFC 6376 section 3.4.3, 3.4.4 and 3.7)."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.mailauth.dkim_body import (
    MAX_PARTIAL,
    BodyDigests,
    BodyNeed,
    NotHashed,
    body_needs,
    body_of,
)
from zajil.message.fields import read_fields

SIMPLE, RELAXED = BodyNeed("simple", "sha256", None), BodyNeed("relaxed", "sha256", None)


def simple_body(body: bytes) -> bytes:
    """RFC 6376 section 3.4.3, word for word."""
    while body.endswith(b"\r\n"):
        body = body[:-2]
    return body + b"\r\n"


def relaxed_body(body: bytes) -> bytes:
    """RFC 6376 section 3.4.4, word for word."""
    lines = [re.sub(rb"[ \t]+", b" ", line).removesuffix(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines)


CANONICAL = {"simple": simple_body, "relaxed": relaxed_body}


def expected(need: BodyNeed, body: bytes) -> bytes:
    return hashlib.sha256(CANONICAL[need.canonicalization](body)[: need.limit]).digest()


def hashes(body: bytes, needs: list[BodyNeed], size: int = 1 << 30) -> list[bytes]:
    digests = BodyDigests(needs)
    for at in range(0, len(body), size):
        digests.feed(body[at : at + size])
    assert digests.size == len(body)
    return [digests.digest(need) for need in needs]


@pytest.mark.parametrize(
    ("body", "simple", "relaxed"),
    [
        (b" C \r\nD \t E\r\n\r\n\r\n", b" C \r\nD \t E\r\n", b" C\r\nD E\r\n"),
        (b"", b"\r\n", b""),
        (b"\r\n\r\n", b"\r\n", b""),
        (b" \t\r\n", b" \t\r\n", b""),
        (b" ", b" \r\n", b""),
        (b"x", b"x\r\n", b"x\r\n"),
        (b"x \r", b"x \r\r\n", b"x \r\r\n"),
        (b"\n", b"\n\r\n", b"\n\r\n"),
        (b"x\r\r\n", b"x\r\r\n", b"x\r\r\n"),
    ],
)
def test_examples(body: bytes, simple: bytes, relaxed: bytes) -> None:
    """The first is that of RFC 6376 section 3.4.5."""
    assert (simple_body(body), relaxed_body(body)) == (simple, relaxed)
    found = hashes(body, [SIMPLE, RELAXED])
    assert found == [hashlib.sha256(one).digest() for one in (simple, relaxed)]


def test_the_hash_of_nothing() -> None:
    """RFC 6376 section 3.4.3 and 3.4.4 print both."""
    assert [base64.b64encode(one) for one in hashes(b"", [SIMPLE, RELAXED])] == [
        b"frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=",
        b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    ]


PIECES = st.sampled_from([b"\r", b"\n", b"\r\n", b"\r\n\r\n", b" ", b"\t", b"  ", b"a", b"word"])


@given(st.lists(PIECES, max_size=40).map(b"".join), st.integers(1, 5), st.integers(0, 30))
def test_cuts_do_not_matter(body: bytes, size: int, limit: int) -> None:
    needs = [SIMPLE, RELAXED]
    needs += [need._replace(limit=limit) for need in needs]
    assert hashes(body, needs, size) == [expected(need, body) for need in needs]
    digests = BodyDigests(needs)
    digests.feed(body)
    assert digests.canonical_size("simple") == len(simple_body(body))
    assert digests.canonical_size("relaxed") == len(relaxed_body(body))


def test_many_empty_lines() -> None:
    """They count only if something comes after them, and are never one string."""
    body = b"x\r\n" + b" \r\n" * 10_000 + b"y  \r\n" + b"\r\n" * 10_000
    for size in (7001, 1 << 20):
        assert hashes(body, [SIMPLE, RELAXED], size) == [
            expected(SIMPLE, body),
            expected(RELAXED, body),
        ]


def test_a_hash_that_nobody_wanted() -> None:
    digests = BodyDigests([SIMPLE])
    with pytest.raises(NotHashed):
        digests.digest(RELAXED)
    with pytest.raises(NotHashed):
        digests.digest(SIMPLE._replace(limit=1))
    with pytest.raises(NotHashed):
        digests.canonical_size("relaxed")


def test_a_hash_may_be_asked_for_twice() -> None:
    digests = BodyDigests([SIMPLE])
    digests.feed(b"x\r\n")
    assert digests.digest(SIMPLE) == digests.digest(SIMPLE) == expected(SIMPLE, b"x\r\n")


def test_the_empty_line_before_a_body() -> None:
    assert [body_of(body) for body in (b"\r\nx", b"\nx", b"x", b"")] == [b"x", b"x", b"x", b""]


def test_needs() -> None:
    header = (
        b"DKIM-Signature: v=1; c=relaxed/relaxed\r\n"
        b"dkim-signature: broken\r\n"
        b"DKIM-Signature: v=1; c=relaxed\r\n"
        b"DKIM-Signature: v=1; c=simple/relaxed; l=5\r\n"
        b"ARC-Message-Signature: i=1; c=relaxed/relaxed\r\n"
        b"Subject: c=simple/simple; l=1\r\n"
    )
    needs = body_needs(read_fields(header))
    assert needs == (RELAXED, SIMPLE, RELAXED._replace(limit=5))


def test_needs_are_bounded() -> None:
    """Attack: a message that asks for a thousand hashes."""
    parts = b"".join(b"DKIM-Signature: v=1; l=%d\r\n" % number for number in range(1000))
    arc = b"".join(b"ARC-Message-Signature: l=%d\r\n" % number for number in range(1000))
    assert len(body_needs(read_fields(parts + arc))) == MAX_PARTIAL
