"""Words that are marked where a page shows them."""

from __future__ import annotations

from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.message.normal_form import search_form
from zajil.web.marking import find_marks, marked, urls_marked


@pytest.mark.parametrize(
    ("text", "terms", "wanted"),
    [
        ("The Rose, the rose", ["rose"], "The <mark>Rose</mark>, the <mark>rose</mark>"),
        ("roses", ["rose", "ses"], "<mark>roses</mark>"),
        ("a&b <b>", ["b"], "a&amp;<mark>b</mark> &lt;<mark>b</mark>&gt;"),
        ("Straße", ["strasse"], "<mark>Straße</mark>"),
        ("café", ["cafe"], "<mark>café</mark>"),
        ("إِلى المَدرسة", ["المدرسه"], "إِلى <mark>المَدرسة</mark>"),
        ("nothing", ["x"], "nothing"),
        ("nothing", [], "nothing"),
        ("nothing", [""], "nothing"),
        ("", ["x"], ""),
    ],
)
def test_marks(text: str, terms: list[str], wanted: str) -> None:
    assert marked(text, terms) == wanted


def test_urls_read_from_left_to_right() -> None:
    found = urls_marked("انظر https://rose.test/a هنا rose", ["rose"])
    assert '<bdi dir="ltr">https://<mark>rose</mark>.test/a</bdi>' in found
    assert found.endswith("<mark>rose</mark>")


TEXT = st.text(st.one_of(st.sampled_from("aAßé إأاىية\u064bﬁ①İ<&"), st.characters()), max_size=30)


@given(TEXT, st.lists(TEXT.map(search_form), max_size=3))
def test_nothing_of_a_text_is_lost_or_becomes_markup(text: str, terms: list[str]) -> None:
    plain = marked(text, terms).replace("<mark>", "").replace("</mark>", "")
    assert "<" not in plain
    assert unescape(plain.replace("\r", "&#13;")) == text or "\r" in text or "\0" in text
    last = 0
    for start, end in find_marks(text, terms):
        assert last <= start < end <= len(text)
        last = end
