"""What lies behind a large beginning of a mail."""

from __future__ import annotations

import io
import zipfile
from base64 import b64encode
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.facts import make_facts
from kit.made_mail import HEAD, view_and_facts
from zajil.check.content.run import look_inside, view_of
from zajil.check.learned.tokens import find_tokens
from zajil.message.fields import split_message
from zajil.message.late_parts import MAX_PARTS, find_late_parts
from zajil.message.parse import parse_message
from zajil.message.part import Part
from zajil.message.view import MAX_READ, MessageView

MIXED = HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhello\r\n"
PICTURE = b"--b\r\nContent-Type: image/png\r\n\r\n" + b"x" * 70 + b"\r\n"
PROGRAM = b"MZ" + b"\0" * 200


class File:
    """A body that lies on the disk."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.reads: list[int] = []

    @property
    def size(self) -> int:
        return len(self.data)

    def read_at(self, offset: int, size: int) -> bytes:
        self.reads.append(size)
        return self.data[offset : offset + size]


def large(rest: bytes, padding: int = MAX_READ + 5000) -> tuple[MessageView, File]:
    picture = b"--b\r\nContent-Type: image/png\r\n\r\n" + b"x" * padding + b"\r\n"
    message = MIXED + picture + rest + b"--b--\r\n"
    end, _ = split_message(message)
    facts = make_facts(message)
    body = File(message[end:])
    return view_of(replace(facts, body=body)), body


def signals(view: MessageView) -> set[str]:
    _, facts = view_and_facts(HEAD + b"\r\nx\r\n")
    facts = replace(facts, header=view.header, fields=view.fields, body=view._body)
    return {reason.signal for reason in look_inside(view, facts)}


def zipped(name: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), PROGRAM)
    return out.getvalue()


def file_part(name: bytes, content: bytes) -> bytes:
    return (
        b"--b\r\nContent-Type: application/octet-stream\r\n"
        b'Content-Disposition: attachment; filename="' + name + b'"\r\n\r\n' + content + b"\r\n"
    )


@pytest.mark.parametrize("padding", [0, MAX_READ - 20_000, MAX_READ - 300, MAX_READ, MAX_READ * 3])
def test_a_program_behind_a_large_picture(padding: int) -> None:
    for distance in (0, 70, 150, 200, 260):
        view, _ = large(file_part(b"bill.pdf", PROGRAM), max(0, padding - distance))
        assert "attach.program" in signals(view)


def test_an_archive_and_a_page_behind_a_large_picture() -> None:
    page = b"--b\r\nContent-Type: text/html\r\n\r\n<a href=http://192.0.2.9/>pills</a>\r\n"
    view, _ = large(file_part(b"a.zip", zipped("run.exe")) + page)
    assert {"attach.archived-program", "phish.address-link"} <= signals(view)
    assert "pills" in find_tokens(view)


def test_parts_in_parts_behind_a_large_picture() -> None:
    inner = (
        b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\nx\r\n"
        + file_part(b"a.exe", b"x").replace(b"--b", b"--c") + b"--c--\r\n"
    )  # fmt: skip
    view, _ = large(inner)
    assert "attach.program" in signals(view)


def test_honest_pictures_say_nothing() -> None:
    view, _ = large(PICTURE * 20)
    assert not {one for one in signals(view) if one.startswith("attach.")}


def test_more_files_than_are_looked_at_are_a_sign() -> None:
    view, _ = large(PICTURE * (MAX_PARTS + 5))
    assert "attach.many" in signals(view)
    _, facts = view_and_facts(MIXED + PICTURE * 101 + b"--b--\r\n")
    assert "attach.many" in {one.signal for one in look_inside(view_of(facts), facts)}


def test_the_rest_is_read_once() -> None:
    """Its size, and a bounded amount for each part."""
    view, body = large(PICTURE * 50_000, MAX_READ)
    signals(view)
    find_tokens(view)
    assert sum(body.reads) <= 3 * body.size + MAX_PARTS * 100_000


INNER = (
    b"Content-Type: multipart/mixed; boundary=i\r\n\r\n--i\r\n\r\ninner words\r\n"
    b"--i\r\nContent-Type: image/png\r\n\r\n" + b"x" * 100_000 + b"\r\n--i\r\n"
    b"Content-Type: application/octet-stream\r\n\r\n" + PROGRAM + b"\r\n--i--\r\n"
)
BARE = b"Content-Type: application/octet-stream\r\n\r\n" + PROGRAM
RFC822 = b"Content-Type: message/rfc822\r\n"


@pytest.mark.parametrize(
    "part",
    [
        RFC822 + b"\r\n" + INNER,
        RFC822 + b"\r\n" + RFC822 + b"\r\n" + INNER,
        b"Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\n" + INNER + b"--d--\r\n",
        RFC822 + b"Content-Transfer-Encoding: base64\r\n\r\n" + b64encode(BARE) + b"\r\n",
    ],
    ids=["plain", "nested", "digest", "base64"],
)
def test_a_program_in_a_late_enclosed_message(part: bytes) -> None:
    """However much stands before it in the enclosed message, where that is not encoded."""
    view, _ = large(b"--b\r\n" + part)
    assert "attach.program" in signals(view)
    assert "inner words" not in view.visible_text


def test_a_late_multipart_without_parts_is_text() -> None:
    for boundary in (b"", b"; boundary=never"):
        head = b"--b\r\nContent-Type: multipart/mixed" + boundary + b"\r\n\r\n"
        view, _ = large(head + b"olive tree\r\n" + PICTURE)
        assert "olive tree" in view.visible_text


LINES = st.lists(
    st.sampled_from(
        [b"--b\r\n", b"--c\r\n", b"--b--\r\n", b"\r\n", b"word\r\n", b"--b", b"\n--b\n",
         b"Content-Type: multipart/mixed; boundary=c\r\n", b"Content-Type: text/html\r\n"]
    ),
    max_size=20,
).map(b"".join)  # fmt: skip


@given(LINES)
def test_late_parts_are_those_of_the_parser(rest: bytes) -> None:
    """Where everything is late, none of its leaves is overlooked."""
    message = MIXED + rest
    end, _ = split_message(message)
    found = find_late_parts(File(message[end:]), 0, end, parse_message(MIXED)).parts
    starts = {part.start for part in found}
    for part in leaves(parse_message(message)):
        assert part.start in starts or part.start == 0
    assert all(part.body_start <= len(message) for part in found)


def leaves(root: Part) -> list[Part]:
    return [part for _, part in root.walk() if not part.type.startswith("multipart/")]
