"""The value of a DKIM-Signature field (RFC 6376 section 3.5 and 6.1.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.mailauth.dkim_body import BodyNeed
from zajil.mailauth.dkim_signature import BadSignature, parse_signature

WHOLE = (
    b" v=1; a=rsa-sha256; c=relaxed; d=North.test; s=key.one;\r\n"
    b"\th=From : To:\r\n SUBJECT; bh=YWJj; i=am=3Bal@sub.north.test;\r\n"
    b"\tt=100; x=200; l=7; q=dns/txt; b=eHl6\r\n\tYWJj"
)


def test_a_whole_signature() -> None:
    """Without the second word of ``c=``, the body is ``simple``."""
    found = parse_signature(WHOLE)
    assert (found.algorithm, found.domain, found.selector) == (
        "rsa-sha256",
        "north.test",
        "key.one",
    )
    assert found.header_canonicalization == "relaxed"
    assert found.body == BodyNeed("simple", "sha256", 7)
    assert found.names == (b"from", b"to", b"subject")
    assert (found.body_hash, found.value) == (b"abc", b"xyzabc")
    assert WHOLE[slice(*found.value_span)] == b"eHl6\r\n\tYWJj"
    assert (found.signed_at_s, found.expires_s) == (100, 200)
    assert (found.identity, found.identity_domain) == ("am;al@sub.north.test", "sub.north.test")


def test_defaults() -> None:
    found = parse_signature(b"v=1;a=ed25519-sha256;d=a.test;s=s;h=from;bh=YQ==;b=YQ")
    assert found.header_canonicalization == "simple"
    assert found.body == BodyNeed("simple", "sha256", None)
    assert found.identity == "@a.test"
    assert found.signed_at_s is found.expires_s is None


def test_a_domain_that_is_none_by_idna_2008_signs_all_the_same() -> None:
    tags = b"v=1; a=rsa-sha256; d=XN--ls8h.test; i=@a.xn--ls8h.test; s=s; h=from; bh=YQ==; b=YQ=="
    found = parse_signature(tags)
    assert (found.domain, found.identity) == ("xn--ls8h.test", "@a.xn--ls8h.test")


@pytest.mark.parametrize("tag", [b"v", b"a", b"b", b"bh", b"d", b"h", b"s"])
def test_what_is_required(tag: bytes) -> None:
    """RFC 6376 section 6.1.1: a missing tag ends it."""
    tags = [b"v=1", b"a=rsa-sha256", b"d=a.test", b"s=s", b"h=from", b"bh=YQ==", b"b=YQ=="]
    with pytest.raises(BadSignature, match=f"no tag {tag.decode()}=") as raised:
        parse_signature(b"; ".join(one for one in tags if not one.startswith(tag + b"=")))
    assert raised.value.result == "neutral"


@pytest.mark.parametrize(
    ("old", "new", "result"),
    [
        (b"v=1", b"v=2", "neutral"),
        (b"v=1", b"v=01", "neutral"),
        (b"a=rsa-sha256", b"a=rsa-sha1", "permerror"),
        (b"a=rsa-sha256", b"a=rsa-sha512", "neutral"),
        (b"a=rsa-sha256", b"a=RSA-SHA256", "neutral"),
        (b"c=relaxed", b"c=nowsp", "neutral"),
        (b"c=relaxed", b"c=relaxed/", "neutral"),
        (b"c=relaxed", b"c=simple/x", "neutral"),
        (b"d=North.test", b"d=test", "neutral"),
        (b"d=North.test", b"d=a..test", "neutral"),
        (b"d=North.test", b"d=a.test.", "neutral"),
        (b"d=North.test", b"d=evil.test", "permerror"),
        (b"d=North.test", b"d=a.com(.b.com", "neutral"),
        (b"d=North.test", b"d=\xff.test", "neutral"),
        (b"i=am=3Bal", b"i=am=0D=0Aal", "neutral"),
        (b"i=am=3Bal", b"i==E2=80=AE", "neutral"),
        (b"s=key.one", b"s=", "neutral"),
        (b"s=key.one", b"s=a b", "neutral"),
        (b"h=From : To", b"h=To", "permerror"),
        (b"h=From : To", b"h=From::To", "neutral"),
        (b"h=From : To", b"h=Fr om:To", "neutral"),
        (b"h=From : To", b"h=From:To:", "neutral"),
        (b"bh=YWJj", b"bh=Y", "neutral"),
        (b"bh=YWJj", b"bh=", "neutral"),
        (b"b=eHl6", b"b=!", "neutral"),
        (b"t=100", b"t=1e3", "neutral"),
        (b"t=100", b"t=1234567890123", "neutral"),
        (b"x=200", b"x=100", "neutral"),
        (b"x=200", b"x=", "neutral"),
        (b"l=7", b"l=-7", "neutral"),
        (b"l=7", b"l=" + b"9" * 77, "neutral"),
        (b"q=dns/txt", b"q=http", "neutral"),
        (b"q=dns/txt", b"v=1", "neutral"),
        (b"q=dns/txt", b"=", "neutral"),
    ],
)
def test_what_is_wrong(old: bytes, new: bytes, result: str) -> None:
    assert old in WHOLE
    with pytest.raises(BadSignature) as raised:
        parse_signature(WHOLE.replace(old, new, 1))
    assert raised.value.result == result
    assert str(raised.value).startswith("the ")


@pytest.mark.parametrize("limit", [b"0", b"00007", b"9" * 76])
def test_limits(limit: bytes) -> None:
    assert parse_signature(WHOLE.replace(b"l=7", b"l=" + limit)).body.limit == int(limit)


@given(st.binary(max_size=40), st.integers(0, len(WHOLE)), st.integers(0, 20))
def test_never_raises_another_error(junk: bytes, at: int, gone: int) -> None:
    try:
        found = parse_signature(WHOLE[:at] + junk + WHOLE[at + gone :])
    except BadSignature:
        return
    assert b"from" in found.names
    assert found.identity_domain.endswith(found.domain)
