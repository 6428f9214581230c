from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.read.paragraphs import split_paragraphs
from zajil.submit.flowed import WIDTH, read_flowed, write_flowed

LONG = " ".join(["كلمة"] * 40)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("a\n\nb", ["a", "", "b"]),
        ("trailing   \n-- \nAmal", ["trailing", "-- ", "Amal"]),
        (" a\nFrom here", ["  a", " From here"]),
        ("> a\n> > b\n>\n>> -- ", ["> a", ">> b", ">", ">> -- "]),
        ("a" * 100 + " b", ["a" * 100 + " ", "b"]),
    ],
)
def test_lines_of_each_kind(text: str, lines: list[str]) -> None:
    """RFC 3676 section 4.2, RFC 3676 section 4.4, RFC 3676 section 4.5."""
    assert write_flowed(text).split("\n") == lines


def test_a_long_paragraph_is_broken_and_joined_again() -> None:
    for text in (LONG, f">> {LONG}", f"a > {LONG} >b From c"):
        lines = write_flowed(text).split("\n")
        assert len(lines) > 2
        assert max(map(len, lines)) <= WIDTH + 1
        assert all(line.endswith(" ") for line in lines[:-1])
        assert read_flowed("\n".join(lines), delete_space=False) == text
    quoted = write_flowed(f"{LONG}\n> {LONG}")
    shown = split_paragraphs(quoted, flowed=True)
    assert [(one.text, one.quote_depth) for one in shown] == [(LONG, 0), (LONG, 1)]


@given(st.lists(st.text(alphabet="aب >-From", max_size=200), max_size=5))
def test_what_is_written_is_read(lines: list[str]) -> None:
    text = "\n".join(lines)
    written = write_flowed(text)
    assert _plain(read_flowed(written, delete_space=False)) == _plain(text)
    longest = max(map(len, re.findall(r"[^ ]+", text)), default=0)
    assert max(map(len, written.split("\n"))) <= max(WIDTH, longest) + text.count(" ") + 42


def _plain(text: str) -> list[str]:
    """Leave out the spaces that do not count."""
    out = []
    for line in text.split("\n"):
        marks = re.match(r"(?:> ?)*", line)
        assert marks is not None
        words = line[len(marks[0]) :]
        out.append(">" * marks[0].count(">") + words.rstrip(" "))
    return out
