from __future__ import annotations

from zajil.message.parse import parse_message

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


def test_lines_are_counted_with_an_open_last_one() -> None:
    assert parse_message(DATA).line_count(DATA) == 2
    assert parse_message(b"\r\na\r\nb\r\n").line_count(b"\r\na\r\nb\r\n") == 2
    assert parse_message(b"a: b\r\n\r\n").line_count(b"a: b\r\n\r\n") == 0


def test_find_gives_parts_by_number() -> None:
    part = parse_message(DATA)
    assert part.find("") is part
    assert part.find("1") is part
    assert part.find("2") is None
    assert part.find("x") is None
