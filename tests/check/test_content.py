from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.facts import make_facts
from kit.mail import make_message
from zajil.check.content.structure import check_format, has_long_line
from zajil.check.verdict.verdict import Action
from zajil.config.options import LimitOptions


def signals(message: bytes, *, smtputf8: bool = False) -> list[str]:
    return [reason.signal for reason in check_format(make_facts(message, smtputf8=smtputf8))]


def test_an_ordinary_letter_has_nothing_against_it() -> None:
    assert signals(make_message()) == []
    assert signals(make_message("سلمى@زاجل.test", subject="تحية"), smtputf8=True) == []


@pytest.mark.parametrize(
    ("message", "signal"),
    [
        (b"Date: x\r\n\r\n", "format.no-from"),
        (b"From: a@b.test\r\n\r\n", "format.no-date"),
        (make_message(extra=b"From: b@c.test\r\n"), "format.repeated-from"),
        (make_message(extra=b"Subject: another\r\n"), "format.repeated-field"),
        (make_message(extra=b"no field\r\n"), "format.bad-line"),
        (make_message(extra="X: سلام\r\n".encode()), "format.8bit-header"),
        (b"Date: x\r\nFrom: nobody\r\n\r\n", "format.bad-from"),
        (b"Date: x\r\nFrom: a@b.test <c@d.test>\r\n\r\n", "format.bad-from"),
        (b"Date: x\r\nFrom:\r\n\r\n", "format.bad-from"),
        (make_message(text="").rstrip() + b"\r\n\r\n" + b"x" * 999 + b"\r\n", "format.long-line"),
    ],
)  # fmt: skip
def test_a_defect_is_a_signal_and_no_reason_to_refuse(message: bytes, signal: str) -> None:
    found = {reason.signal: reason for reason in check_format(make_facts(message))}
    assert found[signal].demands is None


def test_two_authors_are_junk_by_themselves() -> None:
    """Attacks I: a filter looks at one From, the reader sees the other."""
    (found,) = check_format(make_facts(make_message(extra=b"From: b@c.test\r\n")))
    assert found.weight >= 5.0


def test_too_many_received_fields_are_a_loop() -> None:
    """RFC 5321 section 6.3."""
    limits = LimitOptions(received_fields=3)
    for count, looped in ((3, False), (4, True)):
        facts = make_facts(make_message(extra=b"Received: from x\r\n" * count), limits=limits)
        assert [reason.demands for reason in check_format(facts)] == [Action.REJECT] * looped


def test_a_huge_header_section_is_refused() -> None:
    """CVE-2024-23185."""
    for bomb in (b"X: " + b"x" * 300_000 + b"\r\n", b"a:\r\n" * 20_000):
        reasons = check_format(make_facts(make_message(extra=bomb)))
        assert Action.REJECT in [reason.demands for reason in reasons]


@pytest.mark.parametrize(("size", "is_long"), [(998, False), (999, True), (5000, True)])
def test_long_lines(size: int, is_long: bool) -> None:
    """RFC 5322 section 2.1.1."""
    line = b"x" * size + b"\r\n"
    assert has_long_line(b"short\r\n" + line + b"short\r\n") is is_long
    assert has_long_line(line) is is_long
    assert not has_long_line(b"")


@given(st.lists(st.integers(0, 1100), max_size=12))
def test_long_lines_are_found_wherever_they_stand(sizes: list[int]) -> None:
    body = b"".join(b"x" * size + b"\r\n" for size in sizes)
    assert has_long_line(body) == any(size > 998 for size in sizes)


@given(st.binary(max_size=300))
def test_any_bytes_can_be_checked(message: bytes) -> None:
    check_format(make_facts(message))
