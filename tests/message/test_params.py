from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.message.params import MAX_PARAMETERS, parse_parameterised, write_parameter


@pytest.mark.parametrize(
    ("value", "head", "parameters"),
    [
        ("text/plain", "text/plain", {}),
        ("TEXT/Plain; Charset=UTF-8", "text/plain", {"charset": "UTF-8"}),
        ('text/plain; charset="us-ascii" (Plain)', "text/plain", {"charset": "us-ascii"}),
        ("text/plain (comment); charset=us-ascii (Plain)", "text/plain", {"charset": "us-ascii"}),
        ('a/b; name="x;y=\\"z\\""', "a/b", {"name": 'x;y="z"'}),
        ("a/b; name=my file.pdf; x=y", "a/b", {"name": "my file.pdf", "x": "y"}),
        ("a/b;;; x=y;", "a/b", {"x": "y"}),
        ('a/b; name="=?utf-8?B?2LPZhNmF2Yk=?="', "a/b", {"name": "سلمى"}),
        ("a/b; name=سلمى.pdf", "a/b", {"name": "سلمى.pdf"}),
        # RFC 2231 section 3 and section 4.
        (
            'message/external-body; access-type=URL; URL*0="ftp://"; URL*1="cs.utk.edu/pub"',
            "message/external-body",
            {"access-type": "URL", "url": "ftp://cs.utk.edu/pub"},
        ),
        (
            "application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
            "application/x-stuff",
            {"title": "This is ***fun***"},
        ),
        (
            "application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20; "
            'title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2="isn\'t it!"',
            "application/x-stuff",
            {"title": "This is even more ***fun*** isn't it!"},
        ),
        ("a/b; name*=windows-1256''%D3%E1%C7%E3", "a/b", {"name": "سلام"}),
        ("a/b; name*1*=b; name*0*=utf-8''%D8", "a/b", {"name": "\ufffdb"}),
    ],
)  # fmt: skip
def test_parsing(value: str, head: str, parameters: dict[str, str]) -> None:
    parsed = parse_parameterised(value)
    assert (parsed.value, dict(parsed.parameters)) == (head, parameters)
    assert parse_parameterised(value.encode()) == parsed
    assert not parsed.defects


def test_cve_2024_39929_a_name_said_in_pieces_is_read_whole() -> None:
    """Exim took the first piece for the name, and let ``.exe`` through."""
    parsed = parse_parameterised("attachment; filename*0*=utf-8''safe.txt; filename*1*=.exe")
    assert parsed.parameters["filename"] == "safe.txt.exe"


@pytest.mark.parametrize(
    "value",
    ["attachment; filename=safe.txt; filename=evil.exe",
     "attachment; filename=safe.txt; filename*=utf-8''evil.exe",
     "attachment; filename*0=a; filename*0=b",
     "attachment; filename*0=a; filename*2=c"],
)  # fmt: skip
def test_two_names_are_one_reading_and_a_defect(value: str) -> None:
    """Attacks I: ambiguous mail is flagged, never silently normalised."""
    parsed = parse_parameterised(value)
    assert parsed.parameters["filename"]
    assert parsed.defects


def test_cve_2026_27859_many_parameters_are_cut() -> None:
    many = parse_parameterised("a/b" + "".join(f"; p{number}=v" for number in range(50_000)))
    assert len(many.parameters) == MAX_PARAMETERS
    assert "too many parameters" in many.defects
    pieces = parse_parameterised("a/b" + "".join(f"; p*{number}=v" for number in range(50_000)))
    assert len(pieces.parameters["p"]) <= MAX_PARAMETERS


def test_endless_values_take_linear_time() -> None:
    for bomb in ('a/b; x="' + '\\"' * 500_000, "a/b" + ";" * 1_000_000, "a/b; " + "=" * 1_000_000,
                 "a/b; x" + " " * 1_000_000, "a/b; " + '"' * 1_000_000, "(" * 1_000_000,
                 "a/b; " + "x " * 500_000):  # fmt: skip
        parse_parameterised(bomb)


@given(st.text(alphabet=" ;=\"\\*'%09afxي\r\n()\t/", max_size=200) | st.text(max_size=100))
def test_no_value_makes_it_raise(value: str) -> None:
    parsed = parse_parameterised(value)
    assert all(isinstance(text, str) for text in parsed.parameters.values())
    parse_parameterised(value.encode("utf-8", "replace"))


PRINTABLE = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=150)


@given(PRINTABLE)
def test_what_was_written_reads_back(value: str) -> None:
    pieces = write_parameter("filename", value)
    assert all(piece.isascii() and len(piece) < 100 for piece in pieces)
    parsed = parse_parameterised("attachment; " + ";\r\n ".join(pieces))
    assert parsed.parameters == {"filename": value}
    assert not parsed.defects


def test_control_characters_are_not_written() -> None:
    with pytest.raises(ValueError, match="control"):
        write_parameter("filename", "a\r\nBcc: x")
