"""ENVELOPE, BODYSTRUCTURE and sections: one grammar, whatever the message."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.imap.body_section import find_part, find_section
from zajil.imap.body_structure import body_structure
from zajil.imap.envelope import envelope
from zajil.imap.fetch_item import BodySection, SectionText
from zajil.message.parse import parse_message

LINES = st.lists(
    st.sampled_from(
        [
            b"Content-Type: multipart/mixed; boundary=b",
            b"Content-Type: multipart/digest; boundary=c",
            b"Content-Type: multipart/mixed",
            b"Content-Type: message/rfc822",
            b"Content-Type: message/global",
            b"Content-Type: text/html; charset=\"\xd8\xb1\"",
            b"Content-Type: image/png; name=\"a\\\"b\"",
            b"Content-Disposition: attachment; filename*=utf-8''%0d%0aX",
            b"Content-Transfer-Encoding: base64",
            b"Content-ID: <x\x00y>",
            b"From: Group: a@b, \"c) d\" <e@f>;, x",
            b"To: =?utf-8?B?2LE=?= <\"q\\\"\"@h>",
            b"Subject: a\"b\\c {5}\r\n d",
            b"Subject: \xd8\xb1\xff",
            b"",
            b"--b",
            b"--c",
            b"--b--",
            b"text",
        ]
    ),
    max_size=24,
).map(b"\r\n".join)  # fmt: skip

_TOKEN = re.compile(rb'\{([0-9]+)\}\r\n|"(?:[^"\\\r\n\x80-\xff\x00]|\\["\\])*"|NIL|[0-9]+|[() ]')


def well_formed(written: bytes) -> bool:
    """Read it as a client would: strings, literals, numbers, balanced parentheses."""
    depth = position = 0
    while position < len(written):
        token = _TOKEN.match(written, position)
        if token is None:
            return False
        position = token.end()
        if token[1] is not None:
            if b"\x00" in written[position : position + int(token[1])]:
                return False
            position += int(token[1])
        depth += {b"(": 1, b")": -1}.get(token[0], 0)
        if depth < 0:
            return False
    return depth == 0 and position == len(written)


@given(LINES)
def test_any_message_is_described_in_the_grammar(message: bytes) -> None:
    """What stands in a mail cannot write a response of its own."""
    part = parse_message(message)
    assert well_formed(envelope(part)), envelope(part)
    for extended in (False, True):
        written = body_structure(part, message, extended=extended)
        assert well_formed(written), written


@given(LINES, st.lists(st.integers(1, 3), max_size=4), st.sampled_from(list(SectionText)))
def test_any_section_lies_in_the_message(
    message: bytes, path: list[int], text: SectionText
) -> None:
    part = parse_message(message)
    section = BodySection(tuple(path), text, (b"subject",), None, True, b"")
    spans = find_section(part, section, len(message))
    for span in spans or ():
        assert 0 <= span.start <= span.end <= len(message)
    if find_part(part, tuple(path)) is None:
        assert spans is None


def test_a_message_without_parts_has_its_body_as_part_1() -> None:
    message = b"Subject: x\r\n\r\nbody\r\n"
    part = parse_message(message)
    assert find_part(part, (1,)) is part
    assert find_part(part, (2,)) is None
    assert find_part(part, (1, 1)) is None


@pytest.mark.parametrize("enclosed", [b"no field", b"Subject: x", b"Subject: x\r\n b", b""])
def test_a_boundary_within_a_header_section_ends_the_enclosed_message(enclosed: bytes) -> None:
    """The line end before the boundary is not of the message (RFC 2046 section 5.1.1)."""
    message = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n"
        b"\r\n%b\r\n--b--\r\n" % enclosed
    )
    part = parse_message(message)

    def read(text: SectionText) -> bytes:
        section = BodySection((1,), text, (b"subject",), None, True, b"")
        spans = find_section(part, section, len(message))
        assert spans is not None
        return b"".join(message[one.start : one.end] for one in spans)

    assert read(SectionText.WHOLE) == enclosed
    assert read(SectionText.HEADER) + read(SectionText.TEXT) == enclosed
    assert read(SectionText.HEADER_FIELDS) + read(SectionText.HEADER_FIELDS_NOT) == enclosed


def test_an_address_without_domain_does_not_begin_a_group() -> None:
    part = parse_message(b"From: root\r\nTo: friends: a@b.test;\r\n\r\n")
    assert b'((NIL NIL "root" ""))' in envelope(part)
    assert b'((NIL NIL "friends" NIL)(NIL NIL "a" "b.test")(NIL NIL NIL NIL))' in envelope(part)


def test_a_source_route_is_the_at_domain_list() -> None:
    """RFC 3501 section 7.4.2; RFC 5322 section 4.4."""
    root = parse_message(
        b"From: Joe <@one.test:joe@there.test>\r\nTo: <@one.test , @two.test : amal@north.test>\r\n"
        b"Cc: Crew: <@one.test:rene@east.test>;\r\n\r\n"
    )
    written = envelope(root)
    assert b'("Joe" "@one.test" "joe" "there.test")' in written
    assert b'((NIL "@one.test,@two.test" "amal" "north.test"))' in written
    assert b'(NIL "@one.test" "rene" "east.test")' in written


def test_languages_are_a_list_of_tags() -> None:
    """RFC 3501 section 9, body-fld-lang."""

    def written(field: bytes) -> bytes:
        message = b"Content-Language:" + field + b"\r\n\r\n"
        return body_structure(parse_message(message), message, extended=True)

    assert written(b" en").endswith(b' NIL NIL ("en") NIL)')
    assert written(b" en, fr ,,de").endswith(b' NIL NIL ("en" "fr" "de") NIL)')
    assert written(b" ,").endswith(b" NIL NIL NIL NIL)")
    assert written(b" en (British), (x) fr").endswith(b' NIL NIL ("en" "fr") NIL)')
    assert written(b" (x)").endswith(b" NIL NIL NIL NIL)")
