"""Lines of mbox files, whatever pieces they come in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.message.mbox import Quoter, Unquoter, separator, status_fields
from zajil.message.mbox_read import (
    NotMbox,
    begins_as_mbox,
    find_messages,
    read_header,
    read_time,
    take_status,
)


class Held:
    """Bytes as a source."""

    def __init__(self, data: bytes) -> None:
        self.data, self.size = data, len(data)

    def read_at(self, offset: int, size: int) -> bytes:
        return self.data[offset : offset + size]


lines = st.lists(
    st.sampled_from([b"From ", b">", b">From x", b"a: b", b"x" * 5000, b"\r", b"From a Mon", b""])
)


@given(st.lists(lines.map(b"\n".join), max_size=4), st.integers(1, 50))
def test_what_was_written_is_read(messages: list[bytes], step: int) -> None:
    """RFC 4155: each message is found, and is what it was, with the end of its last line."""
    file = b""
    for number, message in enumerate(messages):
        quoter = Quoter()
        file += separator(number * 1000)
        for at in range(0, len(message), step):
            file += quoter.feed(message[at : at + step])
        file += quoter.finish()
    found = []
    for span in find_messages(Held(file)):
        unquoter = Unquoter()
        raw = file[span.begin : span.end]
        pieces = [unquoter.feed(raw[at : at + step]) for at in range(0, len(raw), step)]
        found.append(b"".join(pieces) + unquoter.finish())
        assert read_time(span.separator) == 1000 * (len(found) - 1)
    wanted = [one.replace(b"\r\n", b"\n") for one in messages]
    assert found == [one + b"\n" if one and not one.endswith(b"\n") else one for one in wanted]


@given(st.binary(max_size=300).map(lambda data: b"From a\nb: c\n" + data))
def test_every_byte_is_in_one_message(data: bytes) -> None:
    spans = list(find_messages(Held(data)))
    assert spans[0].start == 0
    for one, following in zip(spans, [*spans[1:], None], strict=True):
        end = len(data) if following is None else following.start
        assert one.start < one.begin <= one.end <= end
        assert not data[one.end : end].strip(b"\r\n")
        take_status(read_header(Held(data), one))


def test_what_is_no_mbox() -> None:
    assert not begins_as_mbox(Held(b"From here on\nwe"))
    assert begins_as_mbox(Held(b"\r\n\n"))
    with pytest.raises(NotMbox):
        next(find_messages(Held(b"x")))


def test_only_the_first_status_is_taken() -> None:
    """A further one came with the message."""
    header = b"Status: RO\nSubject: x\nstatus: sent\n\n"
    status, rest = take_status(header)
    assert (status.flags, rest) == (frozenset({"\\Seen"}), b"Subject: x\nstatus: sent\n\n")
    flags = frozenset({"\\Seen", "\\Deleted", "\\Draft", "todo", "$Forwarded"})
    assert take_status(status_fields(flags) + b"A: b\n\n")[0].flags == flags
