"""A message that is read in pieces is read as one that is in memory."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from imap.test_message import LINES
from zajil.core.ids import BlobId
from zajil.imap.body_structure import body_structure
from zajil.message.large_data import WHOLE, LargeData, find_delimiters, read_data
from zajil.message.parse import parse_message
from zajil.message.part import Part
from zajil.message.searched_text import body_texts
from zajil.read.indexer import make_summary
from zajil.store.mail.blob_reader import BlobReader

PIECE = 301
"""The smallest."""


class Counted(BlobReader):
    """A blob in memory that notes how much is read at a time."""

    largest = 0

    def read_at(self, offset: int, size: int) -> bytes:
        found = super().read_at(offset, size)
        self.largest = max(self.largest, len(found))
        return found


def large(data: bytes) -> LargeData:
    return LargeData(BlobReader(len(data), data, None), PIECE)


# Lines that end where a piece does, at each of its last places.
PADDED = st.tuples(LINES, st.integers(0, 320), LINES, LINES).map(
    lambda parts: parts[0] + b"x" * parts[1] + b"\r\n" + parts[2] + b"\r\n" + parts[3]
)


@given(PADDED)
def test_the_same_parts_are_found(data: bytes) -> None:
    pieces, root = large(data), parse_message(data)
    assert parse_message(pieces) == root
    for extended in (False, True):
        assert body_structure(root, pieces, extended=extended) == body_structure(
            root, data, extended=extended
        )


@given(st.lists(st.sampled_from([b"\n--ab", b"\r", b"\n", b"--", b"x" * 97, b" "])).map(b"".join))
@example(b"x" * 295 + b"\n--ab\rx\n--cd\r\n")
@example(b"x" * 294 + b"\n--ab\r\n" + b"y" * 300)
def test_the_same_lines_may_be_boundaries(data: bytes) -> None:
    assert list(find_delimiters(large(data), 1)) == list(find_delimiters(data, 1))


@given(PADDED, st.binary(min_size=1, max_size=3), st.integers(0, 400))
def test_it_is_searched_as_bytes_are(data: bytes, needle: bytes, start: int) -> None:
    pieces = large(data)
    assert pieces.find(needle, start) == data.find(needle, start)
    assert pieces.find(needle, start, start + 9) == data.find(needle, start, start + 9)
    assert pieces.count(b"\n", start) == data.count(b"\n", start)
    assert pieces[start : start + 500] == data[start : start + 500]
    assert pieces.startswith(needle) == data.startswith(needle)


def _mail(*parts: bytes) -> bytes:
    body = b"".join([b"--b\r\n" + part + b"\r\n" for part in parts])
    head = b"Received: x\r\nSubject: trip\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    return head + body + b"--b--\r\n"


_TEXT = b"Content-Type: text/plain; charset=utf-8\r\n\r\n"
_FILE = b"Content-Type: image/png; name=p.png\r\nContent-Transfer-Encoding: base64\r\n\r\n"


def test_a_large_message_is_not_held_whole() -> None:
    """What is indexed of it is the same: words behind a large file, too."""
    data = _mail(_TEXT + b"early", _FILE + b"QUJD\r\n" * 4_000_000, _TEXT + "متأخر".encode())
    source = Counted(len(data), data, None)
    made, whole = make_summary(BlobId("b"), read_data(source)), make_summary(BlobId("b"), data)
    assert made == whole
    assert made.words.is_whole
    assert made.body_structure is not None
    assert source.largest <= WHOLE + 1000


def test_a_text_that_is_too_long_counts_as_partly_indexed() -> None:
    for text in (b"word " * 6_000_000, "كلمة ".encode() * 3_000_000, b"<p>word " * 4_000_000):
        kind = _TEXT.replace(b"plain", b"html") if text.startswith(b"<") else _TEXT
        data = _mail(kind + text)
        source = Counted(len(data), data, None)
        made = make_summary(BlobId("b"), read_data(source))
        assert made.words.block is not None
        assert not made.words.is_whole
        assert source.largest <= WHOLE + 1000


@given(st.integers(1, 60))
def test_a_text_is_cut_between_characters(cut: int) -> None:
    """Else it would be no UTF-8, and be read in another charset."""
    data = b"Content-Type: text/plain\r\n\r\n" + "aعللك日本語😀".encode() * 200_000
    root = parse_message(data)
    text, is_cut = root.read_text(large(data), 1000 + cut)
    assert is_cut
    assert root.text(data).startswith(text)
    assert len(text) > 600
    ((found, was_cut),) = body_texts(root, data, 1000 + cut)
    assert was_cut
    assert found


def test_parts_keep_their_place() -> None:
    part = parse_message(large(_mail(_TEXT + b"one", _TEXT + b"two"))).children[1]
    assert isinstance(part, Part)
    assert part.text(large(_mail(_TEXT + b"one", _TEXT + b"two"))) == "two"
