from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.message.fields import find_value, read_fields, split_message
from zajil.message.mend_fields import CannotMend
from zajil.message.mend_parts import MAX_MENDED, find_charset, mend_message
from zajil.message.parse import parse_message
from zajil.message.part import Part
from zajil.message.transfer import encode_base64

LONG = b"x" * 1500
HEADER = b"From: a@x.test\r\nSubject: hi\r\n"


def mend(message: bytes, *, utf8: bool = False) -> tuple[bytes, tuple[str, ...]]:
    end, _ = split_message(message)
    mended = mend_message(message[:end], message[end:], utf8=utf8)
    assert (mended.header + mended.body).startswith(mended.header)
    return mended.header + mended.body, mended.changes


def longest_line(message: bytes) -> int:
    return max(map(len, message.split(b"\r\n")))


def leaves(message: bytes) -> list[tuple[str, bytes]]:
    """Give type and decoded content of every part that has none inside."""
    return [
        (part.type, part.content(message))
        for _, part in parse_message(message).walk()
        if not part.children
    ]


def multipart(*parts: bytes, subtype: str = "mixed", boundary: str = "b") -> bytes:
    mark = f"--{boundary}".encode()
    body = b"".join([mark + b"\r\n" + part + b"\r\n" for part in parts])
    head = f"Content-Type: multipart/{subtype}; boundary={boundary}\r\n\r\n".encode()
    return head + body + mark + b"--\r\n"


def message(entity: bytes) -> bytes:
    return HEADER + b"MIME-Version: 1.0\r\n" + entity


# ---- one part -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        (LONG + b"\r\n", "utf-8"),
        (b"a\r\n" + LONG + b" \r\n\r\nend \r\n", "utf-8"),
        (b"From x\r\n.\r\n=" + LONG + b"\t\r\n", "utf-8"),
        ("ü".encode() * 400 + LONG + b"\r\n", "utf-8"),
        (b"\xfc" * 100 + LONG + b"\r\n", "windows-1252"),
        ("سلام ".encode() * 300 + b"\r\n", "utf-8"),
        (LONG, "utf-8"),
    ],
)
def test_a_message_without_mime_gets_an_encoding(body: bytes, charset: str) -> None:
    """RFC 2045 section 6; what it says stays the same to the last byte."""
    mended, changes = mend(HEADER + b"\r\n" + body)
    assert longest_line(mended) <= 78
    assert mended.isascii()
    fields = read_fields(mended[: split_message(mended)[0]])
    assert find_value(fields, b"mime-version") == b"1.0"
    assert find_value(fields, b"content-type") == f"text/plain; charset={charset}".encode()
    assert parse_message(mended).content(mended) == body
    assert changes == ("encoded the body",)


@pytest.mark.parametrize("encoding", [b"8bit", b"7bit", b"binary", b"8BIT"])
def test_the_encoding_that_was_said_is_replaced(encoding: bytes) -> None:
    head = (
        b"Content-Transfer-Encoding: " + encoding + b"\r\nContent-Type: text/html; charset=big5\r\n"
    )
    mended, _ = mend(HEADER + head + b"\r\n<p>" + LONG)
    fields = read_fields(mended[: split_message(mended)[0]])
    assert [one.value for one in fields if one.name == b"content-transfer-encoding"] == [
        b" quoted-printable"
    ]
    assert find_value(fields, b"content-type") == b"text/html; charset=big5"
    assert find_value(fields, b"mime-version") == b"1.0"


def test_what_is_no_text_becomes_base64() -> None:
    entity = b"Content-Type: application/json\r\n\r\n{" + LONG + b"}"
    mended, _ = mend(message(entity))
    assert parse_message(mended).encoding == "base64"
    assert leaves(mended) == [("application/json", b"{" + LONG + b"}")]


def test_base64_in_one_line_is_broken() -> None:
    data = bytes(range(256)) * 20
    text = encode_base64(data).replace(b"\r\n", b"")
    entity = (
        b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n" + text + b"\r\n"
    )
    mended, _ = mend(message(entity))
    assert longest_line(mended) <= 78
    assert leaves(mended) == [("image/png", data)]


def test_quoted_printable_in_one_line_is_broken() -> None:
    text = b"=C3=BC = b=0D=0Ac=0A \xfc=\r\n" + b"=C3=BC" * 300 + b" \r\nend="
    head = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: Quoted-Printable\r\n\r\n"
    before = message(head + text)
    mended, _ = mend(before)
    assert longest_line(mended) <= 78
    assert leaves(mended) == leaves(before)


@pytest.mark.parametrize(
    "entity",
    [
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\n" + LONG,
        b"Content-Type: message/delivery-status\r\n\r\n" + LONG,
        b"Content-Type: message/partial; id=1\r\n\r\n" + LONG,
        b"Content-Type: multipart/mixed\r\n\r\n" + LONG,
    ],
)
def test_what_takes_no_encoding_is_refused(entity: bytes) -> None:
    """RFC 2046 section 5.2."""
    with pytest.raises(CannotMend):
        mend(message(entity))


def test_a_message_that_is_too_large_to_rewrite_is_refused() -> None:
    with pytest.raises(CannotMend):
        mend(HEADER + b"\r\n" + b"x" * MAX_MENDED)


# ---- many parts -----------------------------------------------------------------------------


def test_only_the_part_with_a_fault_is_touched() -> None:
    good = b"Content-Type: text/plain; charset=x-odd\r\nX:  y \r\n\r\nkept = as it is \r\n"
    bad = b"Content-Type: text/plain\r\n\r\n" + LONG
    mended, changes = mend(message(multipart(good, bad, good)))
    assert mended.count(good) == 2
    assert longest_line(mended) <= 78
    assert [content for _, content in leaves(mended)][1] == LONG
    assert changes == ("encoded part 2",)


def test_parts_of_parts_and_enclosed_messages() -> None:
    inner = multipart(b"\r\n" + LONG, b"Content-Type: text/html\r\n\r\n<p>" + LONG, boundary="in")
    enclosed = b"Content-Type: message/rfc822\r\n\r\nSubject: " + b"w " * 600 + b"\r\n\r\n" + LONG
    before = message(multipart(inner, enclosed))
    mended, _ = mend(before)
    assert longest_line(mended) <= 998
    assert [content for _, content in leaves(mended)] == [LONG, b"<p>" + LONG, LONG]
    assert [part.type for _, part in parse_message(mended).walk()] == [
        part.type for _, part in parse_message(before).walk()
    ]


def test_an_enclosed_message_keeps_its_raw_header() -> None:
    enclosed = b"Content-Type: message/rfc822\r\n\r\nSubject: \xe9\r\n\r\n" + LONG
    mended, _ = mend(message(multipart(enclosed)))
    assert b"\r\nSubject: \xe9\r\n" in mended


def test_preamble_and_epilogue_are_cut() -> None:
    """RFC 2046 section 5.1.1: they are to be ignored."""
    part = b"Content-Type: text/plain\r\n\r\nhello"
    entity = multipart(part).replace(b"\r\n\r\n--b", b"\r\n\r\nold " + LONG + b"\r\n--b", 1)
    mended, _ = mend(message(entity + LONG + b"\r\n"))
    assert mended == message(multipart(part))


@pytest.mark.parametrize("subtype", ["signed", "encrypted"])
@pytest.mark.parametrize(
    "part",
    [b"\r\n" + LONG, b"Content-Type: text/plain; name=\xe9\r\n\r\nx", b"X: " + LONG + b"\r\n\r\nx"],
)
def test_what_is_signed_is_not_touched(subtype: str, part: bytes) -> None:
    """RFC 1847 section 2.1: refused, at any depth."""
    entity = multipart(part, b"Content-Type: application/pgp-signature\r\n\r\nx", subtype=subtype)
    with pytest.raises(CannotMend):
        mend(message(entity))
    with pytest.raises(CannotMend):
        mend(message(multipart(entity, boundary="outer")))


def test_beside_what_is_signed_and_good_the_rest_is_mended() -> None:
    signed = multipart(b"\r\nhello", b"\r\nsignature", subtype="signed", boundary="s")
    mended, _ = mend(message(multipart(signed, b"\r\n" + LONG)))
    assert signed in mended
    assert longest_line(mended) <= 78


@pytest.mark.parametrize("raw", [b"\xe9.bin", "é.bin".encode()])
def test_raw_header_sections_of_parts(raw: bytes) -> None:
    part = b'Content-Disposition: attachment; filename="' + raw + b'"\r\n\r\nbody \xe9'
    mended, changes = mend(message(multipart(b"\r\nhi", part)))
    assert b"filename*=utf-8''%C3%A9.bin\r\n\r\nbody \xe9\r\n" in mended
    assert changes == ("encoded Content-Disposition of part 2",)


def test_with_smtputf8_utf8_header_sections_stay() -> None:
    part = "Content-Disposition: attachment; filename=é\r\n\r\nx".encode()
    before = message(multipart(part)) + b"\r\n"
    assert mend(before, utf8=True) == (before, ())


def test_the_charset_of_the_text_reads_the_header() -> None:
    before = (
        b"Subject: \xe3\xd1\xcd\xc8\xc7\r\nContent-Type: text/plain; charset=Windows-1256\r\n\r\nx"
    )
    assert find_charset(before) == "Windows-1256"
    mended, _ = mend(before)
    assert b"Subject: =?utf-8?B?2YXYsdit2KjYpw==?=\r\n" in mended
    assert find_charset(b"Content-Type: text/plain; charset=utf-8\r\n\r\n") is None


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
@pytest.mark.parametrize("part", [b"", b"%s", b"X: y%s%s", b"%shi%s"])
def test_an_epilogue_is_cut_behind_any_part(part: bytes, end: bytes) -> None:
    """Behind a part without a byte there is no line end of its own before the boundary."""
    body = b"--b%s" + part + b"--b--%s"
    head = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    whole = message(head + body.replace(b"%s", end))
    mended, changes = mend(whole + LONG + end + LONG)
    assert (mended, changes) == (whole, ())


@pytest.mark.parametrize("tail", [b"--b--", b"--b", b"---b--", b"--", b"-" * 200, b"--b--=3D end"])
@pytest.mark.parametrize("encoding", ["8bit", "quoted-printable", "base64"])
def test_a_new_line_is_no_boundary(encoding: str, tail: bytes) -> None:
    """Wherever a line is broken: hyphens in it do not end the part."""
    head = f"Content-Type: text/plain\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode()
    for length in range(1000, 1080):
        before = message(multipart(head + b"x" * length + tail, b"\r\nthe end"))
        mended, _ = mend(before)
        assert longest_line(mended) <= 78
        assert leaves(mended) == leaves(before)
        assert mended.count(b"\n--") == 3
        assert mend(mended) == (mended, ())


PIECES = st.lists(
    st.sampled_from(
        [
            *(b"--b\r\n", b"--b--\r\n", b"--c\r\n", b"--c--\r\n", b"\r\n", b"\r\n\r\n", LONG),
            *(b"Content-Type: multipart/mixed; boundary=c\r\n", b"Content-Type: text/plain\r\n"),
            *(b"Content-Type: message/rfc822\r\n", b"Content-Transfer-Encoding: base64\r\n"),
            *(
                b"Content-Transfer-Encoding: quoted-printable\r\n",
                b"X: \xe9\r\n",
                b"QUJD",
                b"\xc3\xa9",
            ),
            *(b"Content-Type: multipart/signed; boundary=c\r\n", b"=", b" ", b"-- \r\n", b"a\r\n"),
        ]
    ),
    max_size=14,
).map(b"".join)


@given(PIECES)
def test_whatever_comes_out_says_the_same(body: bytes) -> None:
    """No long line, no raw header section of a part, the same tree, the same content."""
    before = message(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + body + b"\r\n")
    try:
        mended, _ = mend(before)
    except CannotMend:
        return
    assert longest_line(mended) <= 998
    one, other = parse_message(before), parse_message(mended)
    assert tree(one) == tree(other)
    again, changes = mend(mended)
    assert (again, changes) == (mended, ())
    old, new = leaves(before), leaves(mended)
    assert [kind for kind, _ in old] == [kind for kind, _ in new]
    for (_, was), (_, is_now) in zip(old, new, strict=True):
        assert was.rstrip(b"\r\n") == is_now.rstrip(b"\r\n")


def tree(part: Part) -> list[tuple[str, str]]:
    return [(number, one.type) for number, one in part.walk()]
