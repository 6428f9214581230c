"""Quotes of a text: nested as they were written, and folded where they are long."""

from __future__ import annotations

from zajil.read.paragraphs import Paragraph, split_paragraphs
from zajil.web.webmail.quotes import DEEPEST, Quote, nest_quotes


def told(pieces: list[Paragraph | Quote]) -> list[object]:
    return [
        (one.is_folded, told(one.pieces)) if isinstance(one, Quote) else one.text for one in pieces
    ]


def test_quotes_are_nested() -> None:
    text = "a\n> b\n>> c\n>>> d\n>> e\n> f\n\ng\n>> h\ni"
    assert told(nest_quotes(split_paragraphs(text))) == [
        "a",
        (True, ["b", (False, ["c", (False, ["d"]), "e"]), "f"]),
        "g",
        (False, [(False, ["h"])]),
        "i",
    ]


def test_a_quote_at_the_end_is_folded_and_one_alone_is_not() -> None:
    assert told(nest_quotes(split_paragraphs("a\n> b"))) == ["a", (True, ["b"])]
    assert told(nest_quotes(split_paragraphs("> b"))) == [(False, ["b"])]
    assert nest_quotes(()) == []


def test_depth_is_bounded() -> None:
    pieces = nest_quotes(split_paragraphs(">" * 5000 + " x"))
    depth = 0
    while isinstance(pieces[0], Quote):
        pieces, depth = pieces[0].pieces, depth + 1
    assert depth == DEEPEST
