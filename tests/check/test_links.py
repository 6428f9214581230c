"""Where a link really leads (RFC 3986), and what its words name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.check.content.links import Target, read_target, shown_domain
from zajil.dns.public_suffix import registered_domain


@pytest.mark.parametrize(
    ("url", "host", "user", "is_address"),
    [
        ("https://bank.test@evil.test/x", "evil.test", "bank.test", False),
        ("http:\\\\evil.test\\x", "evil.test", "", False),
        ("//evil.test", "evil.test", "", False),
        ("http://0x7f.1/", "127.0.0.1", "", True),
        ("http://3232235521/", "192.168.0.1", "", True),
        ("http://[::1]:80/", "::1", "", True),
        ("https://%65vil.test/", "evil.test", "", False),
        ("www.a.test", "www.a.test", "", False),
    ],
)
def test_read_as_browsers_do(url: str, host: str, user: str, is_address: bool) -> None:
    target = read_target(url)
    assert target is not None
    assert (target.host, target.user, target.is_address) == (host, user, is_address)


def test_no_host() -> None:
    assert read_target("#top") is None
    assert read_target("page.html") is None
    assert read_target("javascript:x") == Target("javascript", "", "", False)


def test_what_words_name() -> None:
    assert shown_domain("go to https://www.bank.co.uk/login now") == "www.bank.co.uk"
    assert shown_domain("report.pdf") is None
    assert shown_domain("amal@north.test") is None
    assert shown_domain("click here") is None
    assert shown_domain("README.md") is None
    assert shown_domain("src/main.rs") is None
    assert shown_domain("https://main.rs") == "main.rs"
    assert registered_domain("a.b.bank.co.uk") == "bank.co.uk"


@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    read_target(text)
    shown_domain(text)
    registered_domain(text)
