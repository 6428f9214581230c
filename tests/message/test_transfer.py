from __future__ import annotations

import base64
import quopri

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.message.transfer import (
    TRANSFER_ENCODINGS,
    TransferDecoder,
    decode_base64,
    decode_transfer,
    encode_base64,
    encode_quoted_printable,
)


@given(st.binary(max_size=500))
def test_base64_round_trip(data: bytes) -> None:
    encoded = encode_base64(data)
    assert all(len(line) <= 76 for line in encoded.split(b"\r\n"))
    assert decode_base64(encoded) == data == base64.b64decode(encoded)


@given(st.lists(st.binary(max_size=120).map(lambda b: b.replace(b"\r", b"").replace(b"\n", b""))))
def test_quoted_printable_round_trip(lines: list[bytes]) -> None:
    text = b"\r\n".join(lines)
    encoded = encode_quoted_printable(text)
    assert all(len(line) <= 76 for line in encoded.split(b"\r\n"))
    assert encoded.isascii()
    assert decode_transfer(encoded, "quoted-printable") == text
    assert quopri.decodestring(encoded).replace(b"\r\n", b"\n") == text.replace(b"\r\n", b"\n")


def test_space_at_a_line_end_is_encoded() -> None:
    """RFC 2045 section 6.7 rule 3."""
    assert encode_quoted_printable(b"a \r\nb\t\r\n") == b"a=20\r\nb=09\r\n"


@pytest.mark.parametrize(
    ("data", "decoded"),
    [(b"YQ", b"a"), (b"Y Q\r\n=\r\n", b"a"), (b"Y", b""), (b"!!YWJj", b"abc"), (b"", b""),
     (b"YWI=YWJj", b"ab"), (b"====", b"")],
)  # fmt: skip
def test_broken_base64_gives_what_can_be_read(data: bytes, decoded: bytes) -> None:
    assert decode_base64(data) == decoded


@given(st.binary(), st.sampled_from(["base64", "quoted-printable", "8bit", "", "x-uuencode"]))
def test_any_bytes_decode(data: bytes, encoding: str) -> None:
    assert isinstance(decode_transfer(data, encoding), bytes)


@pytest.mark.parametrize(
    ("data", "decoded"),
    [
        # RFC 2045 section 6.7 rule 3: what stands at a line end was added on the way.
        (b"one \r\ntwo\t \r\n", b"one\r\ntwo\r\n"),
        (b"one \ntwo\t\n", b"one\ntwo\n"),
        (b"end \t", b"end"),
        (b"kept=20\r\n", b"kept \r\n"),
        # Rule 5: a soft line break, and what became of it.
        (b"so=\r\nft", b"soft"),
        (b"so= \t\r\nft", b"soft"),
        (b"so=\t\nft", b"soft"),
        (b"end=", b"end"),
        (b"end= ", b"end"),
        (b"=e9=C3=aB", b"\xe9\xc3\xab"),
        # What is none stays, and hides nothing behind it.
        (b"=zz=4=x", b"=zz=4=x"),
        (b"==41", b"=A"),
        (b"a=\rb\r\nc", b"a=\rb\r\nc"),
    ],
)
def test_quoted_printable_is_read_as_others_read_it(data: bytes, decoded: bytes) -> None:
    assert decode_transfer(data, "quoted-printable") == decoded


def test_endless_white_space_takes_linear_time() -> None:
    assert decode_transfer(b" " * 2_000_000 + b"x \r\n", "quoted-printable").endswith(b" x\r\n")


def test_an_unknown_encoding_changes_nothing() -> None:
    """RFC 2045 section 6.4."""
    assert decode_transfer(b"=41", "x-new") == b"=41"


@given(
    st.lists(
        st.one_of(
            st.sampled_from([b"=", b"\r", b"\n", b"\r\n", b" ", b"\t", b"=41", b"=\r\n", b"QUJD"]),
            st.binary(max_size=5),
        ),
        max_size=40,
    ),
    st.sampled_from(sorted(TRANSFER_ENCODINGS)),
)
def test_pieces(pieces: list[bytes], encoding: str) -> None:
    """Wherever a body is cut, the same comes out as of all of it."""
    decoder = TransferDecoder(encoding)
    decoded = b"".join([decoder.take(piece) for piece in pieces]) + decoder.finish()
    assert decoded == decode_transfer(b"".join(pieces), encoding)


@pytest.mark.parametrize("unit", [b"a", b" ", b"=41", b"=", b"==41", b"a \t", b"=4", b"=\r", b"\r"])
@pytest.mark.parametrize("size", [65_535, 7])
def test_long_lines(unit: bytes, size: int) -> None:
    """A line of any length is decoded, and not all of it is kept until it ends.

    What has only white space and ``=`` for so long is not decoded: no encoder writes it.
    """
    data = (unit * 150_000 + b"end\r\n")[:150_000]
    decoder = TransferDecoder("quoted-printable")
    first = b"".join([decoder.take(data[at : at + size]) for at in range(0, len(data), size)])
    assert len(first) > 20_000
    if unit.strip(b"= \r"):
        assert first + decoder.finish() == decode_transfer(data, "quoted-printable")
