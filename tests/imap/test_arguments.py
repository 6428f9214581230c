"""Sets, dates, flags, fetch items, search keys."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.imap.date_time import date_of, format_date_time, parse_date_time
from zajil.imap.fetch_item import Attribute, BodySection, SectionText, parse_fetch_items
from zajil.imap.flag import parse_flag_list
from zajil.imap.grammar import BadSyntax, Scanner
from zajil.imap.search_parse import parse_search
from zajil.imap.sequence_set import format_set, parse_sequence_set


def read_all(text: bytes, parse: Callable[[Scanner], object]) -> object:
    scanner = Scanner(text)
    parsed = parse(scanner)
    scanner.end()
    return parsed


@pytest.mark.parametrize(
    ("text", "numbers", "want"),
    [
        (b"1:3,7", range(1, 11), [1, 2, 3, 7]),
        (b"*", range(1, 11), [10]),
        (b"9:*", range(1, 11), [9, 10]),
        (b"50:*", range(1, 11), [10]),  # RFC 3501 section 6.4.8: "*" is the larger one or not
        (b"*:2", range(1, 4), [2, 3]),
        (b"3:1,2", range(1, 11), [1, 2, 3]),
        (b"1:4294967295", [5, 900], [5, 900]),
        (b"1:*", [], []),
    ],
)
def test_sets(text: bytes, numbers: range | list[int], want: list[int]) -> None:
    assert parse_sequence_set(Scanner(text)).select(list(numbers)) == want


@pytest.mark.parametrize(
    ("text", "largest", "within"),
    [
        (b"1:3", 3, True),
        (b"1:4", 3, False),
        (b"4:1", 3, False),
        (b"4", 3, False),
        (b"1,4294967295", 3, False),
        (b"4:*", 3, False),
        (b"*", 3, True),
        (b"*:1", 3, True),
        (b"*", 0, False),
        (b"1:*", 0, False),
        (b"1", 0, False),
    ],
)
def test_numbers_that_exist(text: bytes, largest: int, within: bool) -> None:
    """RFC 3501 section 9, seq-number: one above the number of messages is an error."""
    numbers = parse_sequence_set(Scanner(text))
    assert numbers.is_within(largest) is within
    assert numbers.is_within(largest, star_is_all=True) is (
        within or (text, largest) == (b"1:*", 0)
    )


@pytest.mark.parametrize("text", [b"", b"0", b"1:", b":1", b"4294967296", b"a", b",1"])
def test_no_sets(text: bytes) -> None:
    with pytest.raises(BadSyntax):
        read_all(text, parse_sequence_set)


@given(st.lists(st.integers(1, 1 << 31), max_size=30))
def test_a_set_is_written_in_its_order(numbers: list[int]) -> None:
    """RFC 4315 section 3: COPYUID pairs two sets by position."""
    written: list[int] = []
    for item in format_set(numbers).split(b",") if numbers else ():
        first, _, last = item.partition(b":")
        written += range(int(first), int(last or first) + 1)
    assert written == numbers


@given(st.integers(-2_000_000_000, 4_000_000_000))
def test_dates_round_trip(seconds: int) -> None:
    assert parse_date_time(Scanner(format_date_time(seconds * 1000))) == seconds * 1000


def test_date_with_zone() -> None:
    want = parse_date_time(Scanner(b'"17-Jul-1996 09:44:25 +0000"'))
    assert parse_date_time(Scanner(b'"17-Jul-1996 02:44:25 -0700"')) == want
    for bad in (b'"31-Feb-1996 02:44:25 -0700"', b'"1-Foo-1996 02:44:25 -0700"', b"x"):
        with pytest.raises(BadSyntax):
            parse_date_time(Scanner(bad))


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        (b'"31-Dec-9999 23:59:59 +0000"', 253_402_300_799_000),
        (b'"31-Dec-9999 23:59:59 +1200"', 253_402_257_599_000),
        (b'" 1-Jan-0001 00:00:00 +0000"', -62_135_596_800_000),
        (b'"01-Jan-0001 00:00:00 -1200"', -62_135_553_600_000),
        (b'"31-Dec-2016 23:59:60 +0000"', 1_483_228_799_000),  # a leap second
        (b'"29-Feb-2000 00:00:00 -0000"', 951_782_400_000),
    ],
)
def test_dates_at_the_edge(text: bytes, at_ms: int) -> None:
    assert parse_date_time(Scanner(text)) == at_ms
    assert parse_date_time(Scanner(format_date_time(at_ms))) == at_ms


@pytest.mark.parametrize(
    "text",
    [
        b'"31-Dec-9999 23:59:59 -0001"',  # year 10000 in UTC
        b'"31-Dec-9999 12:00:00 -2359"',
        b'"01-Jan-0001 00:00:00 +0001"',  # before year 1 in UTC
        b'"01-Jan-0000 00:00:00 +0000"',
        b'"17-Jul-1996 02:44:25 +9999"',
        b'"17-Jul-1996 02:44:25 -2400"',
        b'"17-Jul-1996 02:44:25 +0060"',
        b'"30-Feb-1996 02:44:25 +0000"',
        b'"29-Feb-1900 02:44:25 +0000"',
        b'" 0-Jul-1996 02:44:25 +0000"',
        b'"17-Jul-1996 24:00:00 +0000"',
        b'"17-Jul-1996 02:60:00 +0000"',
        b'"17-Jul-1996 02:44:61 +0000"',
    ],
)
def test_no_dates(text: bytes) -> None:
    """INTERNALDATE is in UTC: what counts is the year there."""
    with pytest.raises(BadSyntax) as refused:
        parse_date_time(Scanner(text))
    assert refused.value.completion.status == "BAD"


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_every_stored_time_can_be_written(at_ms: int) -> None:
    """A store may hold what an earlier version took."""
    assert parse_date_time(Scanner(format_date_time(at_ms))) is not None
    assert 1 <= date_of(at_ms).year <= 9999


def test_flags() -> None:
    flags = parse_flag_list(Scanner(rb"(\seen \RECENT $Junk NonJunk)"))
    assert flags == {"\\Seen", "$Junk", "NonJunk"}
    assert parse_flag_list(Scanner(rb"(Work \SEEN WORK \Seen work)")) == {"Work", "\\Seen"}
    spellings = b" ".join([b"Aa", b"aA", b"AA", b"aa"] * 30)
    assert parse_flag_list(Scanner(b"(" + spellings + b")")) == {"Aa"}
    for bad in (rb"(\Foo)", b"(a b", b"(a  b)", b"(" + b"x" * 65 + b")", b'("a")'):
        with pytest.raises(BadSyntax):
            parse_flag_list(Scanner(bad))


@pytest.mark.parametrize(
    "text",
    [
        b"(FLAGS UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (DATE FROM)])",
        b"(INTERNALDATE UID RFC822.SIZE FLAGS ENVELOPE BODYSTRUCTURE)",
        b"BODY.PEEK[1.2]<0.1000>",
        b"BODY[1.2.HEADER.FIELDS.NOT (a \"b c\")]",
        b"body[]",
        b"(BODY.PEEK[1.MIME] BODY[TEXT])",
        b"FULL",
        b"RFC822.HEADER",
    ],
)  # fmt: skip
def test_items(text: bytes) -> None:
    assert read_all(text, parse_fetch_items)


@pytest.mark.parametrize(
    "text",
    [
        b"BODY[",
        b"BODY[MIME]",
        b"BODY[0]",
        b"BODY[1.]",
        b"BODY[.1]",
        b"BODY[TEXT.1]",
        b"BODY[]<1>",
        b"BODY[]<1.0>",
        b"BODY[HEADER.FIELDS ()]",
        b"BODY[" + b"1." * 101 + b"1]",
        b"()",
        b"(FLAGS UID",
        b"FOO",
        b"BODY.PEEK",
    ],
)
def test_no_items(text: bytes) -> None:
    with pytest.raises(BadSyntax):
        read_all(text, parse_fetch_items)


def test_the_answer_repeats_the_section() -> None:
    (item,) = parse_fetch_items(Scanner(b'body.peek[1.header.fields (To "X\\"\\\\Y")]<3.4>'))
    assert item == BodySection(
        (1,),
        SectionText.HEADER_FIELDS,
        (b"to", b'x"\\y'),
        (3, 4),
        True,
        b'BODY[1.HEADER.FIELDS (To "X\\"\\\\Y")]<3>',
    )
    assert parse_fetch_items(Scanner(b"(UID UID FLAGS)")) == (Attribute.UID, Attribute.FLAGS)


@pytest.mark.parametrize(
    "text",
    [
        b"(" * 33 + b"ALL" + b")" * 33,
        b"NOT " * 33 + b"ALL",
        b" ".join([b"ALL"] * 1001),
        b"FOO",
        b"FROM",
        b"OR ALL",
        b"SINCE x",
        b"SINCE 31-Feb-2020",
        b"KEYWORD (",
    ],
)
def test_no_search(text: bytes) -> None:
    with pytest.raises(BadSyntax):
        parse_search(Scanner(text))
