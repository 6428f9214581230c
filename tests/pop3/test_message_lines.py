"""A message as lines: dots, line ends, TOP; and any cut gives the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.pop3.message_lines import MessageLines


def send(pieces: list[bytes], body_lines: int | None = None) -> bytes:
    lines = MessageLines(body_lines)
    return b"".join([*map(lines.add, pieces), lines.end()])


def unstuff(data: bytes) -> bytes:
    return b"".join(line.removeprefix(b".") for line in data.splitlines(keepends=True))


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        (b"", b""),
        (b"a", b"a\r\n"),
        (b".", b"..\r\n"),
        (b".\r\n.\r\n", b"..\r\n..\r\n"),
        (b"a\r\n.b\r\n..", b"a\r\n..b\r\n...\r\n"),
        (b"a\r", b"a\r\n"),
        (b"a\n.\nb\r.\r\n", b"a\r\n..\r\nb\r\n..\r\n"),
        (b"\r\r\n\n", b"\r\n\r\n\r\n"),
    ],
)
def test_every_line_ends_and_no_dot_stands_alone(message: bytes, sent: bytes) -> None:
    assert send([message]) == sent


@pytest.mark.parametrize(
    ("message", "count", "sent"),
    [
        (b"A: b\r\n\r\n1\r\n2\r\n3\r\n", 0, b"A: b\r\n\r\n"),
        (b"A: b\r\n\r\n1\r\n2\r\n3\r\n", 2, b"A: b\r\n\r\n1\r\n2\r\n"),
        (b"A: b\r\n\r\n1\r\n2\r\n3", 9, b"A: b\r\n\r\n1\r\n2\r\n3\r\n"),
        (b"A: b\r\n\r\n.\r\n2", 1, b"A: b\r\n\r\n..\r\n"),
        (b"\r\n1\r\n2\r\n", 1, b"\r\n1\r\n"),
        (b"A: b\r\n", 3, b"A: b\r\n"),
        (b"A: b", 0, b"A: b\r\n"),
    ],
)
def test_top_sends_the_header_and_some_lines(message: bytes, count: int, sent: bytes) -> None:
    assert send([message], count) == sent


PARTS = st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"a", b"\r\n.\r\n", b"\r\n\r\n", b"x" * 9])


@given(st.lists(PARTS, max_size=30), st.none() | st.integers(0, 5))
def test_cuts_do_not_matter(parts: list[bytes], count: int | None) -> None:
    message = b"".join(parts)
    sent = send([message], count)
    assert (
        sent == send(parts, count) == send([message[i : i + 1] for i in range(len(message))], count)
    )
    assert b"\r\n.\r\n" not in b"\r\n" + sent
    if count is None and b"\r" not in (bare := message.replace(b"\r\n", b"")) and b"\n" not in bare:
        end = b"" if not message or message.endswith(b"\r\n") else b"\r\n"
        assert unstuff(sent) == message + end
