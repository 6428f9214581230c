"""What APPEND makes of line ends."""

from __future__ import annotations

import pytest

from zajil.read.imap.line_ends import LineEnds


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (b"a: b\r\n\r\nc\r\n", b"a: b\r\n\r\nc\r\n"),
        (b"a: b\n\nc\n", b"a: b\r\n\r\nc\r\n"),
        (b"a: b\r\rc\r", b"a: b\r\n\r\nc\r\n"),
        # CRLF, converted twice: still one line end.
        (b"a: b\r\r\n\r\r\nc\r\r\n", b"a: b\r\n\r\nc\r\n"),
        (b"a\r\r\r\nb\r\r\r", b"a\r\n\r\nb\r\n\r\n\r\n"),
        (b"\n\r", b"\r\n\r\n"),
    ],
)
def test_every_line_end_is_crlf_however_the_message_is_cut(sent: bytes, kept: bytes) -> None:
    for step in range(1, len(sent) + 1):
        ends = LineEnds()
        pieces = [ends.clean(sent[at : at + step]) for at in range(0, len(sent), step)]
        assert b"".join(pieces) + ends.end() == kept
