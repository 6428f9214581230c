"""Attacks I: whatever text or link a browser shows of a message, the checks saw.

Documents are made of pieces in which each word occurs once: elements that are not closed, styles,
style sheets, entities, comments, foreign namespaces, frames, templates. What our page shows, and
what Chromium shows of the same document, must be among what ``message.view`` gave the checks.
"""

from __future__ import annotations

import html
import random
import re
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kit.facts import make_facts
from kit.made_mail import HEAD
from zajil.check.content.run import look_inside, view_of
from zajil.message.html import read_html
from zajil.message.html_bounds import MAX_HTML, MAX_TAGS
from zajil.message.view import MAX_READ, MAX_TEXT_PARTS, MessageView
from zajil.read.shown import show_message

CHROMIUM = shutil.which("chromium") or ""
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]

HIDES = (
    *("hidden", "style='display:none'", "style='visibility:hidden'", "style='opacity:0'"),
    *("style='font-size:0'", "style='display:none;display:block'", "class=z hidden"),
    *(
        "class=z style='display:none'",
        "class=y style='visibility:hidden'",
        "id=x style='opacity:0'",
    ),
    *(
        "style='/*'",
        'style="display:none;x:\'"',
        "style='font-size:1px'",
        "style='display:contents'",
    ),
    *("style='visibility:visible;font-size:16px'", "style='font-size:1px;zoom:20'", "title='>'"),
)
NAMES = (
    *("p", "div", "span", "b", "a", "i", "font", "li", "ul", "ol", "dl", "dt", "dd", "h1", "h2"),
    *("table", "tr", "td", "th", "tbody", "caption", "select", "option", "optgroup", "button"),
    *("form", "pre", "nobr", "center", "blockquote", "details", "summary", "svg", "math", "body"),
    *("text", "foreignObject", "desc", "mi", "mtext", "annotation-xml", "ruby", "rt", "label"),
    *("noscript", "template", "object", "marquee", "fieldset", "legend", "article", "dialog"),
)
ODD = (
    *(
        "<!--",
        "-->",
        "--!>",
        "<!-->",
        "<!x>",
        "<?x>",
        "</>",
        "</ x>",
        "<",
        ">",
        "'",
        '"',
        "&lt;p&gt;",
    ),
    *(
        "<style>",
        "</style>",
        "<script>",
        "</script>",
        "<script><!--<script>",
        "<title>",
        "</title>",
    ),
    *("<textarea>", "</textarea>", "<xmp>", "</xmp>", "<iframe>", "</iframe>", "<noembed>"),
    *("</noembed>", "<plaintext>", "<br>", "<hr>", "<img>", "<input>", "<![CDATA[", "]]>", "&#0;"),
    *("<frameset>", "<head>", "<html>", "</body>", "</html>", "<table hidden>", "<p/>", "<svg/>"),
    "<style>.z{display:block!important}.y,p{visibility:visible}#x{opacity:1!important}</style>",
    "<style>@media all{td{font-size:20px}}div{display:block}</style>",
    "<template shadowrootmode=open>",
    "<!DOCTYPE html>",
)
PIECES = st.one_of(
    st.builds("<{} {}>".format, st.sampled_from(NAMES), st.sampled_from(("", *HIDES))),
    st.builds("</{}>".format, st.sampled_from(NAMES)),
    st.sampled_from(ODD),
    st.sampled_from(
        (
            *(
                "wordN ",
                "wordN ",
                "wordN ",
                "<a href='http://linkN.test/'>wordN</a>",
                "w&#111;rdN ",
            ),
            *(
                "<a href=http://linkN.test>wordN",
                "<svg><a href='http://linkN.test/'>",
                "<b>wordN</b>",
            ),
            *("<img alt=wordN>", "<input value=wordN>", "http://linkN.test/ ", "<li hidden>wordN"),
        )
    ),
)


def numbered(pieces: list[str]) -> str:
    """Put pieces together; each word and link gets the number of its piece."""
    return "".join([piece.replace("N", str(number)) for number, piece in enumerate(pieces)])


DOCUMENTS = st.lists(PIECES, max_size=25).map(numbered)
WORD = re.compile(r"word\d+")
LINK = re.compile(r"http://link\d+\.test")


def mail_of(page: str, head: bytes = b"Content-Type: text/html; charset=utf-8\r\n") -> bytes:
    return HEAD + head + b"\r\n" + page.encode()


def assert_seen(shown: str, view: MessageView) -> None:
    """Whatever words and links of ours stand in a page, the view has them."""
    text = html.unescape(shown)
    assert set(WORD.findall(text)) <= set(WORD.findall(view.visible_text))
    targets = "\n".join([link.target for link in view.links])
    assert set(LINK.findall(re.sub(r">[^<]*", ">", shown))) <= set(LINK.findall(targets))


@example("<xmp>w&#111;rd1 ")
@example("<p style='visibility:hidden'><img alt=word1>")
@example("<p style='color:white'><img alt=word1>")
@given(DOCUMENTS)
def test_what_our_page_shows_was_seen(page: str) -> None:
    message = mail_of(page)
    view = view_of(make_facts(message))
    shown = show_message(message, remote_url=lambda url: url)
    assert_seen(shown.html or "", view)
    targets = [link.target.url for one in shown.paragraphs for link in one.links]
    # These are texts, and are escaped where they are shown.
    assert_seen(html.escape("\n".join([one.text for one in shown.paragraphs])), view)
    seen = "\n".join([*(link.target for link in view.links), view.visible_text])
    assert set(LINK.findall("\n".join(targets))) <= set(LINK.findall(seen))


@given(DOCUMENTS)
def test_what_is_written_anew_is_read_as_the_same(page: str) -> None:
    found = read_html(page)
    again = read_html(found.shown_source)
    assert set(WORD.findall(again.text)) <= set(WORD.findall(found.text))
    before = {link.target for link in found.links}
    assert {link.target for link in again.links} <= before


BOUNDARY = b"Content-Type: multipart/mixed; boundary=b\r\n"


@pytest.mark.parametrize(
    "page",
    [
        "x" * 262_144,
        "x " * (MAX_HTML // 2 - 40),
        "x" * MAX_HTML,
        "<br>" * MAX_TAGS,
        "<br>" * (MAX_TAGS - 10),
        "<p " + " ".join([f"a{number}" for number in range(60_000)]) + ">",
        "<p>" + "".join([f"<i a={n}>" for n in range(2000)]) + "</p>" + "<p>x" * 2000,
        "&gt;" * 100_000,
    ],
    ids=[
        "old bound",
        "below",
        "length",
        "tags",
        "fewer tags",
        "attributes",
        "formatting",
        "entities",
    ],
)
def test_what_is_behind_a_bound_is_judged_or_not_shown(page: str) -> None:
    """A password form behind 262,144 letters was once shown, and seen by no check."""
    end = (
        "<form action=http://link1.test><input type=password></form><a href=http://link2.test>word3"
    )
    message = mail_of(page + end)
    facts = make_facts(message)
    view = view_of(facts)
    shown = show_message(message)
    assert_seen(shown.html or "", view)
    for one in shown.paragraphs:
        assert_seen(one.text, view)
    if "word3" in view.visible_text:
        signals = {reason.signal for reason in look_inside(view, facts)}
        assert "phish.password-form" in signals


def test_a_form_behind_many_letters_is_judged() -> None:
    page = "x" * 262_144 + "<form><input type=password>"
    facts = make_facts(mail_of(page))
    assert "phish.password-form" in {one.signal for one in look_inside(view_of(facts), facts)}


def test_what_follows_an_element_that_is_closed_unseen_is_judged() -> None:
    page = (
        "<p style='display:none'>x<p>Your account is suspended "
        "<a href='https://evil.test'>bank.example/log-in</a>"
    )
    facts = make_facts(mail_of(page))
    view = view_of(facts)
    assert "Your account is suspended" in view.visible_text
    assert [(one.target, one.shown) for one in view.links] == [
        ("https://evil.test", "bank.example/log-in")
    ]
    assert "phish.link-names-other" in {one.signal for one in look_inside(view, facts)}


class Large:
    """The body of a message on the disk."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.size = len(body)

    def read_at(self, offset: int, size: int) -> bytes:
        return self._body[offset : offset + size]


def html_part(text: str) -> bytes:
    return b"--b\r\nContent-Type: text/html\r\n\r\n" + text.encode() + b"\r\n"


@pytest.mark.parametrize(
    "parts",
    [
        [b"--b\r\nContent-Type: image/png\r\n\r\n" + b"x\r\n" * 200_000, html_part("<p>word1")],
        [html_part("x\r\n" * 200_000 + "<a href=http://link1.test>word1"), html_part("<b>word2")],
        [
            html_part("x"),
            b"--b\r\nContent-Type: a/b\r\n\r\n" + b"x\r\n" * (MAX_READ // 3 - 90),
            html_part("y\r\n" * 30_000 + "<a href=http://link1.test>word1"),
        ],
        [
            html_part("x\r\n" * (MAX_READ // 3 - 1500)),
            *[html_part(f"word{number}") for number in range(MAX_TEXT_PARTS + 20)],
        ],
    ],
    ids=["picture first", "long text", "late text", "many texts"],
)
def test_a_large_message_on_the_disk_is_seen_as_it_is_shown(parts: list[bytes]) -> None:
    header = HEAD + BOUNDARY
    body = b"\r\n" + b"".join(parts) + b"--b--\r\n"
    assert len(body) > MAX_READ
    fields = make_facts(header + b"\r\n").fields
    view = MessageView(header, fields, Large(body))
    assert view.is_cut
    shown = show_message(header + body)
    assert "word" in (shown.html or "")
    assert_seen(shown.html or "", view)


# ---- a real browser -----------------------------------------------------------------------------

SHOWN = """() => {
  const words = [], links = [];
  const isSeen = (one) =>
    one.checkVisibility({opacityProperty: true, visibilityProperty: true});
  const look = (root) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (node.nodeType === 1) {
        if (node.shadowRoot) look(node.shadowRoot);
        if (node.localName === "a") links.push(node.getAttribute("href") || "");
        if (node.localName === "input" && isSeen(node)) words.push(node.value);
        continue;
      }
      const parent = node.parentElement || root.host;
      if (!isSeen(parent)) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      if ([...range.getClientRects()].some((one) => one.width > 4 && one.height > 4))
        words.push(node.data);
    }
  };
  look(document.documentElement);
  return [words.join("\\n"), links.join("\\n")];
}"""


@pytest.fixture(scope="module")
def chromium_page() -> Iterator[Any]:
    if not CHROMIUM:
        pytest.skip("needs chromium (apt-get install chromium)")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser.new_page(java_script_enabled=False, offline=True)
        browser.close()


def made_documents(seed: int, count: int) -> list[str]:
    """Make documents by chance, the same each time."""
    chance = random.Random(seed)
    words = (
        "wordN ",
        "<a href='http://linkN.test/'>wordN</a>",
        "<input value=wordN>",
        "w&#111;rdN",
    )
    made = []
    for _ in range(count):
        pieces = []
        for _ in range(chance.randint(3, 20)):
            name, hides = chance.choice(NAMES), chance.choice(("", *HIDES))
            start, end, odd = f"<{name} {hides}>", f"</{name}>", chance.choice(ODD)
            word = chance.choice(words)
            pieces.append(chance.choices([start, end, odd, word], weights=[4, 2, 2, 5])[0])
        made.append(numbered(pieces))
    return made


@pytest.mark.interop
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(3))
def test_what_chromium_shows_was_seen(chromium_page: Any, seed: int) -> None:
    for page in made_documents(seed, 60):
        chromium_page.goto("about:blank")
        chromium_page.set_content(page, wait_until="commit")
        words, links = chromium_page.evaluate(SHOWN)
        found = read_html(page)
        unseen = set(WORD.findall(words)) - set(WORD.findall(found.text))
        assert not unseen, (unseen, page)
        targets = "\n".join([link.target for link in found.links])
        assert set(LINK.findall(links)) <= set(LINK.findall(targets)), page
