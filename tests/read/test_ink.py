"""No text of a message is shown in the colour of its ground, whatever was dropped from it."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.read.ink import mend_ink, read_color
from zajil.read.safe_html import make_safe


def ink_of(html: str, words: str = "words") -> str:
    """Give the colour that stands nearest before the words; ``""``: the page's own."""
    before = make_safe(html).html.partition(words)[0]
    found = re.findall(r"[\";]color:([^;\"]+)", before.rpartition("<")[2])
    return found[-1] if found else ""


@pytest.mark.parametrize(
    "html",
    [
        '<p style="color:#fff">words</p>',
        '<p style="color: rgba(255, 255, 255, 0.9)">words</p>',
        '<p style="color:transparent">words</p>',
        '<p style="color:#fff" class="button">words</p>',
        '<p style="color:#fff;background:url(https://x.test/dark.png)">words</p>',
        '<p style="color:#fff;background-image:url(https://x.test/dark.png)">words</p>',
        '<p style="color:#fff;background:var(--dark)">words</p>',
        '<font color="FFFFFF">words</font>',
        '<font color="white">words</font>',
        '<div style="background:white"><b style="color:#fefefe">words</b></div>',
    ],
)
def test_white_on_white_becomes_dark(html: str) -> None:
    assert ink_of(html) == "#1b252d"


def test_a_font_in_quotes_stays_beside_a_new_colour() -> None:
    shown = make_safe("<p style=\"color:#fff;font-family:'A B';font-size:9px\">words</p>").html
    declared = "font-family:&quot;A B&quot;;font-size:9px;color:#1b252d"
    assert shown == f'<p style="{declared}">words</p>'


@pytest.mark.parametrize(
    "html",
    [
        '<p style="color:#fff;background:#0b6a63">words</p>',
        '<p style="color:white;background:linear-gradient(#111,#333)">words</p>',
        '<p style="color:#999">words</p>',
        '<div style="background:#000"><p style="color:#fff">words</p></div>',
    ],
)
def test_what_can_be_read_keeps_its_colour(html: str) -> None:
    assert ink_of(html) in ("#fff", "white", "#999")


def test_black_on_black_becomes_light() -> None:
    assert (
        'bgcolor="#000000" style="color:#ffffff"'
        in make_safe("<table bgcolor=000000><tr><td>words</table>").html
    )
    assert ink_of('<p style="background:#111;color:#222">words</p>') == "#ffffff"


def test_a_dropped_picture_is_felt_by_all_that_stood_on_it() -> None:
    """Pale grey on a dark photograph would be legible on white only with effort."""
    html = '<td background="https://x.test/dark.png"><p style="color:#999">words</p></td>'
    safe = make_safe(f"<table><tr>{html}</tr></table>").html
    assert "background" not in safe
    assert "#999" not in safe
    on_ground = html.replace('<p style="', '<p style="background:#000;')
    assert "#999" in make_safe(f"<table><tr>{on_ground}</tr></table>").html


@given(
    st.lists(
        st.sampled_from(
            [
                *(
                    "<p style='color:#fff'>",
                    "<p style='background:#fff'>",
                    "</p>",
                    "x",
                    "<b>",
                    "</b>",
                ),
                *("<div style='background:url(x);color:#eee'>", "</div>", "<font color=#fafafa>"),
                *("<table bgcolor=black>", "<tr><td style='color:black'>", "</table>", "<mark>"),
                *("<a href='https://x.test' style='color:inherit'>", "</a>", "<br>", "<hr>"),
            ]
        ),
        max_size=12,
    ).map("".join)
)
def test_a_mended_text_needs_no_more_mending(html: str) -> None:
    safe = make_safe(html).html
    assert "lost" not in safe
    assert mend_ink(safe) == safe


@given(st.text(alphabet="#0123456789abcdefrgblst(),% ./", max_size=30))
def test_no_colour_makes_it_raise(text: str) -> None:
    color = read_color(text)
    assert color is None or all(0 <= part <= 1 for part in color)
