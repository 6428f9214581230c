"""The language of the search field."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.imap.search_key import (
    All,
    And,
    ContentHas,
    HasFiles,
    HasFlag,
    HeaderHas,
    Larger,
    Not,
    Or,
    ReceivedFrom,
    RecipientHas,
    SearchKey,
    Smaller,
)
from zajil.read.search_query import (
    MAX_CONDITIONS,
    MAX_QUERY,
    ConditionKind,
    SearchQuery,
    parse_query,
)

TODAY = date(2026, 11, 29)


def parse(text: str) -> SearchQuery:
    return parse_query(text, TODAY)


def key(text: str) -> SearchKey:
    return parse(text).key(TODAY, "amal@north.test")


def begin(year: int, month: int, day: int, hour: int = 0) -> int:
    """Return when an hour begins in UTC, in ms since 1970."""
    return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp() * 1000)


SEEN = HasFlag("\\Seen")
NOVEMBER = And(
    (
        ReceivedFrom(begin(2026, 11, 1)),
        Not(ReceivedFrom(begin(2026, 12, 1))),
    )
)
KEYS: list[tuple[str, SearchKey]] = [
    ("", All()),
    ("   ", All()),
    ("report", ContentHas("report")),
    ("annual report", And((ContentHas("annual"), ContentHas("report")))),
    ('"annual report"', ContentHas("annual report")),
    ('"annual report', ContentHas("annual report")),
    ("from:noor", HeaderHas(b"from", "noor")),
    ("FROM:noor", HeaderHas(b"from", "noor")),
    ('from:"Noor Saleh"', HeaderHas(b"from", "Noor Saleh")),
    ("to:basim", RecipientHas("basim")),
    ("cc:basim", HeaderHas(b"cc", "basim")),
    ("from:me", HeaderHas(b"from", "amal@north.test")),
    ("subject:invoice", HeaderHas(b"subject", "invoice")),
    ("has:attachment", HasFiles()),
    ("is:unread", Not(SEEN)),
    ("-is:unread", Not(Not(SEEN))),
    ("is:read", SEEN),
    ("is:starred", HasFlag("\\Flagged")),
    ("is:answered", HasFlag("\\Answered")),
    ("label:work", HasFlag("work")),
    ("before:2026-01-01", Not(ReceivedFrom(begin(2026, 1, 1)))),
    ("after:2026/1/2", ReceivedFrom(begin(2026, 1, 2))),
    ("after:7d", ReceivedFrom(begin(2026, 11, 22))),
    ("on:2026-11", NOVEMBER),
    ("larger:5M", Larger(5 << 20)),
    ("smaller:1.5k", Smaller(1536)),
    ("larger:100", Larger(100)),
    ("-report", Not(ContentHas("report"))),
    ("a1 OR b1", Or(ContentHas("a1"), ContentHas("b1"))),
    ("OR a1 OR", ContentHas("a1")),
    ("a1 OR b1 c1", And((Or(ContentHas("a1"), ContentHas("b1")), ContentHas("c1")))),
    ("a1 or b1", And((ContentHas("a1"), ContentHas("or"), ContentHas("b1")))),
    ("in:sent report", ContentHas("report")),
    ("http://x.test/a?b=c", ContentHas("http://x.test/a?b=c")),
    ("10:30", ContentHas("10:30")),
    ("from:", All()),
    ('""', All()),
    ("من:نور", HeaderHas(b"from", "نور")),
    ("إلى:باسم", RecipientHas("باسم")),
    ("الى:باسم", RecipientHas("باسم")),
    ("الموضوع:فاتورة", HeaderHas(b"subject", "فاتورة")),
    ("الموضوع:\"تقرير العام\"", HeaderHas(b"subject", "تقرير العام")),
    ("فيها:مرفق", HasFiles()),
    ("حالة:غير_مقروءة", Not(SEEN)),
    ("قبل:٢٠٢٦-٠١-٠١", Not(ReceivedFrom(begin(2026, 1, 1)))),
    ("أكبر:5م", Larger(5 << 20)),
    ("نور أو سلمى", Or(ContentHas("نور"), ContentHas("سلمى"))),
]  # fmt: skip


@pytest.mark.parametrize(("text", "wanted"), KEYS)
def test_a_query_is_a_search_key(text: str, wanted: SearchKey) -> None:
    assert key(text) == wanted
    assert not parse(text).faults


@pytest.mark.parametrize("text", [text for text, _ in KEYS])
def test_a_query_can_be_written_again(text: str) -> None:
    assert parse(parse(text).source) == parse(text)


@pytest.mark.parametrize(
    "text",
    ["before:soon", "after:2026-13-01", "on:0000-01-01", "larger:big", "is:nice", "has:wings",
     "after:9999-12-31", "after:9999y", "larger:-5"],
)  # fmt: skip
def test_what_has_no_meaning_is_told(text: str) -> None:
    """It is not searched for as a word: nothing would be found, and nobody would know why."""
    query = parse(f"{text} report")
    assert [one.source for one in query.faults] == [text]
    assert query.key(TODAY, "") == ContentHas("report")


def test_mailboxes_are_no_part_of_the_key() -> None:
    query = parse("in:sent in:Work/2026 -in:junk report")
    assert [(one.value, one.negated) for one in query.folders] == [
        ("sent", False),
        ("Work/2026", False),
        ("junk", True),
    ]


def test_a_condition_can_be_removed() -> None:
    query = parse('from:noor has:attachment "two words"')
    assert query.without(1) == 'from:noor "two words"'


def test_terms_to_be_marked() -> None:
    query = parse('from:Noor -secret subject:"Two Words" is:unread in:sent الفاتورة')
    assert query.terms == ("noor", "two words", "الفاتوره")


def test_a_long_query_is_cut_and_says_so() -> None:
    words = " ".join(f"w{number}" for number in range(MAX_CONDITIONS + 1))
    assert parse(words).is_cut
    assert len(parse(words).groups) == MAX_CONDITIONS
    assert parse("a" * (MAX_QUERY + 1)).is_cut
    assert not parse("a" * MAX_QUERY).is_cut


ODD = st.text(
    st.one_of(
        st.sampled_from(':-"|OR أو.0123456789kMd/\\\0\n\u200f\u202e٣ً'),
        st.characters(codec="utf-8"),
    ),
    max_size=60,
)
OPERATORS = st.sampled_from(
    [f"{one.value}:" for one in ConditionKind] + ["من:", "-", "OR ", '"', ""]
)


@given(st.lists(st.tuples(OPERATORS, ODD), max_size=6))
def test_every_text_is_a_query_that_can_be_written_again(pieces: list[tuple[str, str]]) -> None:
    text = " ".join(operator + value for operator, value in pieces)
    query = parse(text)
    query.key(TODAY, "amal@north.test")
    again = parse(query.source)
    assert again.groups == query.groups or query.is_cut or again.is_cut
    for number in range(len(query.groups)):
        left = parse(query.without(number))
        assert left.groups == query.groups[:number] + query.groups[number + 1 :] or left.is_cut


@pytest.mark.parametrize(
    ("text", "hours", "wanted"),
    [
        ("after:2026-01-02", 3, ReceivedFrom(begin(2026, 1, 1, 21))),
        ("before:2026-01-02", -5, Not(ReceivedFrom(begin(2026, 1, 2, 5)))),
        (
            "on:2026-01-02",
            3,
            And((ReceivedFrom(begin(2026, 1, 1, 21)), Not(ReceivedFrom(begin(2026, 1, 2, 21))))),
        ),
        ("after:0001-01-01", 14, ReceivedFrom(begin(1, 1, 1) - 14 * 3_600_000)),
    ],
)
def test_days_begin_and_end_where_the_reader_is(text: str, hours: int, wanted: SearchKey) -> None:
    assert parse(text).key(TODAY, "", timezone(timedelta(hours=hours))) == wanted


@pytest.mark.parametrize(
    ("french", "english"),
    [
        ("de:noor à:basim", "from:noor to:basim"),
        ("objet:facture -avec:pièce_jointe", "subject:facture -has:attachment"),
        ("est:non_lu OU est:suivi", "is:unread OR is:starred"),
        ("après:2026-01-31 avant:2026-02", "after:2026-01-31 before:2026-02"),
        ("supérieur:5M dans:Sent libellé:urgent", "larger:5M in:Sent label:urgent"),
    ],
)
def test_french_operators(french: str, english: str) -> None:
    assert parse(french).source == english
