from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.read.paragraphs import MAX_PARAGRAPHS, Paragraph, find_direction, split_paragraphs


@pytest.mark.parametrize(
    ("text", "direction"),
    [("hello مرحبا", "ltr"), ("مرحبا hello", "rtl"), ("123 — مرحبا", "rtl"), ("שלום", "rtl"),
     ("123", "auto"), ("", "auto"), ("\u200fabc", "rtl"), ("…" * 2000 + "a", "auto")],
)  # fmt: skip
def test_direction_is_that_of_the_first_strong_letter(text: str, direction: str) -> None:
    assert find_direction(text) == direction


def test_paragraphs_end_at_empty_lines_and_at_quotes() -> None:
    text = "مرحبا\r\nيا أمل\r\n\r\n> hello\r\n>> older\r\n> again\r\nbye\r\n"
    assert split_paragraphs(text) == (
        Paragraph("مرحبا\nيا أمل", "rtl", 0),
        Paragraph("hello", "ltr", 1),
        Paragraph("older", "ltr", 2),
        Paragraph("again", "ltr", 1),
        Paragraph("bye", "ltr", 0),
    )


def test_flowed_lines_are_joined() -> None:
    """RFC 3676 section 4.2 to section 4.5."""
    text = "one \r\ntwo\r\nthree\r\n From here\r\n> quoted \r\n> text\r\n-- \r\nme\r\n"
    assert [(one.text, one.quote_depth) for one in split_paragraphs(text, flowed=True)] == [
        ("one two\nthree\nFrom here", 0),
        ("quoted text", 1),
        ("-- \nme", 0),
    ]


def test_delsp_takes_the_space_out() -> None:
    (one,) = split_paragraphs("سلا \nم\n", flowed=True, delete_space=True)
    assert one.text == "سلام"


def test_hostile_texts_take_linear_time() -> None:
    for bomb in ("> " * 500_000, ">\n\nx\n" * 200_000, "\n" * 1_000_000, "a \n" * 300_000):
        assert len(split_paragraphs(bomb, flowed=True)) <= MAX_PARAGRAPHS


@given(st.text(alphabet="> \r\nab\u0633-", max_size=200), st.booleans(), st.booleans())
def test_any_text_keeps_its_words(text: str, flowed: bool, delete_space: bool) -> None:
    shown = split_paragraphs(text, flowed=flowed, delete_space=delete_space)
    assert "".join(c for one in shown for c in one.text if c in "ab\u0633-") == "".join(
        c for c in text if c in "ab\u0633-"
    )
