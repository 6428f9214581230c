"""Whom a mail comes from, as far as it is proven."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.check.sender.correspondent import (
    NOTHING_PROVEN,
    ProvenIdentity,
    correspondent_domain,
    correspondent_network,
    find_author,
    identify,
    identify_stored,
    prove,
)
from zajil.mailauth.dkim_verify import DkimFound
from zajil.mailauth.dmarc import DmarcFound
from zajil.mailauth.spf import SpfFound
from zajil.message.fields import Field, read_fields

SPF = ProvenIdentity(envelope="south.test", author=frozenset({"south.test"}))


def fields(text: str) -> list[Field]:
    return read_fields(text.replace("\n", "\r\n").encode())


NOOR = fields("From: Noor <Noor@mail.south.test>\n")


@pytest.mark.parametrize(
    ("domain", "wanted"),
    [
        ("mail.south.test", "south.test"),
        ("a.b.example.co.uk", "example.co.uk"),
        ("co.uk", "co.uk"),
        ("South.Test.", "south.test"),
        ("[192.0.2.1]", "[192.0.2.1]"),
        ("mail.xn--mgbcd4a2b0d2b.test", "xn--mgbcd4a2b0d2b.test"),
    ],
)
def test_who_registers_a_domain(domain: str, wanted: str) -> None:
    assert correspondent_domain(domain) == wanted


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("local", None),
        (None, None),
        ("", None),
    ],
)
def test_the_network_of_a_peer(host: str | None, wanted: str | None) -> None:
    assert correspondent_network(host) == wanted


def test_a_proven_author_has_the_name_of_its_domain() -> None:
    found = identify(NOOR, "192.0.2.1", SPF)
    assert found.is_proven
    assert found.address == "Noor@mail.south.test"
    assert found.keys == (
        "address:noor@mail.south.test",
        "domain:south.test",
        "network:192.0.2.0/24",
    )


def test_a_forged_sender_has_no_share_in_the_name() -> None:
    """Attack: to write somebody else's good name into From."""
    proven = ProvenIdentity("evil.test", frozenset({"evil.test", "dkim.evil.test"}))
    found = identify(NOOR, "198.51.100.9", proven)
    assert not found.is_proven
    assert found.keys == (
        "spf:evil.test",
        "claimed:198.51.100.0/24 noor@mail.south.test",
        "network:198.51.100.0/24",
    )
    assert found.claimed_key not in found.lasting_keys


def spf(result: str, identity: str = "mailfrom") -> SpfFound:
    return SpfFound(
        result=result,
        identity=identity,
        domain="south.test",
        explanation=None,
        reason="",
        inputs=(),
    )


def dkim(
    result: str = "pass", *, covers_from: bool = True, signed_size: int | None = None
) -> DkimFound:
    return DkimFound(
        domain="mail.south.test",
        selector="s",
        algorithm="ed25519-sha256",
        identity="@mail.south.test",
        result=result,
        reason="",
        covers_from=covers_from,
        signed_size=signed_size,
    )


def dmarc(result: str) -> DmarcFound:
    return DmarcFound(result=result, domain="south.test", reason="")


@pytest.mark.parametrize(
    ("spf_found", "signatures", "dmarc_found", "wanted"),
    [
        (None, [], None, NOTHING_PROVEN),
        (spf("pass"), [], None, SPF),
        (
            spf("softfail"),
            [dkim()],
            dmarc("none"),
            ProvenIdentity(None, frozenset({"mail.south.test"})),
        ),
        (spf("pass", "helo"), [dkim("fail")], dmarc("none"), NOTHING_PROVEN),
        (None, [dkim(covers_from=False), dkim(signed_size=9)], None, NOTHING_PROVEN),
        (None, [], dmarc("pass"), ProvenIdentity(None, frozenset({"south.test"}))),
        (spf("pass"), [dkim()], dmarc("fail"), ProvenIdentity("south.test")),
    ],
)
def test_what_the_checks_prove(
    spf_found: SpfFound | None,
    signatures: list[DkimFound],
    dmarc_found: DmarcFound | None,
    wanted: ProvenIdentity,
) -> None:
    assert prove(spf_found, signatures, dmarc_found) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "From: a@south.test\nFrom: b@south.test\n",
        "From: a@south.test, b@south.test\n",
        "From: Noor\n",
        f"From: {'x' * 2000} <a@south.test>\n",
    ],
)
def test_who_is_not_one_author_is_nobody(text: str) -> None:
    assert find_author(fields(text)) is None
    assert identify(fields(text), "192.0.2.1", SPF).address_key is None


STORED = """\
Received: from mx.south.test ([192.0.2.1])
\tby mx.north.test with ESMTPS
\tid 1; Tue, 24 Nov 2026 00:00:00 +0000
Authentication-Results: mx.north.test;
\tspf=pass smtp.mailfrom=noor@south.test;
\tdkim=fail header.d=other.test;
\tdmarc=pass header.from=mail.south.test
From: Noor <noor@mail.south.test>
"""


def test_a_stored_mail_tells_whom_it_came_from() -> None:
    assert identify_stored(fields(STORED), "mx.north.test") == identify(
        fields("From: noor@mail.south.test\n"), "192.0.2.1", SPF
    )


def test_ipv6_is_read_from_our_field() -> None:
    text = STORED.replace("([192.0.2.1])", "([IPv6:2001:db8::1])")
    assert identify_stored(fields(text), "mx.north.test").network_key == "network:2001:db8::/48"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Results: mx.north.test;", "Results: mx.evil.test;"),
        ("dmarc=pass", "dmarc=fail"),  # strict alignment
        ("spf=pass smtp.mailfrom=noor@south.test", 'spf=fail smtp.mailfrom="x;spf=pass a"'),
    ],
)
def test_what_did_not_pass_proves_nothing(old: str, new: str) -> None:
    text = STORED.replace("\tdmarc=pass header.from=mail.south.test\n", "").replace(
        "header.d=other.test;", "header.d=other.test"
    )
    text = (STORED if old.startswith(("dmarc", "Results")) else text).replace(old, new)
    assert text not in (STORED,)
    assert not identify_stored(fields(text), "mx.north.test").is_proven


def test_a_peer_cannot_write_its_network() -> None:
    """Received holds what the peer claims, before its address; it holds no parenthesis there."""
    text = STORED.replace("from mx.south.test", "from [203.0.113.1]")
    assert identify_stored(fields(text), "mx.north.test").network_key == "network:192.0.2.0/24"
    appended = fields("Received: from x by y\nFrom: noor@mail.south.test\n")
    assert identify_stored(appended, "mx.north.test").keys == ()


@given(st.text(alphabet='abc="\\;. ()\r\n\t@', max_size=300))
def test_no_field_makes_it_raise(value: str) -> None:
    header = f"Received: {value}\r\nAuthentication-Results: mx; {value}\r\nFrom: {value}\r\n"
    identify_stored(read_fields(header.encode()), "mx")
