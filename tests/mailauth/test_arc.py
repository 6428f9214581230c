from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from kit.zone import run_flow_on_zone
from zajil.mailauth.arc import ArcFound, verify_arc
from zajil.mailauth.arc_seal import SEAL_NEED, claimed_cv, merge_results, seal_arc
from zajil.mailauth.dkim_body import BodyDigests, body_needs
from zajil.mailauth.dkim_sign import CannotSign, SigningKey
from zajil.message.fields import Field, read_fields, split_message

NOW_S = 1_700_000_000
LETTER = (
    b"From: Sami <sami@south.test>\r\nTo: list@lists.test\r\nSubject: hi\r\n"
    b"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\nHello.\r\n"
)
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(
    PRIVATE.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
).decode()
DOMAINS = ("one.test", "two.test", "three.test")
ZONE = {f"k._domainkey.{name}": {"TXT": [f"k=ed25519; p={PUBLIC}"]} for name in DOMAINS}


def load(message: bytes) -> tuple[bytes, list[Field], BodyDigests]:
    end, start = split_message(message)
    fields = read_fields(message[:end])
    digests = BodyDigests((*body_needs(fields), SEAL_NEED))
    digests.feed(message[start:])
    return message[:end], fields, digests


def verify(message: bytes, zone: Mapping[str, Any] = ZONE, now_s: int = NOW_S) -> ArcFound:
    return run_flow_on_zone(verify_arc(*load(message), now_s), dict(zone))


def seal(
    message: bytes,
    domain: str = "one.test",
    *,
    cv: str | None = None,
    headers: list[bytes] | None = None,
    results: bytes = b"spf=pass smtp.mailfrom=sami@south.test",
) -> bytes:
    key = SigningKey(domain, "k", "ed25519-sha256", PRIVATE)
    found = cv or verify(message).cv
    return (
        seal_arc(
            *load(message),
            key,
            authserv_id=f"mx.{domain}",
            results=results,
            cv=found,
            now_s=NOW_S,
            headers=headers,
        )
        + message
    )


def test_a_message_without_seals_has_no_chain() -> None:
    assert verify(LETTER).cv == "none"


def test_a_chain_grows_and_holds() -> None:
    message = LETTER
    for number, domain in enumerate(DOMAINS, 1):
        message = seal(message, domain)
        found = verify(message)
        assert (found.cv, found.instances, found.oldest_pass) == ("pass", number, 0), found.reason
    assert found.sealers == DOMAINS
    assert found.covers_from
    assert len(found.inputs) == 3


def test_it_is_told_how_far_back_signatures_hold() -> None:
    """RFC 8617 section 5.2, step 5: older message signatures may break, the chain holds."""
    changed = seal(LETTER).replace(b"Subject: hi", b"Subject: [list] hi")
    assert verify(changed).cv == "fail"
    found = verify(seal(changed, "two.test", cv="pass"))
    assert (found.cv, found.oldest_pass) == ("pass", 2)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Hello", b"HELLO"),
        (b"Subject: hi", b"Subject: ho"),
        (b"spf=pass", b"spf=fail"),
        (b"i=1; mx.one.test", b"i=1; mx.two.test"),
        (b"cv=none", b"cv=pass"),
        (b"cv=none", b"cv=fail"),
        (b"cv=none; ", b""),
        (b"From: Sami", b"From: <x@y.test>\r\nFrom: Sami"),
    ],
)
def test_a_changed_message_breaks_the_chain(old: bytes, new: bytes) -> None:
    message = seal(LETTER)
    assert old in message
    assert verify(message.replace(old, new, 1)).cv == "fail"


def test_a_broken_chain_is_closed_by_a_set_of_its_own() -> None:
    """RFC 8617 section 5.1.2; nobody goes on from there."""
    broken = seal(LETTER).replace(b"spf=pass", b"spf=fail", 1)
    closed = seal(broken, "two.test")
    assert b"cv=fail" in closed
    assert verify(closed).reason == "ARC set 2 states that the chain was already broken."
    assert seal(closed, "three.test") == closed


def test_a_full_chain_is_left_as_it_is() -> None:
    full = b"ARC-Seal: i=50; cv=pass\r\n" + LETTER
    assert seal(full, cv="fail") == full


@pytest.mark.parametrize("cv", ["pass", "fail", "none"])
def test_the_first_set_says_that_there_was_none(cv: str) -> None:
    """RFC 8617 section 5.1.2: whatever an older server said of a chain that is not there."""
    sealed = seal(LETTER, cv=cv)
    assert b"cv=none" in sealed
    assert verify(sealed).cv == "pass"


def test_a_chain_that_was_not_looked_at_is_not_called_none() -> None:
    with pytest.raises(CannotSign):
        seal(seal(LETTER), cv="none")


@pytest.mark.parametrize(
    "names",
    [[b"from", b"arc-seal"], [b"from", b"Authentication-Results"], [b"a:b"], [b""], [b"a b"]],
)
def test_what_may_not_be_signed(names: list[bytes]) -> None:
    """RFC 8617 section 4.1.2."""
    with pytest.raises(CannotSign):
        seal(LETTER, headers=names)


@pytest.mark.parametrize("name", ["", "a b", "mx.one.test;", "a\r\nX: y", "a\udcff", "(a)"])
def test_a_name_of_ours_that_is_none(name: str) -> None:
    """RFC 8601 section 2.2; what an operator types becomes part of a header section."""
    key = SigningKey("one.test", "k", "ed25519-sha256", PRIVATE)
    with pytest.raises(CannotSign, match="no name"):
        seal_arc(*load(LETTER), key, authserv_id=name, results=b"", cv="none", now_s=NOW_S)


def test_signatures_that_are_there_are_sealed() -> None:
    """RFC 8617 section 4.1.2."""
    message = b"DKIM-Signature: v=1; a=b\r\n" + LETTER
    sealed = seal(message)
    assert b"dkim-signature" in sealed
    assert verify(sealed).cv == "pass"
    assert verify(sealed.replace(b"a=b", b"a=c")).cv == "fail"


def test_a_chain_that_leaves_from_out_says_so() -> None:
    found = verify(seal(LETTER, headers=[b"to"]))
    assert (found.cv, found.covers_from) == ("pass", False)


def test_dns_that_does_not_answer_fails_and_is_told_apart() -> None:
    """RFC 8617 section 5.2.1: all failures are permanent."""
    found = verify(seal(LETTER), {"k._domainkey.one.test": None})
    assert (found.cv, found.is_temporary) == ("fail", True)
    assert not verify(seal(LETTER), {}).is_temporary


def test_a_key_is_asked_for_once() -> None:
    found = verify(seal(seal(LETTER)))
    assert (found.cv, len(found.inputs)) == ("pass", 1)


def test_no_results_are_none() -> None:
    sealed = seal(LETTER, results=b"")
    assert b"i=1; mx.one.test;\r\n\tnone\r\n" in sealed
    assert verify(sealed).cv == "pass"


def test_results_of_one_server_are_merged() -> None:
    """RFC 8617 section 4.1.1."""
    header = (
        b"Authentication-Results: MX.one.test; arc=pass;\r\n\tspf=pass smtp.mailfrom=a@b\r\n"
        b"Authentication-Results: mx.two.test; arc=fail\r\n"
        b"Authentication-Results: (a; b) mx.one.test (c) 1; dkim=none;\r\n"
        b"Authentication-Results: mx.one.test; none\r\n"
    )
    fields = read_fields(header)
    merged = merge_results(fields, "mx.one.test")
    assert merged == b"arc=pass;\r\n\tspf=pass smtp.mailfrom=a@b;\r\n\tdkim=none"
    assert claimed_cv(fields, "mx.one.test") == "pass"
    assert claimed_cv(fields, "mx.three.test") is None


def test_the_same_arguments_give_the_same_bytes() -> None:
    assert seal(LETTER) == seal(LETTER)


PIECES = st.sampled_from(
    [
        *(b"ARC-Seal: ", b"ARC-Message-Signature: ", b"ARC-Authentication-Results: ", b"\r\n"),
        *(b"i=1; ", b"i=2", b"i=051;", b"cv=none; ", b"cv=pass;", b"a=rsa-sha256; ", b"b=aaaa;"),
        *(b"d=one.test; ", b"s=k; ", b"h=from;", b"bh=aaaa; ", b"\x00", b"=", b";", b"From: x\r\n"),
    ]
)


@given(st.lists(PIECES, max_size=60).map(b"".join), st.booleans())
def test_no_header_makes_it_raise(header: bytes, with_real: bool) -> None:
    message = header + b"\r\n" + (seal(LETTER) if with_real else LETTER)
    found = verify(message)
    assert found.cv in ("none", "pass", "fail")
    fields = load(message)
    key = SigningKey("one.test", "k", "ed25519-sha256", PRIVATE)
    seal_arc(*fields, key, authserv_id="a", results=b"", cv="fail", now_s=1)
