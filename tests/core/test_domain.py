from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.core.domain import BadDomain, is_public_name, to_ascii, to_dns_name, to_unicode


def test_names_are_kept_in_a_labels_and_lower_case() -> None:
    assert to_ascii("North.Test.") == "north.test"
    assert to_ascii("زاجل.test") == to_ascii(to_ascii("زاجل.test"))
    assert to_unicode(to_ascii("زاجل.test")) == "زاجل.test"
    assert to_ascii("BÜCHER.example") == "xn--bcher-kva.example"
    assert to_unicode("north.test") == "north.test"
    assert to_ascii("_dmarc.north.test") == "_dmarc.north.test"


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "a..b", ".a", "-a.test", "a-.test", "a b", "a\n", "a\r\nb", "x" * 64,
     "x." * 127 + "x", "☃.test", "xn--.test", "xn--zzzzzzzzz.test", "a\u202eb.test", "a/b", "a@b",
     "س" * 100_000, "[1.2.3.4]", "。"],
)  # fmt: skip
def test_what_is_no_domain_is_refused(name: str) -> None:
    with pytest.raises(BadDomain):
        to_ascii(name)


def test_a_name_without_a_unicode_form_is_shown_as_it_is() -> None:
    assert to_unicode("xn--zzzzzzzzz.test") == "xn--zzzzzzzzz.test"


@given(
    st.text(alphabet="abxn-._ زاجلüß\u0640\u200c\u3002\uff41", max_size=40) | st.text(max_size=20)
)
def test_every_accepted_name_is_ascii_and_stable(name: str) -> None:
    try:
        ascii_name = to_ascii(name)
    except BadDomain:
        return
    assert ascii_name.isascii()
    assert ascii_name == ascii_name.lower()
    assert 0 < len(ascii_name) <= 253
    assert to_ascii(ascii_name) == ascii_name
    assert to_ascii(to_unicode(ascii_name)) == ascii_name


def test_what_others_publish_is_taken_as_dns_has_it() -> None:
    """A-labels that are none by IDNA 2008 are in use: what is asked for is the name in DNS."""
    assert to_dns_name("XN--ls8h.test.") == "xn--ls8h.test"
    assert to_dns_name("زاجل.test") == "xn--mgbkq8e.test"
    for name in ("", "a..test", "a b.test", "-a.test", "💩.test", "\udcff.test"):
        with pytest.raises(BadDomain):
            to_dns_name(name)


@pytest.mark.parametrize(
    ("name", "is_public"),
    [
        ("mail.example.org", True),
        ("example.org", True),
        ("xn--mgbkq8e.xn--wgbh1c", True),
        ("mail.north.test", True),
        ("mail", False),
        ("localhost", False),
        ("mx.localhost", False),
        ("localhost.localdomain", False),
        ("192.0.2.1", False),
        ("1.2", False),
    ],
)
def test_a_public_name(name: str, is_public: bool) -> None:
    """RFC 6761 section 6.3: localhost and what is below it is this machine."""
    assert is_public_name(name) is is_public
