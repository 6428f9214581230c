from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.mail import NOON_MS, make_message
from zajil.accept.complete import Completed, complete_header, foreign_authors
from zajil.core.address import Address, parse_address
from zajil.message.fields import find_fields, find_value, read_fields, split_message

AMAL = parse_address("amal@north.test")
SALMA = parse_address("سلمى@زاجل.test")


def complete(header: bytes, author: Address = AMAL) -> Completed:
    return complete_header(
        header,
        read_fields(header),
        author=author,
        now_ms=NOON_MS,
        message_id="<new@north.test>",
    )


def foreign(header: bytes) -> list[str]:
    return foreign_authors(
        read_fields(header), lambda address: address.key in (AMAL.key, SALMA.key)
    )


def test_a_complete_letter_is_not_touched() -> None:
    letter = make_message()
    header = letter[: split_message(letter)[0]]
    assert complete(header) == Completed(header, ())


def test_what_is_missing_is_added() -> None:
    """RFC 6409 section 8.2 and section 8.3."""
    done = complete(b"Subject: x\r\n")
    assert done.header == (
        b"From: amal@north.test\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n"
        b"Message-ID: <new@north.test>\r\nSubject: x\r\n"
    )
    assert done.changes == ("added From", "added Date", "added Message-ID")


def test_an_ascii_author_in_an_idn_domain_adds_no_utf_8() -> None:
    author = parse_address("amal@زاجل.test")
    assert complete(b"", author).header.startswith(f"From: {author}\r\n".encode("ascii"))
    assert "From: سلمى@زاجل.test\r\n".encode() in complete(b"", SALMA).header


def test_bcc_goes_and_every_other_byte_stays() -> None:
    """RFC 5322 section 3.6.3: nobody learns who else was written to."""
    before = (
        b"From: a@b.test\r\nDate: x\r\nBcc: one@x.test,\r\n two@x.test\r\nMessage-ID: <1@x>\r\n"
    )
    done = complete(before + b"bcc: three@x.test\r\nX-Odd :  kept \r\nReturn-Path: <z@x>\r\n")
    assert done.header == b"From: a@b.test\r\nDate: x\r\nMessage-ID: <1@x>\r\nX-Odd :  kept \r\n"
    assert done.changes == ("removed Bcc", "removed Return-Path")


FIELDS = st.lists(
    st.sampled_from(
        [
            b"From: a@b.test\r\n",
            b"Date: x\r\n",
            b"Bcc: hidden@x.test\r\n",
            b"garbage\r\n",
            b"X: y\r\n z\r\n",
            b"Message-ID: <1@x>\r\n",
            b"Bcc:\r\n\thidden@x.test\r\n",
        ]
    )
).map(b"".join)


@given(FIELDS, st.sampled_from([b"", b"last: no line end"]))
def test_no_header_section_keeps_a_bcc_or_lacks_a_field(header: bytes, last: bytes) -> None:
    done = complete(header + last).header
    fields = read_fields(done)
    assert b"hidden" not in done
    assert find_fields(fields, b"from")
    assert find_fields(fields, b"date")
    assert find_value(fields, b"message-id")


@pytest.mark.parametrize(
    "header",
    [
        b"From: amal@north.test\r\n",
        b"From: Amal <AMAL@North.test>\r\n",
        "From: سلمى@زاجل.test\r\nSender: amal@north.test\r\n".encode(),
        b"Subject: no author\r\n",
        b"Reply-To: anyone@else.test\r\nFrom: amal@north.test\r\n",
    ],
)
def test_own_addresses_may_stand_in_from_and_sender(header: bytes) -> None:
    assert foreign(header) == []


@pytest.mark.parametrize(
    "header",
    [
        b"From: other@north.test\r\n",
        b"From: amal@north.test, other@north.test\r\n",
        b"From: amal@north.test\r\nFrom: other@north.test\r\n",
        b"From: amal@north.test\r\nSender: other@north.test\r\n",
        b"From: group: amal@north.test, other@north.test;\r\n",
        b"from : other@north.test\r\n",
        b"From:\r\n other@north.test\r\n",
        b"From: nobody\r\n",
        b"From: \r\n",
        b"From: amal@north.test <other@north.test>\r\n",
        b"From: other@north.test <amal@north.test>\r\n",
        b"From: amal@north.test\r\nResent-From: other@north.test\r\n",
        b"From: other@north.test (amal@north.test)\r\n",
        "From: سلمي@زاجل.test\r\n".encode(),
        b"From: amal@north.test\r\nFrom\x01: other@north.test\r\n",
        b"\x0bFrom: other@north.test\r\nFrom: amal@north.test\r\n",
        b"From: amal@north.test\r\nSender\r\n : other@north.test\r\n",
    ],
)
def test_everything_else_is_foreign(header: bytes) -> None:
    """Every From and Sender is looked at; what cannot be parsed counts as foreign."""
    assert foreign(header)


@given(st.binary(max_size=200))
def test_no_header_section_makes_it_raise(header: bytes) -> None:
    foreign(header)
    complete(header)
