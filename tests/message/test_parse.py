from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zajil.message.build import NewAttachment, build_message
from zajil.message.parse import MAX_DEPTH, MAX_PARTS, parse_message

NESTED = (
    b"Subject: outer\r\n"
    b"Content-Type: multipart/mixed; boundary=out\r\n"
    b"\r\n"
    b"preamble\r\n"
    b"--out\r\n"
    b"\r\n"
    b"no header at all\r\n"
    b"--out  \r\n"
    b"Content-Type: multipart/alternative; boundary=\"in\"\r\n"
    b"\r\n"
    b"--in\r\n"
    b"Content-Type: text/plain; charset=windows-1256\r\n"
    b"\r\n"
    b"\xd3\xe1\xc7\xe3\r\n"
    b"--in\r\n"
    b"Content-Type: text/html\r\n"
    b"Content-Transfer-Encoding: base64\r\n"
    b"\r\n"
    b"PGI+\r\n"
    b"--in--\r\n"
    b"epilogue\r\n"
    b"--out\r\n"
    b"Content-Type: message/rfc822\r\n"
    b"\r\n"
    b"Subject: inner\r\n"
    b"\r\n"
    b"inner body\r\n"
    b"--out--\r\n"
    b"after\r\n"
)  # fmt: skip


def shape(data: bytes) -> list[tuple[str, str, bytes]]:
    return [(number, part.type, part.body(data)) for number, part in parse_message(data).walk()]


def test_the_tree_of_a_nested_message() -> None:
    """The line end before a boundary belongs to the boundary (RFC 2046 section 5.1.1)."""
    found = shape(NESTED)
    assert [(number, kind) for number, kind, _ in found] == [
        ("", "multipart/mixed"),
        ("1", "text/plain"),
        ("2", "multipart/alternative"),
        ("2.1", "text/plain"),
        ("2.2", "text/html"),
        ("3", "message/rfc822"),
        ("3.1", "text/plain"),
    ]
    bodies = {number: body for number, _, body in found}
    assert bodies["1"] == b"no header at all"
    assert bodies["2.1"] == b"\xd3\xe1\xc7\xe3"
    assert bodies["3"] == b"Subject: inner\r\n\r\ninner body"
    assert bodies["3.1"] == b"inner body"


def test_lf_alone_ends_lines_too() -> None:
    unix = NESTED.replace(b"\r\n", b"\n")
    assert [(n, t) for n, t, _ in shape(unix)] == [(n, t) for n, t, _ in shape(NESTED)]
    assert dict((n, b) for n, _, b in shape(unix))["3.1"] == b"inner body"


def test_a_built_message_parses_to_what_was_built() -> None:
    attachment = NewAttachment("ملف.pdf", "application/pdf", b"\x00\x01" * 500)
    data = build_message(
        [b"Subject: x\r\n"], "سلام\n", html="<p>سلام", attachments=[attachment], unique="a"
    )
    root = parse_message(data)
    assert [number for number, _ in root.walk()] == ["", "1", "1.1", "1.2", "2"]
    plain, html, file = root.find("1.1"), root.find("1.2"), root.find("2")
    assert plain
    assert html
    assert file
    assert plain.text(data) == "سلام\r\n"
    assert html.text(data) == "<p>سلام\r\n"
    assert (file.filename, file.content(data)) == ("ملف.pdf", attachment.data)
    assert not any(part.defects for _, part in root.walk())


def test_digest_parts_are_messages() -> None:
    """RFC 2046 section 5.1.5."""
    data = (
        b"Content-Type: multipart/digest; boundary=b\r\n\r\n"
        b"--b\r\n\r\nSubject: one\r\n\r\nx\r\n--b--\r\n"
    )
    assert [kind for _, kind, _ in shape(data)] == [
        "multipart/digest",
        "message/rfc822",
        "text/plain",
    ]


def test_a_boundary_inside_a_header_section_ends_it() -> None:
    data = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\nContent-Type: text/html\r\n--b\r\n\r\nsecond\r\n--b--\r\n"
    )
    assert [(kind, body) for _, kind, body in shape(data)][1:] == [
        ("text/html", b""),
        ("text/plain", b"second"),
    ]


def test_an_outer_boundary_ends_inner_parts() -> None:
    data = (
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n"
        b"--a\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nlost end\r\n"
        b"--a\r\n\r\nnext\r\n--a--\r\n"
    )
    root = parse_message(data)
    assert [number for number, _ in root.walk()] == ["", "1", "1.1", "2"]
    inner = root.find("1")
    assert inner
    assert inner.defects == ["no closing boundary"]


@pytest.mark.parametrize(
    "head",
    [b"Content-Type: multipart/mixed\r\n", b"Content-Type: multipart/mixed; boundary=\"\"\r\n",
     b"Content-Type: multipart/mixed; boundary=never\r\n", b"Content-Type: nonsense\r\n", b""],
)  # fmt: skip
def test_a_multipart_without_parts_is_one_body(head: bytes) -> None:
    data = head + b"\r\nbody\r\n"
    assert [(number, body) for number, _, body in shape(data)] == [("1", b"body\r\n")]


def test_the_first_of_repeated_content_fields_counts_and_is_flagged() -> None:
    """Attacks I: ambiguous mail is flagged, never silently normalised."""
    root = parse_message(b"Content-Type: text/plain\r\nContent-Type: text/html\r\n\r\nx")
    assert root.type == "text/plain"
    assert root.defects == ["repeated content-type"]


@pytest.mark.parametrize(
    ("content_type", "delimiter"),
    [
        ('multipart/mixed boundary="one"', "one"),
        ("multipart/mixed boundary=one", "one"),
        ("multipart; boundary=one", "one"),
        ("; boundary=one", "one"),
        ("multipart/mixed; boundary=a(1)b", "a(1)b"),
        ("multipart/mixed; boundary=a(1)b", "ab"),
        ("multipart/mixed; boundary=one (1)", "one"),
        ('multipart/mixed; boundary="=?us-ascii?Q?one?="', "=?us-ascii?Q?one?="),
        ('multipart/mixed; boundary="one; charset=utf-8', "one"),
        ("multipart/mixed; boundary=one; boundary=two", "two"),
        ("multipart/mixed; boundary=a b", "a b"),
        ("multipart/mixed; boundary=a b", "a"),
        ("multipart/mixed; boundary*0=o; boundary*1=ne", "one"),
        ("multipart/mixed; boundary='one'", "'one'"),
        ("multipart/mixed; boundary='one'", "one"),
        ("multipart/mixed; boundary=\xe9", "\xe9"),
    ],
)
def test_parts_are_found_however_the_boundary_is_said(content_type: str, delimiter: str) -> None:
    """What one program shows as a part is no part for a filter that reads the field otherwise."""
    data = (
        f"Content-Type: {content_type}\r\n\r\n"
        f"--{delimiter}\r\n\r\ntext\r\n"
        f"--{delimiter}\r\nContent-Type: application name=run.exe\r\n\r\nMZ\r\n--{delimiter}--\r\n"
    ).encode("latin-1")
    root = parse_message(data)
    assert [(number, part.type, part.filename) for number, part in root.walk()][1:] == [
        ("1", "text/plain", None),
        ("2", "application/octet-stream", "run.exe"),
    ]
    assert "no closing boundary" not in root.defects


def test_two_readings_of_a_boundary_in_one_body_are_flagged() -> None:
    """Attacks I: a part for one program is text for the other; one reading alone is no defect."""
    head = b"Content-Type: multipart/mixed; boundary=a(1)b\r\n\r\n--a(1)b\r\n\r\nx\r\n"
    both = parse_message(head + b"--ab\r\nContent-Type: a/b\r\n\r\ny\r\n--a(1)b--\r\n")
    assert [part.type for part in both.children] == ["text/plain", "a/b"]
    assert "duplicate parameter boundary" in both.defects
    assert not parse_message(head + b"--a(1)b--\r\n").defects


def test_cve_2020_12100_parts_are_capped() -> None:
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    root = parse_message(head + b"--b\r\n\r\nx\r\n" * 50_000)
    assert len(list(root.walk())) == MAX_PARTS
    assert "too many parts" in root.defects


def test_cve_2026_26312_depth_is_capped() -> None:
    for bomb in (
        b"Content-Type: message/rfc822\r\n\r\n" * 20_000,
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" * 20_000,
    ):
        parts = list(parse_message(bomb).walk())
        assert len(parts) <= MAX_PARTS
        assert max(number.count(".") for number, _ in parts) <= MAX_DEPTH
        assert any("too deep" in part.defects for _, part in parts)


def test_hostile_megabytes_take_linear_time() -> None:
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    for bomb in (b"--x\r\n" * 200_000, b"--" * 500_000, b"--b\r\na: b\r\n" * 90_000,
                 b"\r\n" * 500_000, b"--b--\r\n" * 140_000, b"--b" + b" " * 1_000_000,
                 b"--b\r\nContent-Type: message/rfc822\r\n\r\n" * 20_000):  # fmt: skip
        parse_message(head + bomb)


LINES = st.lists(
    st.sampled_from(
        [b"--a\r\n", b"--b\r\n", b"--a--\r\n", b"--b--\r\n", b"\r\n", b"text\r\n", b"--a", b"\n",
         b"Content-Type: multipart/mixed; boundary=a\r\n", b"Content-Type: text/html\r\n",
         b"Content-Type: multipart/digest; boundary=b\r\n", b"Content-Type: message/rfc822\r\n",
         b"Content-Transfer-Encoding: base64\r\n", b"\t", b"--", b"\r"]
    ) | st.binary(max_size=20)
).map(b"".join)  # fmt: skip


@given(LINES)
@settings(max_examples=300)
def test_any_bytes_give_a_tree_inside_them(data: bytes) -> None:
    root = parse_message(data)
    assert root.body_end == len(data)
    for _, part in root.walk():
        assert 0 <= part.start <= part.header_end <= part.body_start <= part.body_end <= len(data)
        for child in part.children:
            assert part.body_start <= child.start
            assert child.body_end <= max(part.body_end, child.body_start)
        part.text(data)
        part.line_count(data)
        assert part.filename is None or part.filename
