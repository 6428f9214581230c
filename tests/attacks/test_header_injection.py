"""Attacks D: a value that begins a header field of its own, or reads otherwise than it was written.

Python's own library had each of these; nothing on the way of a mail uses its writer.
"""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.sources import FILES, SRC, tree_of
from zajil.core.address import Address, BadAddress, parse_address
from zajil.mailauth.authres import MethodResult, write_field
from zajil.message.address_list import parse_address_list
from zajil.message.build import (
    BadValue,
    NewAttachment,
    build_message,
    write_address_field,
    write_parameter_field,
    write_raw_field,
    write_text_field,
)
from zajil.message.encoded_word import decode_words
from zajil.message.fields import find_value, read_fields, split_message
from zajil.message.parse import parse_message

AMAL = parse_address("amal@north.test")
LINE_ENDS = ("\r\n", "\n", "\r", "\r\n ", "\n\t", "\x00")


@pytest.mark.parametrize("end", LINE_ENDS)
def test_cve_2024_6923_and_cve_2026_1299_a_line_end_in_a_value(end: str) -> None:
    """``BytesGenerator`` wrote it out, and a field of the writer's choosing began there."""
    evil = f"hello{end}Bcc: victim@south.test"
    for utf8 in (False, True):
        with pytest.raises(BadValue):
            write_text_field("Subject", evil, utf8=utf8)
        with pytest.raises(BadValue):
            write_address_field("To", [(evil, AMAL)], utf8=utf8)
    with pytest.raises(BadValue):
        write_raw_field("Date", evil)
    with pytest.raises(BadValue):
        write_raw_field(f"Date{end}", "x")
    with pytest.raises(BadValue):
        write_parameter_field("Content-Disposition", "attachment", [("filename", evil)])
    with pytest.raises(BadAddress):
        parse_address(f'"a{end}"@north.test')


@pytest.mark.parametrize("text", ["(" + "a " * 60 + ")", "(x)" * 40, "a(b\\)c" * 20, "((()" * 30])
def test_cve_2025_11468_nothing_is_lost_or_added_where_a_comment_is_folded(text: str) -> None:
    written = write_text_field("Comments", text.strip(), utf8=False)
    (field,) = read_fields(written)
    value = find_value([field], b"comments")
    assert value is not None
    assert decode_words(value) == text.strip()


@pytest.mark.parametrize(
    "value",
    [
        b"alice@example.org)bob@evil.example",
        b"<bob@evil.example>alice@example.org",
        b"alice@example.org <bob@evil.example>",
        b"alice@example.org, <bob@evil.example",
        b'"alice@example.org" bob@evil.example',
    ],
)
def test_cve_2023_27043_no_doubtful_address_is_somebodys(value: bytes) -> None:
    """``parseaddr`` gave ``alice``, and the mail was bob's."""
    listed = parse_address_list(value)
    addresses = {str(one.address) for one in listed.people if one.address}
    assert listed.defects or addresses != {"alice@example.org"}


def test_cve_2025_1795_a_comma_that_is_encoded_parts_no_addresses() -> None:
    """The comma of a display name became a separator when the field was folded."""
    name = "Haddad, Amal " + "very " * 30 + "long, and أمل"
    for utf8 in (False, True):
        (field,) = read_fields(write_address_field("To", [(name, AMAL)], utf8=utf8))
        (one,) = parse_address_list(field.value).people
        assert (one.display_name, one.address) == (name, AMAL)


def test_cve_2024_21742_a_name_of_a_file_begins_no_field() -> None:
    """Mime4J wrote what it was given."""
    for end in LINE_ENDS:
        evil = NewAttachment(f"a{end}X-Evil: 1", "text/plain", b"x")
        with pytest.raises(BadValue):
            build_message([], "text", attachments=[evil], unique="u")
        with pytest.raises(BadValue):
            build_message([], "t", attachments=[NewAttachment("a", f"a/b{end}c", b"")], unique="u")


# What people may write; a line end is refused, as above.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\x00"))


@given(TEXT, TEXT, st.booleans(), st.text(max_size=200))
def test_what_is_written_is_what_is_read_and_as_many_fields(
    subject: str, name: str, utf8: bool, body: str
) -> None:
    """parse(write(x)) == x, and the number of fields is unchanged."""
    header = [
        write_address_field("From", [(name, AMAL)], utf8=utf8),
        write_text_field("Subject", subject, utf8=utf8),
    ]
    message = build_message(header, body, unique="u")
    end, _ = split_message(message)
    fields = read_fields(message[:end])
    names = [field.name for field in fields]
    assert names == [
        *(b"from", b"subject", b"mime-version", b"content-type", b"content-transfer-encoding"),
    ]
    assert decode_words(find_value(fields, b"subject") or b"") == subject
    (author,) = parse_address_list(fields[0].value).people
    assert (author.display_name, author.address) == (name, AMAL)
    assert parse_message(message).children == []


@given(st.text(max_size=60), st.text(max_size=60))
def test_what_we_say_of_a_mail_is_one_field(reason: str, domain: str) -> None:
    """Authentication-Results names what a stranger wrote: it must not end there."""
    results = [MethodResult("spf", "fail", (("smtp.mailfrom", domain),), reason)]
    written = write_field("mx.north.test", results)
    assert [field.name for field in read_fields(written)] == [b"authentication-results"]
    assert written.endswith(b"\r\n")


def test_nothing_of_ours_uses_the_writer_of_the_library() -> None:
    """Only the lab writes messages with it, and the library sends what its caller wrote with it."""
    users = set()
    for path in FILES:
        for node in ast.walk(tree_of(path)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if any(name == "email" or name.startswith("email.") for name in names):
                users.add(str(path.relative_to(SRC)))
    assert {name for name in users if not name.startswith("lab/")} <= {"net/simple_smtp.py"}


def test_an_address_is_written_so_that_it_reads_back() -> None:
    for local_part in ('a"b', "a\\b", "a b", "a,b", "a@b", "(a)", ""):
        address = Address(local_part, "north.test")
        (field,) = read_fields(write_address_field("To", [("", address)], utf8=False))
        (one,) = parse_address_list(field.value).people
        assert one.address == address
