from __future__ import annotations

import pytest

from zajil.message.parse import parse_message
from zajil.message.part import parse_content_type

DATA = (
    b"Content-Type: text/plain; name=from-type.txt\r\n"
    b"Content-Disposition: attachment; filename=\"../../etc/passwd\"\r\n"
    b"Content-Transfer-Encoding: Quoted-Printable\r\n\r\n"
    b"=D8=B3\r\nline two"
)  # fmt: skip


def test_a_part_decodes_its_own_content() -> None:
    part = parse_message(DATA)
    assert part.encoding == "quoted-printable"
    assert part.text(DATA) == "س\r\nline two"
    assert part.body(DATA) == b"=D8=B3\r\nline two"
    assert part.value(b"content-disposition") == b'attachment; filename="../../etc/passwd"'


def test_the_name_of_the_disposition_comes_first() -> None:
    """RFC 2183 section 2.3; what a name may do to a file system is the reader's worry."""
    assert parse_message(DATA).filename == "../../etc/passwd"
    assert parse_message(b"Content-Type: a/b; name=x\r\n\r\n").filename == "x"
    assert parse_message(b"\r\n").filename is None


def test_an_open_last_line_is_not_counted() -> None:
    """As Dovecot and Cyrus count; the line end before a boundary belongs to the boundary."""
    assert parse_message(DATA).line_count(DATA) == 1
    assert parse_message(b"\r\na\r\nb\r\n").line_count(b"\r\na\r\nb\r\n") == 2
    assert parse_message(b"a: b\r\n\r\n").line_count(b"a: b\r\n\r\n") == 0


def test_find_gives_parts_by_number() -> None:
    part = parse_message(DATA)
    assert part.find("") is part
    assert part.find("1") is part
    assert part.find("2") is None
    assert part.find("x") is None


@pytest.mark.parametrize(
    ("value", "encoding"),
    [("base64 ", "base64"), ("BASE64;", "base64"), ("base-64", "base64"), ('"base64"', "base64"),
     ("8 bit", "8bit"), ("8-bit (x)", "8bit"), ("(a (b)) 7BIT", "7bit"),
     ("quoted-printable (comment)", "quoted-printable"), ("quoted_printable", "quoted-printable"),
     ("quoted printable", "quoted-printable"), ("quoted-printable charset=x", "quoted-printable"),
     ("base64\r\n\t", "base64"), ("x-base64", "x-base64"), ("", ""), ("=?utf-8?Q?base64?=", "")],
)  # fmt: skip
def test_the_transfer_encoding_is_read_as_other_programs_read_it(value: str, encoding: str) -> None:
    data = f"Content-Transfer-Encoding: {value}\r\n\r\nYQ==".encode()
    assert parse_message(data).encoding == encoding


@pytest.mark.parametrize(
    ("value", "type_", "filename"),
    [("application; name=data.gz", "application/octet-stream", "data.gz"),
     ("application name=data.gz", "application/octet-stream", "data.gz"),
     ("x; name=data.gz", "application/octet-stream", "data.gz"),
     ("text; name=a.txt", "text/plain", "a.txt"),
     ("charset=utf-8", "text/plain", None),
     ("text/; charset=utf-8", "text/plain", None),
     ("text/ charset=utf-8", "text/plain", None),
     ("multipart", "multipart/mixed", None),
     ("nonsense", "text/plain", None)],
)  # fmt: skip
def test_a_type_that_is_none_is_what_its_parameters_say(
    value: str, type_: str, filename: str | None
) -> None:
    """RFC 2045 section 5.2."""
    part = parse_message(f"Content-Type: {value}\r\n\r\n".encode())
    assert (part.type, part.filename) == (type_, filename)
    assert parse_content_type(value.encode()).value in (type_, "")
