from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.message.params import (
    MAX_PARAMETERS,
    parse_leniently,
    parse_parameterised,
    write_parameter,
)


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


@pytest.mark.parametrize(
    ("value", "head", "parameters"),
    [
        # The first semicolon is missing, or something else stands there.
        ('multipart/related boundary="x1"', "multipart/related", {"boundary": "x1"}),
        ("text/html charset=windows-1256", "text/html", {"charset": "windows-1256"}),
        ("text/html, charset=utf-8", "text/html", {"charset": "utf-8"}),
        ("text/html: charset=utf-8", "text/html", {"charset": "utf-8"}),
        ('attachment filename="x y.exe"', "attachment", {"filename": "x y.exe"}),
        ("attachment\tfilename=x.exe", "attachment", {"filename": "x.exe"}),
        *[
            (f"text/html{odd}charset=utf-8", "text/html", {"charset": "utf-8"})
            for odd in (":", "@", "<", ">", "[", "]", "\\", "/", "(", ")", ": ", " : ", "(a)")
        ],
        ("attachment:filename=x.exe", "attachment", {"filename": "x.exe"}),
        ("attachment; :filename=x.exe", "attachment", {"filename": "x.exe"}),
        ('text/html"; charset=utf-8', "text/html", {"charset": "utf-8"}),
        ('"text/html"; charset=utf-8', "text/html", {"charset": "utf-8"}),
        ("charset=utf-8", "", {"charset": "utf-8"}),
        ("; filename=x.exe", "", {"filename": "x.exe"}),
        # White space and comments in any place.
        ("text / html ; charset = utf-8", "text/html", {"charset": "utf-8"}),
        ("(a (b)) text(c)/html(d(e\\)f)); charset=(g)utf-8(h)", "text/html", {"charset": "utf-8"}),
        ("text/html (; charset=utf-8", "text/html", {"charset": "utf-8"}),
        # Further semicolons that are missing.
        ("text/plain; charset=utf-8 format=flowed delsp=yes", "text/plain",
         {"charset": "utf-8", "format": "flowed", "delsp": "yes"}),
        ('text/plain; charset="utf-8" name="a.txt"', "text/plain",
         {"charset": "utf-8", "name": "a.txt"}),
        ("text/plain; charset=utf-8, name=a b.txt, size=5", "text/plain",
         {"charset": "utf-8", "name": "a b.txt", "size": "5"}),
        ("attachment; filename=a b.pdf size=5", "attachment", {"filename": "a b.pdf", "size": "5"}),
        # Quotes that are never closed, or closed too early.
        ('attachment; filename="x.exe; size=5', "attachment", {"filename": "x.exe", "size": "5"}),
        ('attachment; filename="x.exe', "attachment", {"filename": "x.exe"}),
        ('attachment; filename="report".exe', "attachment", {"filename": "report.exe"}),
        ('a/b; name="a\\"b.exe"', "a/b", {"name": 'a"b.exe'}),
        # Names of files: what people read.
        ("attachment; filename=summary (2).pdf", "attachment", {"filename": "summary (2).pdf"}),
        ("attachment; filename=run.exe (a picture)", "attachment", {"filename": "run.exe"}),
        ("attachment; filename==?utf-8?Q?=D8=B3.pdf?=", "attachment", {"filename": "س.pdf"}),
        ('a/b; name="=?utf-8?Q?=D8?="\r\n "=?utf-8?Q?=B3.pdf?="', "a/b", {"name": "س.pdf"}),
        ("attachment; filename*1*=utf-8''%D8%B3; filename*2=.pdf", "attachment",
         {"filename": "س.pdf"}),
        ("attachment; filename*2=.pdf; filename*1=b; filename*0=a", "attachment",
         {"filename": "ab.pdf"}),
        ('a/b; name*0="=?utf-8?B?2LPZ?="; name*1="=?utf-8?B?hA==?=.pdf"', "a/b",
         {"name": "سل.pdf"}),
        ('attachment; filename*="=?utf-8?Q?=D8=B3.pdf?="', "attachment", {"filename": "س.pdf"}),
        ("attachment; filename*=utf-8''=?utf-8?Q?a?=", "attachment",
         {"filename": "=?utf-8?Q?a?="}),
        # Protocol values are no text (RFC 2047 section 5).
        ('a/b; charset="=?utf-8?Q?utf-8?="', "a/b", {"charset": "=?utf-8?Q?utf-8?="}),
        ('multipart/x; boundary="=?utf-8?Q?b?="', "multipart/x", {"boundary": "=?utf-8?Q?b?="}),
        ("multipart/x; boundary=a(b)c", "multipart/x", {"boundary": "a(b)c"}),
    ],
)  # fmt: skip
def test_what_the_grammar_does_not_cover_is_read_on(
    value: str, head: str, parameters: dict[str, str]
) -> None:
    parsed = parse_parameterised(value)
    assert (parsed.value, dict(parsed.parameters)) == (head, parameters)
    assert not parsed.defects


@pytest.mark.parametrize(
    ("value", "readings"),
    [
        ("a(b)c", {b"a(b)c", b"ac"}),
        ("a (b)", {b"a"}),
        ("(a) b", {b"b"}),
        ("a b", {b"a", b"a b"}),
        ("a,b", {b"a,b", b"a"}),
        ('"a\\b"', {b"ab", b"a\\b"}),
        ('"a; charset=utf-8', {b"a", b"a; charset=utf-8"}),
        ('"a"b', {b"a", b"ab"}),
        ('"a"(b)', {b"a", b'"a"(b)'}),
        ('"a', {b"a", b'"a'}),
        ('"a charset=utf-8', {b"a", b"a charset=utf-8"}),
        ('"a b" charset=utf-8', {b"a b"}),
        ("a; boundary=b", {b"a", b"b"}),
        ("'a'", {b"'a'", b"a"}),
        ("''", {b"''"}),
        ("a'b'", {b"a'b'"}),
        ('"=?utf-8?Q?a=2Eb?="', {b"=?utf-8?Q?a=2Eb?=", b"a.b"}),
        ("=?utf-8?B?YQ==?=", {b"=?utf-8?B?YQ==?=", b"a"}),
        ("a; boundary*0=b; boundary*1=c", {b"a", b"bc"}),
        ("=_a=b", {b"=_a=b"}),
        ('" a "', {b" a"}),
        ("\u0633", {"س".encode()}),
        ("é", {"é".encode(), b"\xe9"}),
    ],
)
def test_a_doubtful_boundary_has_all_its_readings(value: str, readings: set[bytes]) -> None:
    assert set(parse_parameterised(f"multipart/mixed; boundary={value}").boundaries) >= readings


_ATOMS = st.text(alphabet="abcXYZ019.-_+%$", min_size=1, max_size=12)
_QUOTED = st.text(alphabet="ab.-_ ();,/'=%س", max_size=12).map(lambda text: f'"{text}"')
_NAMES = st.sampled_from(["charset", "Boundary", "name", "filename", "type", "format", "x-y"])


@given(_ATOMS, _ATOMS, st.lists(st.tuples(_NAMES, _ATOMS | _QUOTED), max_size=4), st.data())
def test_both_paths_agree_on_what_is_well_formed(
    type_: str, subtype: str, pairs: list[tuple[str, str]], data: st.DataObject
) -> None:
    gaps = st.sampled_from(["; ", ";", " ; ", ";\t"])
    text = f"{type_}/{subtype}" + "".join(f"{data.draw(gaps)}{name}={v}" for name, v in pairs)
    assert parse_parameterised(text) == parse_leniently(text)


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
                 "a/b; " + "x " * 500_000, "a/b; x=y" + "(" * 1_000_000,
                 "a/b; name=" + "( )" * 300_000, "a/b; name=" + "x  " * 300_000,
                 "a/b; boundary=" + "(" * 1_000_000,
                 "a/b; boundary=" + "()" * 500_000, 'a/b; name="x"' + "y" * 1_000_000,
                 'a/b; name="x' + "; y" * 300_000, 'a/b; name=""' + ' ""' * 300_000,
                 "a/b; name=" + "a.b(" * 300_000 + ")"):  # fmt: skip
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
