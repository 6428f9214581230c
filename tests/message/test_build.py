from __future__ import annotations

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.core.address import Address, parse_address
from zajil.message.address_list import parse_address_list
from zajil.message.build import (
    BadValue,
    NewAttachment,
    build_message,
    file_entity,
    multipart_entity,
    text_entity,
    write_address_field,
    write_parameter_field,
    write_raw_field,
    write_text_field,
)
from zajil.message.encoded_word import decode_words
from zajil.message.fields import Field, read_fields, unfold
from zajil.message.params import parse_parameterised
from zajil.message.parse import parse_message

WRITABLE = st.text(st.characters(exclude_characters="\r\n\x00", exclude_categories=["Cs"]))
SALMA = parse_address("سلمى@زاجل.test")
AMAL = parse_address("amal@north.test")


def the_only_field(written: bytes) -> Field:
    assert written.endswith(b"\r\n")
    assert max(map(len, written.split(b"\r\n"))) <= 998
    (field,) = read_fields(written)
    return field


@given(WRITABLE, st.booleans())
def test_a_text_field_reads_back_and_is_one_field(text: str, utf8: bool) -> None:
    """Attacks D: parse(write(x)) == x, and the number of fields is what was written."""
    written = write_text_field("Subject", text, utf8=utf8)
    field = the_only_field(written)
    assert field.name == b"subject"
    assert decode_words(unfold(field.value)) == text
    assert utf8 or written.isascii()


@given(WRITABLE, st.sampled_from([AMAL, parse_address('"a b"@x.test')]), st.booleans())
def test_an_address_field_reads_back_and_is_one_field(
    name: str, address: Address, utf8: bool
) -> None:
    written = write_address_field("To", [(name, address), ("", AMAL)], utf8=utf8)
    listed = parse_address_list(the_only_field(written).value)
    assert [(one.display_name, one.address) for one in listed.people] == [
        (name, address),
        ("", AMAL),
    ]
    assert not listed.defects
    assert utf8 or written.isascii()


@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=200))
def test_a_parameter_field_reads_back_and_is_one_field(name: str) -> None:
    written = write_parameter_field("Content-Disposition", "attachment", [("filename", name)])
    assert parse_parameterised(the_only_field(written).value).parameters.get("filename", "") == name


@pytest.mark.parametrize("bad", ["a\r\nBcc: x", "a\nb", "a\rb", "a\x00b", "\ud800"])
def test_cve_2024_6923_line_ends_in_values_are_refused(bad: str) -> None:
    """CVE-2024-6923, CVE-2026-1299: a value must not begin a field of its own."""
    with pytest.raises(BadValue):
        write_text_field("Subject", bad, utf8=True)
    with pytest.raises(BadValue):
        write_raw_field("Message-ID", bad)
    with pytest.raises(BadValue):
        write_address_field("From", [(bad, AMAL)], utf8=True)
    with pytest.raises(BadValue):
        write_parameter_field("Content-Type", "text/plain", [("name", bad)])
    with pytest.raises(BadValue):
        file_entity(NewAttachment(bad, "text/plain", b""))
    with pytest.raises(BadValue):
        write_text_field(f"X-{bad}", "x", utf8=True)


@pytest.mark.parametrize("kind", ["text", "text/plain; x=y", "text/plain\r\nBcc: x", "", "a/b/c"])
def test_a_content_type_cannot_bring_a_field(kind: str) -> None:
    with pytest.raises(BadValue):
        file_entity(NewAttachment("x", kind, b""))


def test_cve_2025_11468_nothing_is_lost_in_folding() -> None:
    """A long name in parentheses was folded into lines that were no longer a comment."""
    name = "(" + "x" * 70 + " " + "y" * 300 + ")"
    written = write_address_field("From", [(name, AMAL)], utf8=False)
    (one,) = parse_address_list(the_only_field(written).value).people
    assert one.display_name == name


def test_a_word_that_fits_no_line_is_encoded_or_refused() -> None:
    the_only_field(write_text_field("Subject", "x" * 5000, utf8=True))
    with pytest.raises(BadValue):
        write_raw_field("References", "<" + "x" * 1000 + "@a.test>")


def test_utf_8_addresses_need_utf8() -> None:
    """RFC 6531 section 3.2: there is no other way to write them."""
    with pytest.raises(BadValue):
        write_address_field("To", [("", SALMA)], utf8=False)
    written = write_address_field("To", [("سلمى", SALMA)], utf8=True)
    assert written == 'To: "سلمى" <سلمى@زاجل.test>\r\n'.encode()


@pytest.mark.parametrize(
    ("text", "encoding"),
    [("plain\n", "7bit"), ("سلام\n" * 3, "base64"), ("ASCII: س, and more\n", "quoted-printable"),
     ("x" * 2000, "quoted-printable"), ("a\x00b", "quoted-printable")],
)  # fmt: skip
def test_text_is_encoded_as_it_needs(text: str, encoding: str) -> None:
    entity = text_entity(text)
    part = parse_message(entity)
    assert part.encoding == encoding
    assert part.text(entity) == text.replace("\n", "\r\n") + ("" if text.endswith("\n") else "\r\n")
    assert max(map(len, entity.split(b"\r\n"))) <= 998


def test_a_boundary_stands_in_no_part() -> None:
    inside = text_entity("--=_x_0\r\n--=_x_1--\r\n")
    entity = multipart_entity("mixed", [inside, inside], "x")
    root = parse_message(entity)
    assert root.content_type.parameters["boundary"] == "=_x_2"
    assert len(root.children) == 2


def test_the_standard_library_reads_the_same_message() -> None:
    data = build_message(
        [write_text_field("Subject", "تحية", utf8=False)],
        "سلام\n",
        html="<p>سلام</p>",
        attachments=[NewAttachment("صورة.png", "image/png", b"\x89PNG")],
        unique="u",
    )
    other = email.message_from_bytes(data, policy=email.policy.default)
    assert other["subject"] == "تحية"
    assert [part.get_content_type() for part in other.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "image/png",
    ]
    (file,) = other.iter_attachments()
    assert file.get_filename() == "صورة.png"
    assert file.get_content() == b"\x89PNG"
