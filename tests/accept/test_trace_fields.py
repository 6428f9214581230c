from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.mail import NOON_MS
from zajil.accept.trace_fields import protocol_keyword, received_field
from zajil.core.ids import MailId
from zajil.message.fields import read_fields
from zajil.net.peer import Peer


def received(claimed_name: str = "mx.south.test", address: str = "192.0.2.1") -> bytes:
    return received_field(
        claimed_name=claimed_name,
        peer=Peer(address, 4711, "192.0.2.25:25"),
        hostname="mx.north.test",
        protocol="ESMTPS",
        tls="TLSv1.3 TLS_AES_256_GCM_SHA384",
        mail_id=MailId("01abc"),
        at_ms=NOON_MS,
    )


def test_received_says_from_whom_by_whom_and_when() -> None:
    """RFC 5321 section 4.4."""
    assert received().decode() == (
        "Received: from mx.south.test ([192.0.2.1])\r\n\tby mx.north.test with ESMTPS\r\n"
        "\t(TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n\tid 01abc; Mon, 23 Nov 2026 12:00:00 +0000\r\n"
    )


def test_an_ipv6_peer_has_its_tag() -> None:
    """RFC 5321 section 4.1.3."""
    assert b"([IPv6:2001:db8::1])" in received(address="2001:db8::1")


@pytest.mark.parametrize(
    ("extended", "utf8", "encrypted", "authenticated", "keyword"),
    [
        (False, False, False, False, "SMTP"),
        (True, False, False, False, "ESMTP"),
        (True, False, True, False, "ESMTPS"),
        (True, False, False, True, "ESMTPA"),
        (True, False, True, True, "ESMTPSA"),
        (True, True, False, False, "UTF8SMTP"),
        (True, True, True, True, "UTF8SMTPSA"),
    ],
)
def test_keywords(
    extended: bool, utf8: bool, encrypted: bool, authenticated: bool, keyword: str
) -> None:
    """RFC 3848 section 1, RFC 6531 section 4.3."""
    assert keyword == protocol_keyword(
        extended=extended, utf8=utf8, encrypted=encrypted, authenticated=authenticated
    )


@pytest.mark.parametrize(
    ("utf8", "encrypted", "authenticated", "keyword"),
    [
        (False, False, False, "LMTP"),
        (False, True, False, "LMTPS"),
        (False, False, True, "LMTPA"),
        (False, True, True, "LMTPSA"),
        (True, False, False, "UTF8LMTP"),
        (True, True, False, "UTF8LMTPS"),
        (True, False, True, "UTF8LMTPA"),
        (True, True, True, "UTF8LMTPSA"),
    ],
)
def test_keywords_of_lmtp(utf8: bool, encrypted: bool, authenticated: bool, keyword: str) -> None:
    """RFC 3848 section 1, RFC 6531 section 4.3."""
    assert keyword == protocol_keyword(
        extended=True, utf8=utf8, encrypted=encrypted, authenticated=authenticated, lmtp=True
    )


@given(st.text(max_size=400))
def test_a_claimed_name_stays_one_word_of_one_ascii_field(claimed_name: str) -> None:
    """Attacks C: the name is the peer's; raw UTF-8 would make all mail need SMTPUTF8."""
    written = received(claimed_name)
    assert len(read_fields(written)) == 1
    assert written.count(b"\n") == 4
    assert written.isascii()
    assert written.split(b" ([192.0.2.1])")[0].count(b" ") == 2
