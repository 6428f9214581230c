from __future__ import annotations

import pytest

from kit.mail import NOON_MS, make_message, make_sized_message
from zajil.message.parse import parse_message
from zajil.read.shown import show_message


def test_a_letter_reads_back() -> None:
    letter = make_message("سلمى@زاجل.test", subject="تحية", extra=b"X-First: 1\r\n")
    assert letter.startswith(b"X-First: 1\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n")
    view = show_message(letter)
    assert view.subject == "تحية"
    assert view.date_ms == NOON_MS


@pytest.mark.parametrize("size", [400, 401, 500, 5120, 100_000])
def test_sized_letters_have_their_size(size: int) -> None:
    letter = make_sized_message(size)
    assert len(letter) == size
    assert letter.endswith(b"\r\n")
    assert parse_message(letter).type == "text/plain"


def test_a_letter_cannot_be_smaller_than_its_header() -> None:
    with pytest.raises(ValueError, match="at least"):
        make_sized_message(10)
