from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zajil.message.fields import (
    MAX_FIELDS,
    cut_ranges,
    find_field,
    find_fields,
    find_value,
    pick_fields,
    read_fields,
    split_message,
    unfold,
)

HEADER = (
    b"Received: from a\r\n\tby b\r\n"
    b"Subject: one\r\n two\r\n"
    b"no field here\r\n"
    b"subject : again\r\n"
    b"Empty:\r\n"
)


def test_fields_keep_order_duplicates_and_malformed_lines() -> None:
    fields = read_fields(HEADER)
    assert [field.name for field in fields] == [b"received", b"subject", b"", b"subject", b"empty"]
    assert [unfold(field.value) for field in fields] == [
        b"from a\tby b",
        b"one two",
        b"no field here",
        b"again",
        b"",
    ]


def test_fields_are_raw_slices_that_cover_the_header_section() -> None:
    fields = read_fields(HEADER)
    assert b"".join(HEADER[field.start : field.end] for field in fields) == HEADER


def test_find() -> None:
    fields = read_fields(HEADER)
    assert find_value(fields, b"subject") == b"one two"
    assert find_value(fields, b"to") is None
    assert find_field(fields, b"to") is None
    assert len(find_fields(fields, b"subject")) == 2


def test_a_last_field_without_line_end_counts() -> None:
    assert [tuple(field) for field in read_fields(b"a: b")] == [(b"a", b" b", 0, 4)]
    assert [field.name for field in read_fields(b"a:")] == [b"a"]
    assert read_fields(b"") == []


def test_a_lone_lf_ends_a_line_and_a_lone_cr_does_not() -> None:
    assert [field.name for field in read_fields(b"a: 1\nb: 2\rc: 3\n")] == [b"a", b"b"]


def test_split_message() -> None:
    """RFC 5322 section 2.1: the first empty line ends the header section."""
    assert split_message(b"a: b\r\n\r\nbody\r\n\r\n") == (6, 8)
    assert split_message(b"a: b\n\nbody\r\n\r\n") == (5, 6)
    assert split_message(b"a: b\n\r\nbody\n\n") == (5, 7)
    assert split_message(b"\r\nbody") == (0, 2)
    assert split_message(b"\nbody") == (0, 1)
    assert split_message(b"a: b\r\n") == (6, 6)
    assert split_message(b"") == (0, 0)


def test_cut_ranges_leaves_all_other_bytes() -> None:
    fields = read_fields(HEADER)
    cut = [(field.start, field.end) for field in fields if field.name == b"subject"]
    assert cut_ranges(HEADER, cut) == b"Received: from a\r\n\tby b\r\nno field here\r\nEmpty:\r\n"
    assert cut_ranges(HEADER, []) is HEADER


def test_huge_header_is_read_up_to_its_cap() -> None:
    """CVE-2024-23185: a header section of millions of tiny fields."""
    assert len(read_fields(b"a:\n" * 400_000)) == MAX_FIELDS


def test_fields_are_picked_from_a_header_of_many() -> None:
    header = b"".join(b"X-%d: y\r\n" % number for number in range(2 * MAX_FIELDS))
    named = pick_fields(header, {b"x-1", b"x-19999"}, named=True)
    assert named == b"X-1: y\r\nX-19999: y\r\n"
    rest = pick_fields(header, {b"x-1", b"x-19999"}, named=False)
    assert len(rest) + len(named) == len(header)


def test_long_folds_and_lines_take_linear_time() -> None:
    for bomb in (b"\n " * 500_000, b"x" * 1_000_000, b" " * 1_000_000, b":" * 1_000_000):
        assert read_fields(bomb)


PIECES = st.lists(
    st.sampled_from(
        [b"a", b":", b" ", b"\t", b"\r\n", b"\n", b"\r", b"Subject: x", b"\x00", b"\xd8"]
    )
    | st.binary(max_size=8)
).map(b"".join)


@given(PIECES)
def test_any_bytes_give_fields_that_cover_them(header: bytes) -> None:
    fields = read_fields(header)
    assert b"".join(header[field.start : field.end] for field in fields) == header
    for field in fields:
        assert b":" not in field.name
        unfold(field.value)


@given(PIECES)
def test_the_two_halves_of_any_message_make_it_whole(data: bytes) -> None:
    end, start = split_message(data)
    assert end <= start <= len(data)
    assert data[end:start] in (b"", b"\n", b"\r\n")
