"""What a page shows and what it hides, as browsers decide it (HTML standard, CSS Syntax 3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.message.html import read_html
from zajil.message.html_bounds import MAX_HTML, MAX_TAGS, cut_source
from zajil.message.html_style import read_style

SHOWN_BY_TAGS = [
    # End tags that may be left out (HTML standard section 13.1.2.4).
    "<p hidden>x<p>olive",
    "<p hidden>x<h2>olive",
    "<p hidden>x<ul><li>olive",
    "<p hidden>x<table><tr><td>olive",
    "<p hidden>x<hr>olive",
    "<ul><li hidden><p>x<li>olive",
    "<ul><li hidden><div><b>x</b></div><li>olive",
    "<dl><dt hidden>x<dd>olive",
    "<dl><dd hidden>x<dd>olive",
    "<select><option hidden>x<option>olive",
    "<select><optgroup hidden><option>x<optgroup>olive",
    "<ruby><rt hidden>x<rp>olive",
    "<h1 hidden>x<h2>olive",
    "<h1 hidden>x</h3>olive",
    "<table><tr><td hidden>x<td>olive",
    "<table><tr><th hidden>x<td>olive",
    "<table><tr hidden><td>x<tr><td>olive",
    "<table><tbody hidden><tr><td>x<tfoot><tr><td>olive",
    "<table><caption hidden>x<tr><td>olive",
    "<table><colgroup hidden><col><tr><td>olive",
    # The end of an element around it.
    "<div><p hidden>x</div>olive",
    "<p><span hidden>x</p>olive",
    "<table><tr><td><div hidden>x</td><td>olive",
    "<table><tr><td><div hidden>x<tr><td>olive",
    "<table hidden><tr><td>x</table>olive",
    "<ul><li><div hidden>x</ul>olive",
    "<button><span hidden>x</button>olive",
    "<select hidden><option>x<input>olive",
    # Elements that cannot stand in themselves, and formatting.
    "<a hidden>x<a href=y>olive",
    "<nobr hidden>x<nobr>olive",
    "<button hidden>x<button>olive",
    "<form><form hidden>olive",
    "<b hidden>x<p>y</b>olive",
    "<table><tr><td>x<table><tr><td hidden>y</table>olive",
    # Tags that do not count, and elements that hold nothing.
    "<td hidden>olive",
    "<tr hidden>olive",
    "<br hidden>olive",
    "<img hidden>olive",
    "<svg hidden/>olive",
    "<svg hidden><p>olive",
    # What is not in a cell is shown before the table.
    "<table hidden>olive</table>",
    "<table hidden><div>olive</div></table>",
    "<table><tr hidden>olive</table>",
    "<table><div hidden>x<tr><td>olive",
    "<!-- x --!>olive",
    "<xmp>olive</xmp>",
]
SHOWN_BY_STYLE = [
    "color:red;/*display:none*/",
    "x-display:none",
    "display:none;display:block",
    "display:none;display:inline-block !important",
    "display:none;all:unset",
    "display:none x",
    "display:none;display:var(--x, block)",
    "font-family:'display:none'",
    "font-family:'a;display:none;b'",
    'content:"display:none"',
    "background:url(display:none)",
    "@media{display:none}",
    "visibility:hidden;visibility:visible",
    "opacity:0;opacity:100%",
    "opacity:0.0x",
    "font-size:1px;font-size:20px",
    "font-size:0;font:16px Arial",
    "font-size:0x",
    "font-size:0.6em",
    "line-height:0",
    "max-width:0",
    "max-width:0x;overflow:hidden",
    "max-height:0",
    "max-height:0;overflow:hidden;max-height:none",
    "max-height:0;overflow:hidden;min-height:9px",
    "max-height:0;overflow:hidden;padding-bottom:99px",
    "display:inline;max-height:0;overflow:hidden",
    "mso-hide:all",
    "text-indent:-200px",
    "color:#fff;color:black",
    "color:#fff;color:nothing;color:rgb(0,0,0)",
    "color:#fff;background:#036",
    "color:#fff;background:url(x.png)",
    "color:#fff;text-shadow:0 0 1px #000",
]
HIDDEN_BY_STYLE = [
    "display:none",
    " DISPLAY : NONE ! important ",
    "display:none;display:unheard-of",
    "display:none !important;display:block",
    r"d\69splay:none",
    "display/**/:/**/none",
    "font-family:'a';display:none",
    "visibility:hidden",
    "visibility:collapse",
    "opacity:0",
    "opacity:0.00",
    "font-size:0",
    "font-size:0.0em",
    "font-size:1px",
    "font-size:0%",
    "font:0/0 a",
    "height:0;overflow:hidden",
    "max-height:0px;overflow:hidden;line-height:0",
    "color:#fff",
    "color:WHITE",
    "color:rgb(255, 255, 255)",
    "color:#123456;background:#123456",
    "background-color:#fefefe;color:#fff",
]


@pytest.mark.parametrize("page", SHOWN_BY_TAGS)
def test_text_that_a_browser_shows_is_visible(page: str) -> None:
    for hiding in ("hidden", 'style="display:none"', 'style="visibility:hidden;font-size:0"'):
        assert "olive" in read_html(page.replace("hidden", hiding)).text


@pytest.mark.parametrize("style", SHOWN_BY_STYLE)
def test_a_style_that_does_not_hide(style: str) -> None:
    style = style.replace('"', "&quot;")
    assert read_html(f'<div style="{style}">olive</div>').text.strip() == "olive"


@pytest.mark.parametrize("style", HIDDEN_BY_STYLE)
def test_a_style_that_hides(style: str) -> None:
    found = read_html(f'<div style="{style}">olive <b>tree</b><br></div>seen')
    assert found.text.strip() == "seen"
    assert found.hidden.strip() == "olive tree"


@pytest.mark.parametrize(
    "page",
    [
        '<div style="font-size:0"><span style="font-size:16px">olive',
        '<div style="font-size:1px"><span style="font-size:16em">olive',
        '<div style="font-size:0"><table><tr><td>olive',
        '<table><tr style="font-size:0"><td style="font-size:12px">olive',
        '<div style="visibility:hidden"><i style="visibility:visible">olive',
        '<div style="color:#fff"><font color="black">olive',
        '<div style="color:#fff"><div style="background-color:#000">olive',
        '<div style="height:0;overflow:hidden"><p style="position:absolute">olive',
        '<span style="height:0;overflow:hidden">olive',
        '<p hidden style="display:block">olive',
        "<style>.a{background:#000}</style><p class=a style='color:#fff'>olive",
    ],
)
def test_what_is_brought_back_is_visible(page: str) -> None:
    assert read_html(page).text.strip() == "olive"


@pytest.mark.parametrize(
    "page",
    [
        '<div style="display:none"><p style="display:block;visibility:visible">olive',
        '<div style="opacity:0"><p style="opacity:1">olive',
        '<div style="font-size:0"><p style="font-size:2em">olive',
        "<div hidden><div>x</div>olive",
        "<div hidden></p></span></b></li></td></body>olive",
        "<span hidden><div></span>olive",
        "<ul hidden><li>x<li>olive",
        "<table hidden><tr><td>olive",
        "<table><tr hidden><td>x<td>olive",
        "<table><tr hidden><td>x<table></table>olive",
        '<table><tr><td bgcolor="white" style="color:#fff">olive',
        "<font color=ffffff>olive",
        '<body style="display:none"><p>olive',
    ],
)
def test_what_stays_hidden(page: str) -> None:
    found = read_html(page)
    assert "olive" in found.hidden
    assert "olive" not in found.text


@pytest.mark.parametrize(
    "page",
    [
        # A style sheet is stronger than what attributes hide.
        "<style>.x{display:block!important}</style><p class=x style='display:none'>olive",
        "<style>@media print{p.X:hover{display:block !important}}</style>"
        "<p class=x style='display:none'>olive",
        "<style>p{color:red;&{display:block!important}}</style><p style='display:none'>olive",
        "<style>a{content:'}'}p{display:block!important}</style><p style='display:none'>olive",
        "<style>/*{*/p{display:block!important}</style><p style='display:none'>olive",
        "<style>\\70{display:block!important}</style><p style='display:none'>olive",
        "<style>#y{visibility:visible}</style><div style='visibility:hidden'><p id=y>olive",
        "<style>p{display:block}</style><p hidden>olive",
        "<style>@keyframes k{to{opacity:1}}</style><p style='opacity:0;animation:k 1s'>olive",
        "<link rel=stylesheet href=x><p style='display:none'>olive",
        "<p style='display:none'>x</p><style>p::after{content:'olive'}</style>",
        # What enlarges, moves or paints.
        "<p style='font-size:1px;zoom:20'>olive",
        "<div style='transform:scale(20)'><p style='font-size:1px'>olive",
        "<p style='color:#fff'>olive</p><div style='background:#000;margin-top:-40px'>x",
        "<div style='background:#fff'><p style='color:#fff;position:absolute'>olive",
        "<p style='display:none;" + " " * 9000 + ";display:block'>olive",
        # Text that is no text node of a page.
        "<img alt=olive>",
        "<input value=olive>",
        "<input type=submit value=olive>",
        "<input placeholder=olive>",
        "<option label=olive>",
        '<iframe srcdoc="<p>olive"></iframe>',
        "<div><template shadowrootmode=open><p>olive</template></div>",
        "<noscript><p>olive</noscript>",
        "<style style='display:block'>olive</style>",
        "<plaintext>olive",
        # Foreign namespaces.
        "<svg><text>olive</text></svg>",
        "<svg><style><p>olive</style></svg>",
        "<svg><title><p>olive</title></svg>",
        "<math><mtext>olive</mtext></math>",
        "<div style='font-size:0'><svg><text font-size=20>olive</text></svg></div>",
        # Known evasions of a reader of tags.
        "<p style='display:none'>x<p>olive",
        "<script><!--<script></script><p hidden>--></script>olive",
        "<p title='<div hidden>'>olive",
        "<!--><p>olive<!-- -->",
    ],
)
def test_what_some_browser_shows_is_visible(page: str) -> None:
    assert "olive" in read_html(page).text


@pytest.mark.parametrize(
    "page",
    [
        "<style>.y{display:block!important}</style><p class=x style='display:none'>olive",
        "<style>p{display:none!important}</style><p style='display:none'>olive",
        "<style>p{display:block}</style><p style='display:none'>olive",
        "<iframe>olive</iframe>",
        "<template>olive</template>",
        "<noembed>olive</noembed><noframes>olive</noframes>",
        "<script>olive</script><style>olive</style><title>olive</title>",
    ],
)
def test_what_no_browser_shows_is_not_visible(page: str) -> None:
    assert "olive" not in read_html(page).text


@pytest.mark.parametrize(
    "page",
    [
        "<a href=http://x.test>",
        "<svg><a xlink:href=http://x.test>",
        "<svg><a><set attributeName=href to=http://x.test>",
        "<math href=http://x.test>",
        "<map><area href=http://x.test>",
        "<form action=http://x.test>",
        "<button formaction=http://x.test>",
        "<iframe src=http://x.test>",
        "<object data=http://x.test>",
        '<iframe srcdoc="<a href=http://x.test>">',
        "<meta http-equiv=refresh content='0; URL=http://x.test'>",
        "<meta http-equiv=refresh content='0;http://x.test'>",
        "<table><a href=http://x.test>",
        "<select><a href=http://x.test>",
        "<template shadowrootmode=open><a href=http://x.test></template>",
    ],
)
def test_each_way_to_lead_elsewhere_is_a_link(page: str) -> None:
    assert [link.target for link in read_html(page).links] == ["http://x.test"]


def test_the_words_of_a_link_are_those_of_the_tree() -> None:
    page = "<a href=one>a<table><tr><td><a href=two>b</a></table>c</a>d"
    assert [(one.target, one.shown) for one in read_html(page).links][-1] == ("two", "b")


def test_what_is_behind_the_bound_is_behind_it_for_everybody() -> None:
    long = read_html("<p>" + "x" * MAX_HTML + "<input type=password>")
    assert long.is_cut
    assert "password" not in long.shown_source
    many = read_html("<br>" * MAX_TAGS + "olive <p>tree")
    assert many.is_cut
    assert "tree" not in many.shown_source
    far = read_html("<p>" + "x" * 262_144 + "<form><input type=password>")
    assert far.has_password
    assert not far.is_cut


def test_hidden_text_is_not_in_what_pages_show() -> None:
    page = (
        "<p style='opacity:0'>one</p><p style='font-size:0'>two<b style='font-size:9px'>olive</b>"
        "</p><p style='visibility:hidden'>three</p><p style='color:#fff'>four</p><xmp>a<b></xmp>"
        "<iframe>five</iframe><datalist>six</datalist>"
    )
    shown = read_html(page).shown_source
    assert "olive" in shown
    for word in ("one", "two", "three", "four", "five", "six"):
        assert word not in shown


NAMES = (
    *("p", "div", "b", "a", "td", "tr", "table", "li", "ul", "form", "span", "h1", "select"),
    *("option", "svg", "button", "body"),
)
TAGS = st.lists(
    st.one_of(
        st.builds(
            "<{}{}{}>".format,
            st.sampled_from(["", "/"]),
            st.sampled_from(NAMES),
            st.sampled_from(["", " hidden", " style='font-size:0'"]),
        ),
        st.sampled_from(["word ", "<!--", "-->", "'"]),
    ),
    max_size=30,
).map("".join)


@given(TAGS)
def test_no_word_is_lost(page: str) -> None:
    """Each is either visible or hidden, unless it is a comment."""
    found = read_html(page)
    words = (found.text + found.hidden).count("word")
    assert words == page.count("word") if "<!--" not in page else words <= page.count("word")


@given(st.text(max_size=60))
def test_any_style_is_read(style: str) -> None:
    read_style(style)


FONTS = "".join([f"<font a={number}>" for number in range(2000)])


@pytest.mark.parametrize(
    "page",
    [
        f"<p>{FONTS}</p>" + "<p>x" * 2000,
        f"<p>{FONTS}</p>" + "<p>x</font>" * 2000,
        "<p>" + FONTS.replace(">", "><!--</font>-->") + "</p>" + "<p>x" * 2000,
        "<p>" + FONTS.replace(">", "><table></font></table>") + "</p>" + "<p>x" * 2000,
        "<p>" + FONTS.replace(">", "><i title='</font>'>") + "</p>" + "<p>x" * 2000,
        "<p " + " ".join([f"a{number}=1" for number in range(90_000)]) + ">x",
        "<p " + " ".join([f"a{number}='>'" for number in range(90_000)]) + ">x",
    ],
)
def test_what_fills_memory_is_cut(page: str) -> None:
    text, is_cut = cut_source(page)
    assert is_cut
    assert len(read_html(page).shown_source) < 40 * len(text) + 10_000_000


def test_ordinary_formatting_is_not_cut() -> None:
    row = "<tr><td><font color=red size={0}>a <b class=x{0}>b</b></font><i id=n{0}>c</i></td></tr>"
    page = "<table>" + "".join([row.format(number) for number in range(600)]) + "</table>"
    assert not cut_source(page)[1]
