"""SEARCH finds the words that a page shows, not its source. (RFC 8621 section 4.4.1)"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.imap import imap_place, make_reader
from kit.store import running
from zajil.message.html_words import html_words
from zajil.message.normal_form import search_form
from zajil.store.engine.open import Store

PAGE = (
    "<!DOCTYPE html><html><head><title>heading</title><style>p{color:red}</style></head><body>"
    "<p class='c>d'>ca<b>fe</b>te<span\nid=x>r</span>ia br&ucirc;l&eacute;e &#1605;&#1585;&#x62d;"
    "&#1576;&#1575; via<!-- in > side -->duct</p>"
    "<table><tr><td>left<td>right</table>first<br>second tom&nbsp;jerry\r\n  long   line"
    "<script>var hidden = '<p>';</script> 1 &lt; 2 &amp;lt; <A HREF='http://x.test/'>here</A>"
)


@pytest.mark.parametrize(
    "term",
    [
        "cafeteria", "brûlée", "مرحبا", "viaduct", "left", "right", "first", "second", "tom jerry",
        "jerry long line", "1 < 2", "&lt;", "here",
    ],
)  # fmt: skip
def test_words_of_the_page_are_found(term: str) -> None:
    assert search_form(term) in search_form(html_words(PAGE))


@pytest.mark.parametrize(
    "term",
    [
        "<b>", "<br", "&eacute", "&nbsp", "class", "c>d", "side", "var", "x.test", "color",
        "heading", "leftright", "firstsecond", "DOCTYPE",
    ],
)  # fmt: skip
def test_the_source_is_not_found(term: str) -> None:
    assert search_form(term) not in search_form(html_words(PAGE))


MESSAGES = (
    b"Content-Type: text/html; charset=us-ascii\r\n\r\nca<b>fe</b>t&#101;ria\r\n",
    b"Content-Type: text/html; name=a.html\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"Y2E8Yj5mZTwvYj50ZXJpYQ==\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: TEXT/HTML\r\n\r\n"
    b"ca<i>fet</i>eria<br>next\r\n--b--\r\n",
    b"Content-Type: multipart/mixed\r\n\r\ncafeteria\r\n",
)


def test_each_html_part_is_searched(store: Store, tmp_path: Path) -> None:
    make_reader(store)

    async def run() -> None:
        async with running(store), imap_place(store, tmp_path) as place, place.session() as imap:
            for message in MESSAGES:
                await imap.append("INBOX", message)
            await imap.ok("SELECT INBOX")
            for key in ("BODY cafeteria", "TEXT cafeteria"):
                assert (await imap.ok(f"SEARCH {key}"))[0] == b"* SEARCH 1 2 3 4", key
            for key in ('BODY "<b>"', 'TEXT "<br"', 'BODY "&#101"', "BODY ferianext"):
                assert (await imap.ok(f"SEARCH {key}"))[0] == b"* SEARCH", key

    asyncio.run(run())


@pytest.mark.parametrize(
    "piece",
    [
        "<!--",
        "<script>",
        "<a href='",
        "<",
        "</",
        '<p "',
        "<a b=c ",
        "&amp;",
        "</script",
        "<title>a</",
    ],
)
def test_time_grows_with_the_page(piece: str) -> None:
    def seconds(size: int) -> float:
        begin = time.process_time()
        html_words(piece * (size // len(piece)))
        return time.process_time() - begin

    small = min([seconds(50_000) for _ in range(5)])
    assert min([seconds(400_000) for _ in range(5)]) <= max(small, 0.002) * 32


@given(st.text(alphabet="<>!-/ab'\"= &;#1", max_size=60))
def test_any_page(page: str) -> None:
    html_words(page)
