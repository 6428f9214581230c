"""Summaries: base subjects, Message-IDs, what connects messages of a thread."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.mail import make_message
from zajil.message.summary import (
    MAX_PEOPLE,
    Summary,
    base_subject,
    faulty_summary,
    summarize,
    thread_keys,
)
from zajil.message.view import MessageView


def summary_of(*lines: bytes) -> Summary:
    return summarize(MessageView.from_bytes(b"\r\n".join(lines)))


@pytest.mark.parametrize(
    ("subject", "base"),
    [
        ("Lunch", "Lunch"),
        ("Re: Lunch", "Lunch"),
        ("RE : Re:\tFW:  Lunch  today (fwd) (FWD) ", "Lunch today"),
        ("[list] Re[2]: [list] Lunch", "Lunch"),
        ("[list]", "[list]"),
        ("[one] [two]", "[two]"),
        ("[Fwd: [list] re: Lunch (fwd)]", "Lunch"),
        ("Re: [fwd: a] b", "b"),
        ("Report: Lunch", "Report: Lunch"),
        ("Re:", ""),
        ("رد: غداء", "رد: غداء"),  # RFC 5256 knows the English marks alone
        ("[a [b] c", "[a [b] c"),
    ],
)
def test_base_subject(subject: str, base: str) -> None:
    """RFC 5256 section 2.1."""
    assert base_subject(subject) == base


@given(st.text(alphabet="re:fwd[]() a", max_size=60))
def test_a_base_subject_is_its_own_base(subject: str) -> None:
    base = base_subject(subject)
    assert base_subject(base) == base
    assert base_subject(f"Re: {subject}") == base


def test_a_long_hostile_subject_is_read_at_once() -> None:
    assert base_subject("[a]" * 5000 + "x") == "x"
    assert base_subject("Re: " * 5000 + "(fwd) " * 5000) == ""


def test_a_summary_has_what_a_list_shows() -> None:
    found = summarize(MessageView.from_bytes(make_message(subject="Re: رسالة", html="<p>x</p>")))
    assert (found.subject, found.base_subject) == ("Re: رسالة", "رسالة")
    assert [one.address for one in (*found.senders, *found.to)] == [
        "amal@north.test",
        "sami@south.test",
    ]
    assert found.preview == "Dear friend, how are you?"
    assert found.message_id == "<letter-1@north.test>"
    assert (found.references, found.has_attachments, found.fault) == ((), False, "")


def test_message_ids_are_found_wherever_they_are() -> None:
    found = summary_of(
        b"Message-ID: bare@x more",
        b"References: junk <a@x>\r\n <b@x><c@x>, <a@x>",
        b"In-Reply-To: <c@x> of Tuesday <d@x>",
        b"",
        b"",
    )
    assert found.message_id == "<bare@x>"
    assert found.references == ("<a@x>", "<b@x>", "<c@x>", "<d@x>")


def test_of_many_references_the_first_and_the_last_are_kept() -> None:
    many = b" ".join(b"<%d@x>" % number for number in range(1000))
    found = summary_of(b"References: " + many, b"To: " + b"a@b, " * 1000 + b"a@b", b"", b"")
    assert found.references[0] == "<0@x>"
    assert found.references[1:] == tuple(f"<{number}@x>" for number in range(981, 1000))
    assert len(found.to) == MAX_PEOPLE


def test_a_thread_needs_a_common_id_and_the_same_subject() -> None:
    """RFC 8621 section 3."""
    first = summary_of(b"Message-ID: <1@x>", b"Subject: Lunch", b"", b"")
    answer = summary_of(
        b"Message-ID: <2@x>", b"In-Reply-To: <1@x>", b"Subject: RE: lunch", b"", b""
    )
    other = summary_of(b"Message-ID: <3@x>", b"In-Reply-To: <1@x>", b"Subject: Dinner", b"", b"")
    assert set(thread_keys(first)) < set(thread_keys(answer))
    assert not set(thread_keys(first)) & set(thread_keys(other))
    assert not thread_keys(faulty_summary("x"))
    assert all(-(2**63) <= key < 2**63 for key in thread_keys(answer))
