"""Links in the text of a message: what becomes one, where it ends, which host is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.read.html_text import html_to_marked_text
from zajil.read.links import find_links, read_target, take_marks
from zajil.read.paragraphs import split_paragraphs


def found(text: str) -> list[str]:
    return [text[link.start : link.end] for link in find_links(text)]


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("Look at https://shop.test/a?b=c#d.", ["https://shop.test/a?b=c#d"]),
        ("(https://shop.test/a_(b)), and so on", ["https://shop.test/a_(b)"]),
        ("<https://shop.test/x>; «https://shop.test/y»", ["https://shop.test/x", "https://shop.test/y"]),
        ("Really? https://shop.test/!?...", ["https://shop.test/"]),
        ("a token ends in https://shop.test/t=ab-_==", ["https://shop.test/t=ab-_=="]),
        ("زر https://متجر.test/صفحة، ثم عد.", ["https://متجر.test/صفحة"]),
        ("وhttp://localhost:8080/؟", ["http://localhost:8080/"]),
        ("见https://shop.test/x。", ["https://shop.test/x"]),
        ("HTTPS://SHOP.TEST/ and so on", ["HTTPS://SHOP.TEST/"]),
        ("Write to mailto:noor@south.test.", ["mailto:noor@south.test"]),
        ("https://[2001:db8::1]:8443/x", ["https://[2001:db8::1]:8443/x"]),
        ("javascript:alert(1) data:text/html,x ftp://shop.test file:///etc x.test", []),
        ("https:// https://.. http://a..b http://host:x/ mailto:nobody", []),
        ("xhttp://shop.test view-source:http://shop.test", ["http://shop.test"]),
        ("https://shop.test/a\u202eb \u2066https://shop.test/c\u2069", ["https://shop.test/a", "https://shop.test/c"]),
    ],
)  # fmt: skip
def test_urls_in_plain_text(text: str, links: list[str]) -> None:
    assert found(text) == links


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("https://bank.test/", ""),
        ("https://BANK.test:443/x", ""),
        ("https://bank.test@evil.test/", "evil.test"),
        ("https://bank.test%2f@evil.test/", "evil.test"),
        ("https://bаnk.test/", "xn--bnk-6cd.test"),
        ("https://bank.test．evil.test/", "bank.test.evil.test"),
        ("https://bank%2eevil.test/", "bank.evil.test"),
        ("https://مصرف.test/", ""),
    ],
)  # fmt: skip
def test_the_host_is_shown_where_the_words_hide_it(text: str, host: str) -> None:
    """Security: user names, letters of other scripts, encoded dots: a reader sees who is asked."""
    (link,) = find_links(text)
    assert ("" if link.shows_host else link.target.host) == host


@pytest.mark.parametrize(
    ("href", "url"),
    [
        (" https://shop.test/a b ", "https://shop.test/a%20b"),
        ("https:\\\\shop.test\\x", "https://shop.test%5Cx"),
        ("ht\ntps://shop.test/\tx", "https://shop.test/x"),
        ("https:/shop.test/x", "https://shop.test/x"),
        ('https://shop.test/"><script>', "https://shop.test/%22%3E%3Cscript%3E"),
        ("mailto:a%40b.test?subject=x", "mailto:a@b.test"),
        ("mailto:noor@south.test?subject=x", "mailto:noor@south.test"),
        ("java\tscript:alert(1)", None),
        ("//shop.test/", None),
        ("/logout", None),
        ("https:///", None),
        ("x" * 5000, None),
    ],
)  # fmt: skip
def test_targets_are_read_as_browsers_read_them(href: str, url: str | None) -> None:
    target = read_target(href)
    assert (target.url if target else None) == url


def test_links_of_html_stay_in_its_text() -> None:
    """Without the target, "Reset password" would be a dead end in the text view."""
    html = (
        '<p>مرحبا <a href="https://shop.test/reset?t=1&amp;u=2">Reset <b>your</b> password</a>.</p>'
        '<p><a href="https://evil.test/"><img alt="Shop" src="x"></a>, '
        '<a href="https://evil.test/">https://bank.test/</a>, <a href="javascript:x">no</a></p>'
    )
    first, second = split_paragraphs(html_to_marked_text(html), marked=True)
    (reset,) = first.links
    assert first.text[reset.start : reset.end] == "Reset your password"
    assert (reset.target.url, reset.target.host) == ("https://shop.test/reset?t=1&u=2", "shop.test")
    assert not reset.shows_host
    assert [second.text[one.start : one.end].strip() for one in second.links] == [
        "Shop",
        "https://bank.test/",
    ]
    assert [(one.target.host, one.shows_host) for one in second.links] == [("evil.test", False)] * 2


MARKS = "\ufdd0https://evil.test/\ufdd1https://bank.test/\ufdd2"


def test_nobody_else_marks_links() -> None:
    """Security: what marks a link between two functions of ours means nothing in a message."""
    (plain,) = split_paragraphs(MARKS)
    assert "evil.test" in plain.text
    assert [one.target.host for one in plain.links] == ["evil.test"]
    entities = "&#xFDD0;https://evil.test/&#xFDD1;https://bank.test/&#xFDD2;"
    for html in (MARKS, entities, entities.replace("&", "&amp;")):
        for paragraph in split_paragraphs(html_to_marked_text(html), marked=True):
            assert "evil.test" in paragraph.text
            assert all(one.target.host == "evil.test" for one in paragraph.links)


@given(st.text(alphabet="htps:/mailo@.ab()[]<>\\ \ufdd0\ufdd1\ufdd2\u202e%٠م", max_size=80))
def test_links_lie_in_the_text_and_lead_to_the_web(text: str) -> None:
    plain, links = take_marks(text)
    end = 0
    for link in links:
        assert end <= link.start < link.end <= len(plain)
        assert link.target.url.startswith(("http://", "https://", "mailto:"))
        assert link.target.host
        end = link.end


def test_a_long_text_of_openings_is_read_in_one_pass() -> None:
    marked = "\ufdd0https://a.test\ufdd1x\ufdd2"
    openings = ("https://", "mailto:", "(", "https://a.test/(", "\ufdd0", "\ufdd0a\ufdd1")
    for piece in (*openings, marked, f"{marked} y"):
        take_marks(piece * (1_000_000 // len(piece)))
    take_marks("https://a.test/" + ")" * 1_000_000)
