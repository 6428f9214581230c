"""What the page of a message says about its author comes from this server alone."""

from __future__ import annotations

import pytest

from zajil.message.fields import read_fields
from zajil.read.sender_proof import SenderProof, read_proof


def proof(results: str, author: str = "south.test") -> SenderProof | None:
    return read_proof(read_fields(results.encode()), "mx.north.test", author)


OURS = "Authentication-Results: mx.north.test;"


@pytest.mark.parametrize(
    ("results", "level"),
    [
        ("dmarc=pass header.from=south.test", "proved"),
        ("dkim=pass header.d=south.test; dmarc=none", "proved"),
        ("dkim=pass header.d=mail.south.test", "proved"),
        ("spf=pass smtp.mailfrom=a@bounce.south.test; dkim=none", "proved"),
        ("dmarc=fail header.from=south.test; spf=pass smtp.mailfrom=a@evil.test", "failed"),
        ("dkim=pass header.d=evil.test; spf=pass smtp.mailfrom=a@evil.test", "unproved"),
        ("dkim=fail header.d=south.test; spf=softfail smtp.mailfrom=a@south.test", "unproved"),
        ("spf=pass smtp.mailfrom=a@xsouth.test", "unproved"),
        ("spf=none smtp.mailfrom=a@south.test; dmarc=none", "unproved"),
    ],
)
def test_levels(results: str, level: str) -> None:
    found = proof(f"{OURS} {results}\r\n")
    assert found is not None
    assert found.level == level
    assert found.domain == "south.test"


@pytest.mark.parametrize(
    "field",
    [
        "Authentication-Results: mx.evil.test; dmarc=pass header.from=south.test\r\n",
        "Authentication-Results: (\r\n",
        "Subject: x\r\n",
        f"{OURS} none\r\n",
        f"{OURS} auth=pass smtp.auth=amal\r\n",
    ],
)
def test_nothing_is_said_without_our_results(field: str) -> None:
    assert proof(field) is None


def test_the_first_field_of_ours_counts() -> None:
    found = proof(f"{OURS} dmarc=fail\r\n{OURS} dmarc=pass\r\n")
    assert found is not None
    assert found.level == "failed"
    assert proof(f"{OURS} dmarc=pass\r\n", author="") is None


def test_what_is_shown_of_the_results() -> None:
    found = proof(
        f"{OURS} spf=pass smtp.mailfrom=a@xn--mgbkq8e.test;\r\n"
        " dkim=fail header.d=a.test; dkim=pass header.d=b.test; dkim=pass header.d=b.test\r\n"
    )
    assert found is not None
    assert (found.spf, found.spf_domain) == ("pass", "زاجل.test")
    assert (found.dkim, found.dkim_domains, found.dmarc) == ("pass", ("b.test",), "")
