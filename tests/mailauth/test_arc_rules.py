"""What each tag of an ARC set may say (RFC 8617 section 4.1, RFC 6376 section 3.2 and 3.5).

Every case is signed as it stands, so that a set fails for its rule and not for its arithmetic.
"""

from __future__ import annotations

import base64
import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from kit.zone import Zone, run_flow_on_zone
from zajil.mailauth.arc import ArcFound, verify_arc
from zajil.mailauth.dkim_body import BodyDigests, BodyNeed, body_needs
from zajil.mailauth.dkim_canon import SignedHeader, relaxed_field, simple_field
from zajil.mailauth.dkim_sign import SigningKey
from zajil.message.fields import read_fields, split_message

NOW_S = 1_700_000_000
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = SigningKey("one.test", "k", "ed25519-sha256", PRIVATE)
PUBLIC = base64.b64encode(PRIVATE.public_key().public_bytes_raw()).decode()
ZONE: Zone = {"k._domainkey.one.test": {"TXT": [f"v=DKIM1; k=ed25519; p={PUBLIC}"]}}

LETTER = (
    b"From: Sami  <sami@south.test>\r\nTo: list@lists.test\r\nSubject: hi\r\n"
    b"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\nHello,  \r\nyou.\r\n\r\n"
)
RESULTS = "i=1; mx.one.test; spf=pass smtp.mailfrom=sami@south.test"
SIGNATURE = (
    "i=1; a=ed25519-sha256; c=relaxed/relaxed; d=one.test; s=k; t=1; h=from:to:subject; bh=@; b=@"
)
SEAL = "i=1; a=ed25519-sha256; cv=none; d=one.test; s=k; t=1; b=@"


def seal(
    message: bytes = LETTER,
    *,
    results: str = RESULTS,
    signature: str = SIGNATURE,
    seal: str = SEAL,
    below: bytes = b"",
    means: str = "simple/simple",
    limit: int | None = None,
) -> bytes:
    """Put a set on top of a message; ``@`` stands for what is to be computed.

    ``means`` is the canonicalization where ``c=`` is missing.
    """
    found = re.search(r"c\s*=\s*(simple|relaxed)(?:/(simple|relaxed))?\s*(?:;|\Z)", signature)
    how, _, body_how = means.partition("/")
    if found:
        how, body_how = found[1], found[2] or "simple"
    end, start = split_message(message)
    digests = BodyDigests([need := BodyNeed(body_how, "sha256", limit)])
    digests.feed(message[start:])
    signature = signature.replace("bh=@", f"bh={base64.b64encode(digests.digest(need)).decode()}")
    header = SignedHeader(message[:end], read_fields(message[:end]))
    listed = re.search(r"h\s*=([^;]*)", re.sub(r"bh\s*=[^;]*", "", signature))
    names = [name.strip().lower().encode() for name in listed[1].split(":")] if listed else []
    results_field = f"ARC-Authentication-Results: {results}\r\n".encode()
    signature_field = _sign(
        "ARC-Message-Signature", signature, header.signed_bytes(names, how), how
    )
    covered = below + _canonical(results_field) + _canonical(signature_field)
    return _sign("ARC-Seal", seal, covered) + signature_field + results_field + message


def _sign(name: str, text: str, covered: bytes, how: str = "relaxed") -> bytes:
    empty = text.replace("b=@", "b=").encode()
    own = relaxed_field(name.lower().encode(), b" " + empty)
    if how == "simple":
        own = simple_field(f"{name}: ".encode() + empty)
    value = KEY.sign(covered + own).decode()
    return f"{name}: {text.replace('b=@', f'b={value}')}\r\n".encode()


def _canonical(field: bytes) -> bytes:
    name, _, value = field.partition(b":")
    return relaxed_field(name.lower(), value) + b"\r\n"


def verify(message: bytes, zone: Zone = ZONE) -> ArcFound:
    end, start = split_message(message)
    fields = read_fields(message[:end])
    digests = BodyDigests(body_needs(fields))
    digests.feed(message[start:])
    return run_flow_on_zone(verify_arc(message[:end], fields, digests, NOW_S), zone)


def change(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, old
    return text.replace(old, new)


def test_the_pattern_of_all_cases_passes() -> None:
    found = verify(seal())
    assert (found.cv, found.instances, found.sealers) == ("pass", 1, ("one.test",)), found.reason
    assert found.covers_from
    assert found.covers_body


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a=ed25519-sha256; c=", "a=ed25519-sha256 ;\r\n\t c="),
        ("a=ed", "a = \r\n ed"),
        ("b=@", "b=@;"),
        ("t=1; ", "t=1; zz=any thing; "),
        ("t=1; ", "t=1; x-note=1; "),
        ("t=1; ", "t=1; ;; "),
        ("t=1; ", "v=1; t=1; "),
        ("t=1; ", ""),
        ("t=1; ", f"t=1; x={NOW_S + 1}; "),
        ("c=relaxed/relaxed; ", ""),
        ("c=relaxed/relaxed", "c=relaxed"),
        ("c=relaxed/relaxed", "c=simple"),
        ("c=relaxed/relaxed", "c=simple/relaxed"),
        ("c=relaxed/relaxed", "c=relaxed/simple"),
        ("h=from:to", "h=From :\r\n TO"),
        ("h=from:to", "h=from:from:x-none:to"),
        ("h=from:to", "h=:from: :to"),
        ("d=one.test", "d=One.TEST"),
        ("i=1; a=ed25519-sha256", "a=ed25519-sha256; i=1"),
    ],
)
def test_a_message_signature_may_be_written_so(old: str, new: str) -> None:
    found = verify(seal(signature=change(SIGNATURE, old, new)))
    assert found.cv == "pass", found.reason


@pytest.mark.parametrize("meant", ["simple/simple", "relaxed/relaxed"])
def test_without_canonicalization_both_defaults_are_tried(meant: str) -> None:
    """RFC 8617 has that of DKIM, the drafts before it had another; sealers of both are about."""
    message = seal(signature=SIGNATURE.replace("c=relaxed/relaxed; ", ""), means=meant)
    assert b"c=" not in message
    assert verify(message).cv == "pass"
    for old, new in ((b"Hello", b"HELLO"), (b"Subject: hi", b"Subject: ho")):
        assert verify(message.replace(old, new)).cv == "fail"


@pytest.mark.parametrize(("limit", "covers"), [("0", False), ("5", False), ("14", True)])
def test_a_signature_of_a_part_leaves_the_rest_open(limit: str, covers: bool) -> None:
    signature = change(SIGNATURE, "t=1; ", f"t=1; l={limit}; ")
    found = verify(seal(signature=signature, limit=int(limit)))
    assert (found.cv, found.covers_body) == ("pass", covers)


def test_a_signature_of_nothing_leaves_from_open() -> None:
    found = verify(seal(signature=change(SIGNATURE, "h=from:to:subject", "h=")))
    assert (found.cv, found.covers_from) == ("pass", False)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("t=1; ", "t=1; t=1; "),
        ("t=1; ", "t=x; "),
        ("t=1; ", f"t=1; x={NOW_S - 10_000}; "),
        ("t=1; ", "t=1; 1=1; "),
        ("t=1; ", "t=1; word; "),
        ("a=ed25519-sha256; c=", "a=ed25519-sha256 c="),
        ("i=1; ", ""),
        ("i=1; ", "i=; "),
        ("i=1; ", "i=0; "),
        ("i=1; ", "i=2; "),
        ("i=1; ", "i=51; "),
        ("i=1; ", "i=one; "),
        ("i=1; ", "I=1; "),
        ("a=ed25519-sha256; ", ""),
        ("a=ed25519-sha256", "a="),
        ("a=ed25519-sha256", "A=ed25519-sha256"),
        ("a=ed25519-sha256", "a=Ed25519-SHA256"),
        ("a=ed25519-sha256", "a=ed25519-sha512"),
        ("a=ed25519-sha256", "a=rsa-sha1"),
        ("a=ed25519-sha256", "a=rsa-sha256"),
        ("c=relaxed/relaxed", "c="),
        ("c=relaxed/relaxed", "c=nofws"),
        ("c=relaxed/relaxed", "c=relaxed/"),
        ("c=relaxed/relaxed", "c=relaxed/relaxed/simple"),
        ("d=one.test; ", ""),
        ("d=one.test", "d="),
        ("d=one.test", "d=test"),
        ("d=one.test", "d=two.test"),
        ("s=k; ", ""),
        ("s=k", "s="),
        ("s=k", "s=other"),
        ("h=from:to:subject; ", ""),
        ("h=from:to", "h=from:arc-seal:to"),
        ("h=from:to", "h=from to"),
        ("bh=@; ", ""),
        ("bh=@", "bh="),
        ("bh=@", "bh=!!"),
        ("bh=@", "bh=AAAA"),
        ("; b=@", ""),
        ("b=@", "b="),
        ("b=@", "b=AAAA"),
        ("b=@", "B=@"),
    ],
)
def test_a_message_signature_may_not_say_that(old: str, new: str) -> None:
    found = verify(seal(signature=change(SIGNATURE, f"; {old}" if old == "b=@" else old, new)))
    assert found.cv == "fail"
    assert found.reason


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("cv=none; ", "cv = none ;\r\n "),
        ("cv=none", "cv=None"),
        ("t=1; ", "t=1; c=relaxed/relaxed; "),
        ("t=1; ", ""),
        ("t=1; ", "t=1; zz=1; "),
        ("; b=@", "; b=@;"),
        ("i=1; a=ed25519-sha256", "a=ed25519-sha256; i=1"),
    ],
)
def test_a_seal_may_be_written_so(old: str, new: str) -> None:
    found = verify(seal(seal=change(SEAL, old, new)))
    assert found.cv == "pass", found.reason


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("t=1; ", "t=1; h=from; "),
        ("t=1; ", "t=1; c=simple/simple; "),
        ("t=1; ", "t=1; c=; "),
        ("t=1; ", "t=1; t=1; "),
        ("t=1; ", "t=yes; "),
        ("cv=none; ", ""),
        ("cv=none", "cv="),
        ("cv=none", "cv=pass"),
        ("cv=none", "cv=fail"),
        ("cv=none", "cv=maybe"),
        ("i=1; ", ""),
        ("i=1; ", "i=0; "),
        ("i=1; ", "i=2; "),
        ("a=ed25519-sha256; ", ""),
        ("a=ed25519-sha256", "a=rsa-sha1"),
        ("d=one.test; ", ""),
        ("d=one.test", "d=two.test"),
        ("s=k; ", ""),
        ("s=k", "s=other"),
        ("; b=@", ""),
        ("; b=@", "; b="),
        ("; b=@", "; b=AAAA"),
    ],
)
def test_a_seal_may_not_say_that(old: str, new: str) -> None:
    assert verify(seal(seal=change(SEAL, old, new))).cv == "fail"


@pytest.mark.parametrize(
    ("results", "cv"),
    [
        ("i=1; mx.one.test; none", "pass"),
        ("i = 1 ; mx.one.test ; spf=pass", "pass"),
        ("i=1;mx.one.test", "pass"),
        ("(first) i=1; mx.one.test; dkim=none", "pass"),
        ("i=1; anything at all", "pass"),
        ("mx.one.test; spf=pass", "fail"),
        ("mx.one.test; i=1; spf=pass", "fail"),
        ("i=; mx.one.test; spf=pass", "fail"),
        ("i=0; mx.one.test; spf=pass", "fail"),
        ("i=2; mx.one.test; spf=pass", "fail"),
        ("i=51; mx.one.test; spf=pass", "fail"),
    ],
)
def test_the_results_need_their_instance_and_no_more(results: str, cv: str) -> None:
    """RFC 8617 section 4.1.1: what they say is for whoever trusts the sealer."""
    assert verify(seal(results=results)).cv == cv


@pytest.mark.parametrize(
    "record",
    [
        f"v=DKIM2; k=ed25519; p={PUBLIC}",
        f"k=ed25519; p={PUBLIC}; v=DKIM1",
        f"v=DKIM1; p={PUBLIC}",
        f"v=DKIM1; k=other; p={PUBLIC}",
        f"v=DKIM1; k=ed25519; h=sha1; p={PUBLIC}",
        f"v=DKIM1; k=ed25519; s=tlsrpt; p={PUBLIC}",
        "v=DKIM1; k=ed25519; p=",
        "v=DKIM1; k=ed25519; p=AAAA",
        "v=DKIM1; k=ed25519",
        "words",
        "",
    ],
)
def test_a_key_that_is_none_for_this_breaks_the_chain(record: str) -> None:
    assert verify(seal(), {"k._domainkey.one.test": {"TXT": [record]}}).cv == "fail"


@pytest.mark.parametrize("record", [f"k=ed25519; p={PUBLIC}", f"k=ed25519;n=x;t=y:s; p={PUBLIC};"])
def test_a_key_may_be_written_so(record: str) -> None:
    assert verify(seal(), {"k._domainkey.one.test": {"TXT": [record]}}).cv == "pass"


def two_sets() -> tuple[list[bytes], bytes]:
    """Give the six fields of a chain of two, the newest first, and the message below."""
    first = seal()
    end, _ = split_message(first)
    names = ("arc-authentication-results", "arc-message-signature", "arc-seal")
    fields = {field.name.decode(): first[field.start : field.end] for field in read_fields(first)}
    below = b"".join(_canonical(fields[name]) for name in names)
    second = seal(
        first,
        results=RESULTS.replace("i=1", "i=2"),
        signature=SIGNATURE.replace("i=1", "i=2"),
        seal=SEAL.replace("i=1", "i=2").replace("none", "pass"),
        below=below,
    )
    end, _ = split_message(second)
    found = read_fields(second[:end])
    arc = [
        second[field.start : field.end] for field in found if field.name in map(str.encode, names)
    ]
    return arc, LETTER


@pytest.mark.parametrize(
    ("order", "cv"),
    [
        ([0, 1, 2, 3, 4, 5], "pass"),
        ([5, 4, 3, 2, 1, 0], "pass"),
        ([3, 0, 4, 1, 5, 2], "pass"),
        ([3, 4, 5], "pass"),  # the newest set was taken away whole
        ([0, 1, 2], "fail"),
        ([1, 2, 3, 4, 5], "fail"),
        ([0, 2, 3, 4, 5], "fail"),
        ([0, 1, 3, 4, 5], "fail"),
        ([0, 1, 2, 4, 5], "fail"),
        ([0, 1, 2, 3, 5], "fail"),
        ([0, 1, 2, 3, 4], "fail"),
        ([0, 0, 1, 2, 3, 4, 5], "fail"),
        ([0, 1, 2, 3, 4, 4, 5], "fail"),
        ([0, 1, 2, 3, 4, 5, 5], "fail"),
    ],
)
def test_fields_may_stand_anywhere_and_none_may_lack(order: list[int], cv: str) -> None:
    """RFC 8617 section 5.2, step 3: which set a field belongs to is in ``i=`` alone."""
    fields, message = two_sets()
    found = verify(b"".join(fields[place] for place in order) + message)
    assert found.cv == cv, found.reason
