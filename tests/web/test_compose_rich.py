"""Letters with formatting."""

from __future__ import annotations

import asyncio
from email import message_from_bytes
from email.policy import default
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.site import visiting
from kit.webmail import member, newest, role
from zajil.store.engine.open import Store
from zajil.web.webmail.compose_rich import as_document, clean_html, of_document, plain_text

RICH = (
    '<div dir="auto">Hello <b>you</b></div><div><br></div><div>مرحبا</div>'
    "<ul><li>one</li><li>two</li></ul><ol><li>first</li></ol>"
    "<blockquote><div>said</div><blockquote><div>before</div></blockquote></blockquote>"
    '<div>See <a href="https://x.test/a">here</a></div>'
)
PLAIN = "Hello you\n\nمرحبا\n* one\n* two\n1. first\n> said\n>> before\nSee here <https://x.test/a>"


def test_formatting_is_sent_and_kept_in_the_draft(store: Store) -> None:
    async def scenario() -> None:
        async with visiting(store) as site:
            amal = await member(site, "amal")
            form = {"to": "basim@north.test", "subject": "s", "body": "ignored", "html": RICH}
            saved = await amal.upload("/compose", action="save", rich="1", **form)
            page = await amal.get(saved.location)
            assert page.field("rich") == "kept"
            assert "<b>you</b>" in page.field("html")
            await amal.upload("/compose", rich="1", **{**form, "html": page.field("html")})
            message = message_from_bytes(newest(site, site.entry("basim").inbox), policy=default)
            assert message.get_content_type() == "multipart/alternative"
            plain, html = message.iter_parts()
            assert plain.get_content().splitlines() == PLAIN.splitlines()
            assert "<b>you</b>" in html.get_content()
            assert '<div dir="auto">مرحبا</div>' in html.get_content()

    asyncio.run(scenario())


def test_what_a_browser_sends_is_cleaned(sqlite_store: Store) -> None:
    """Attacks L: what was pasted runs neither here nor where it is read."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            evil = (
                '<div onclick="x()">a<script>alert(1)</script><img src="https://t.test/1.gif">'
                '<a href="javascript:x()">b</a><iframe src="//t.test"></iframe></div>'
            )
            await amal.upload(
                "/compose", to="basim@north.test", subject="s", rich="1", html=evil, body="x"
            )
            raw = newest(site, role(site, "amal", "sent"))
            for bad in (b"onclick", b"<script", b"t.test", b"javascript", b"iframe"):
                assert bad not in raw
            # Without the editor the field counts for nothing.
            await amal.upload("/compose", to="basim@north.test", subject="s", html=RICH, body="x")
            assert b"text/html" not in newest(site, role(site, "amal", "sent"))

    asyncio.run(scenario())


def test_a_form_without_scripts_keeps_formatting_until_the_text_changes(
    sqlite_store: Store,
) -> None:
    """Such a form sends the HTML as it came, and whatever stands in its field of plain text."""

    async def scenario() -> None:
        async with visiting(sqlite_store) as site:
            amal = await member(site, "amal")
            form: dict[str, Any] = {"to": "basim@north.test", "subject": "s", "html": RICH}
            saved = await amal.upload("/compose", action="save", rich="1", body="", **form)
            page = await amal.get(saved.location)
            assert "<noscript>" in page.text
            form |= {"html": page.field("html"), "rich": page.field("rich")}
            form["place"] = page.field("place")
            body = PLAIN.replace("\n", "\r\n")
            saved = await amal.upload("/compose", action="save", body=body, **form)
            page = await amal.get(saved.location)
            assert page.field("html") == form["html"]
            form["place"] = page.field("place")
            await amal.upload("/compose", body=body + "\r\nOne more line.", **form)
            raw = newest(site, role(site, "amal", "sent"))
            assert b"<b>you" not in raw
            plain = message_from_bytes(raw, policy=default).get_body(("plain",))
            assert plain is not None
            assert "One more line." in plain.get_content()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("<div>a<br>b<br></div><div>c</div>", "a\nb\nc"),
        ("<p>a</p><p>b</p>", "a\n\nb"),
        ("<div>-- </div><div>Amal</div>", "-- \nAmal"),
        ("<div>a &lt;b&gt; &amp;</div>", "a <b> &"),
        ('<a href="https://x.test/">https://x.test/</a>', "https://x.test/"),
        ("<ul><li>a<ul><li>b</li></ul></li></ul>", "* a\n  * b"),
        ("</blockquote></ul></a>x", "x"),
        (
            'a<img src="cid:1@a.test" alt="my  cat">b<img src="cid:2">',
            "a[picture: my cat]b[picture]",
        ),
    ],
)
def test_formatting_becomes_plain_text(html: str, text: str) -> None:
    assert plain_text(html) == text


def test_spaces_of_firefox_become_plain_ones() -> None:
    html = "<div>a&nbsp;b&nbsp;&nbsp;c &nbsp;d&nbsp;!</div>"
    assert clean_html(html) == "<div>a b&nbsp;&nbsp;c &nbsp;d&nbsp;!</div>"


def test_a_draft_that_is_saved_again_and_again_does_not_grow() -> None:
    html = clean_html(RICH)
    assert of_document(as_document(of_document(as_document(html)))) == of_document(
        as_document(html)
    )


@given(st.text(alphabet="<>/abdivpulo =\"'&;بم\n", max_size=200))
def test_no_html_breaks_it(html: str) -> None:
    cleaned = clean_html(html)
    assert isinstance(plain_text(cleaned), str)
    assert "<script" not in as_document(cleaned)
