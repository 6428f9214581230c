"""Style sheets of strangers: what is kept, what is dropped, and that all text can be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.site import letter
from zajil.message.html import read_html
from zajil.read.safe_html import make_safe
from zajil.read.safe_sheet import MAX_SHEET, read_sheet
from zajil.read.shown import show_message

NEWSLETTERS = sorted(Path(__file__).parents[1].joinpath("corpus/newsletters").glob("*.html"))


@pytest.mark.parametrize(
    ("sheet", "written"),
    [
        ("p { color: red }", "p{color:red}"),
        ("P.a > #b, td .c.d{ margin:0 !important }", "p.a>#b,td .c.d{margin:0!important}"),
        ("a:link, a:visited { color: #123 }", "a,a{color:#123}"),
        ("body, html { margin: 0 }", ".zajil-body,.zajil-body{margin:0}"),
        ("*[class=mobile] { width: 100% }", ".mobile{width:100%}"),
        ("a:hover{color:red} p::before{color:red} u + .x{color:red} a[href]{color:red}", ""),
        (".x{color:red} a:hover, .y{color:blue}", ".x{color:red}\n.y{color:blue}"),
        ("@import 'https://evil.test/x.css'; p{background:url(https://evil.test/)}", ""),
        ("@font-face{font-family:x;src:url(https://evil.test/)} @keyframes x{to{color:red}}", ""),
        (".a{position:fixed;top:0;width:100vw;content:'x';color:red}", ".a{color:red}"),
        ("@media print{p{color:red}} @media(prefers-color-scheme:dark){p{color:red}}", ""),
        ("@media screen{p{color:red}}", "p{color:red}"),
        (
            "@media only screen and (max-device-width:600px){.a{color:red;width:100%!important}}",
            "@media (max-width:600px){.a{width:100%!important}}",
        ),
        ("@media print,(min-width:30em){p{margin:0}}", "@media (min-width:30em){p{margin:0}}"),
        ("@media screen{@media screen{p{color:red}}}", ""),
        ("p{font-family:'</style><script>'} q{color:red}", "q{color:red}"),
        (".a\\{b{color:red} .é{color:red} p{color:\\72 ed}", "p{color:red}"),
        ("<!-- p{color:red} -->", "p{color:red}"),
        ("a" + " a" * 6 + "{color:red}", ""),
        ("a>{color:red} >a{color:red} ,{color:red} {color:red}", ""),
        ("p{" + "color:red;" * 5000 + "}", ""),
        ("p:is(" + "(" * 3000, ""),
        ("@media (" + "(" * 3000 + "{p{color:red}}", ""),
    ],
)
def test_what_is_kept(sheet: str, written: str) -> None:
    assert read_sheet(sheet).text == written


@given(
    st.lists(
        st.sampled_from(["p", ".a", "#b", "{", "}", "color:red", ";", "@media (max-width:9px)"])
        | st.sampled_from([" ", ">", ",", "*", ":link", "url(x)", "<", "\\", "'", "/*", "*/", "!"]),
        max_size=30,
    ).map("".join)
)
def test_what_was_kept_is_kept_again(sheet: str) -> None:
    once = read_sheet(sheet).text
    assert "<" not in once
    assert "url" not in once
    assert read_sheet(once).text == once


def test_only_names_that_a_sheet_uses_are_kept() -> None:
    html = '<p class="a b" id="c">words</p>'
    assert make_safe(html, sheets=".a{color:red}").html.startswith("<style>.a{color:red}</style>")
    assert '<p class="a">' in make_safe(html, sheets=".a{color:red}").html
    assert make_safe(html).html == "<p>words</p>"


@pytest.mark.parametrize(
    ("sheet", "html", "ink"),
    [
        (".a{color:#fff}", '<p class="a">', "#1b252d!important"),
        (".a{color:#fff!important}", '<p class="a">', "#1b252d!important"),
        (".a{color:#fff;background:#000}", '<p class="a">', ""),
        (".a{color:#fff}.b{background:#000}", '<div class="b"><p class="a">', ""),
        (".a{color:#fff}.b .a{background:#000}", '<div class="b"><p class="a">', ""),
        (".a{color:#fff}.b>.a{background:#000}", '<div class="b"><i><p class="a">',
         "#1b252d!important"),
        ("p{background:#000}", "<p>", "#ffffff!important"),
        ("p{background:#000}", '<p style="background:#fff">', ""),
        ("p{background:#000!important}", '<p style="background:#fff">', "#ffffff!important"),
        (".a{background:#fff}p{background:#000}", '<p class="a">', ""),
        ("body{background:#000}", "<body><p>", "#ffffff!important"),
        (".a{background:url(x);color:#ccc}", '<p class="a">', "#1b252d!important"),
        ("@media (max-width:9px){.a{background:#000}}", '<p class="a">', ""),
    ],
)  # fmt: skip
def test_text_is_legible_whatever_the_sheet_says(sheet: str, html: str, ink: str) -> None:
    safe = make_safe(f"{html}words", sheets=sheet).html.rpartition("</style>")[2]
    before = safe.partition("words")[0]
    if ink:
        assert before.rpartition(";color:" if ";color:" in before else '"color:')[2].startswith(ink)
    else:
        assert "color:#" not in before.rpartition("<")[2].replace("background-color:#fff", "")


@pytest.mark.parametrize("path", NEWSLETTERS, ids=lambda path: path.stem)
def test_newsletters_keep_their_form(path: Path) -> None:
    shown = show_message(letter(html=path.read_text()).as_bytes())
    assert shown.html is not None
    assert shown.html.count("<style>") == 1
    assert 'class="zajil-body' in shown.html
    for lost in ("url(", "@import", "fixed", "100vw", "prefers-color", "<script", "https://img"):
        assert lost not in shown.html


def test_many_parts_have_no_sheet_in_common() -> None:
    message = letter(html="<style>p{color:red}</style><p>one</p>")
    message.add_attachment("x", subtype="html", disposition="inline")
    assert "<style>" not in (show_message(message.as_bytes()).html or "")


def test_sheets_for_paper_are_not_for_screens() -> None:
    html = "<style media=print>p{color:red}</style><style media=screen>p{margin:0}</style><p>x"
    assert read_html(html).sheets == "p{margin:0}"


def test_bombs_end_soon() -> None:
    read_sheet("a{" * 100_000)
    read_sheet("(" * 100_000)
    read_sheet("@media(max-width:9px){" * 10_000)
    assert read_sheet("p{color:red}" * 20_000).text.count("p") <= 2000
    assert len(read_sheet(".a{color:red}" * 20_000).text) <= 2 * MAX_SHEET
    sheet = "i i i i i .a{color:#fff}" * 100
    html = make_safe("<i>" * 5000 + '<b class="a">words' * 300, sheets=sheet).html
    assert "<style>" not in html
