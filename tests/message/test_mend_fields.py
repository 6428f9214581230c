from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.message.address_list import parse_address_list
from zajil.message.encoded_word import decode_words
from zajil.message.fields import find_value, read_fields, unfold
from zajil.message.mend_fields import CannotMend, is_fit, mend_header
from zajil.message.params import parse_parameterised


def mend(header: bytes | str, *, utf8: bool = False, charset: str | None = None) -> bytes:
    data = header.encode() if isinstance(header, str) else header
    return mend_header(data, read_fields(data), utf8=utf8, charset=charset)[0]


def value_of(header: bytes, name: bytes) -> bytes:
    value = find_value(read_fields(header), name)
    assert value is not None
    return value


# ---- not ASCII ------------------------------------------------------------------------------


def test_a_field_without_fault_keeps_every_byte() -> None:
    header = "Subject: Grüße\r\nX-Odd :  kept \r\n as it is \r\n".encode()
    assert mend(header).endswith(b"\r\nX-Odd :  kept \r\n as it is \r\n")
    assert mend(header, utf8=True) == header


@pytest.mark.parametrize(
    ("raw", "charset", "text"),
    [
        ("Résumé", None, "Résumé"),
        (b"R\xe9sum\xe9", None, "Résumé"),
        (b"\x80 20", None, "€ 20"),
        (b"\xe3\xd1\xcd\xc8\xc7", "windows-1256", "مرحبا"),
        (b"\xe3\xd1\xcd\xc8\xc7 123", None, "مرحبا 123"),
        (b"na\xefve \xc4\xd6\xdc", None, "naïve ÄÖÜ"),
        (b"\xf0\xd2\xc9\xd7\xc5\xd4", "koi8-r", "Привет"),
        (b"\x81\x8d\x8f", None, "\x81\x8d\x8f"),
        ("=?utf-8?Q?Gr=C3=BC=C3=9Fe?= für alle", None, "Grüße für alle"),
        ("سلام " * 100, None, ("سلام " * 100).strip()),
    ],
)
@pytest.mark.parametrize("name", ["Subject", "Comments", "X-Anything", "Content-Description"])
def test_text_becomes_encoded_words(
    name: str, raw: str | bytes, charset: str | None, text: str
) -> None:
    """RFC 2047 section 5 (1)."""
    value = raw.encode() if isinstance(raw, str) else raw
    mended = mend(f"{name}: ".encode() + value + b"\r\n", charset=charset)
    assert is_fit(mended, utf8=False)
    assert decode_words(value_of(mended, name.lower().encode())) == text


@pytest.mark.parametrize(
    "value",
    [
        "José García <j@x.test>",
        '"García, José" <j@x.test>, Ünal (né Öz) <u@bücher.test>',
        "Café: a@x.test, Ä <b@x.test>;, c@x.test (ñ)",
        "=?utf-8?Q?Jos=C3=A9?= García <j@x.test>",
        '"a \\" é" <j@x.test>',
        "a@bücher.test",
        "سلمى <salma@زاجل.test>",
    ],
)
@pytest.mark.parametrize("name", ["From", "To", "Resent-Cc", "Disposition-Notification-To"])
def test_names_are_encoded_and_addresses_stay(name: str, value: str) -> None:
    """RFC 2047 section 5 (2) and (3); a domain has its A-labels."""
    mended = mend(f"{name}: {value}\r\n")
    assert mended.isascii()
    before = parse_address_list(value)
    after = parse_address_list(value_of(mended, name.lower().encode()))
    assert [one.address for one in after.people] == [one.address for one in before.people]
    assert [one.display_name for one in after.people] == [one.display_name for one in before.people]
    assert after.defects == before.defects


def test_latin_1_in_a_name() -> None:
    mended = mend(b"From: Ren\xe9 <r@x.test>\r\n")
    assert parse_address_list(value_of(mended, b"from")).people[0].display_name == "René"


@pytest.mark.parametrize(
    "field",
    [
        "From: josé@x.test",
        "To: José <josé@x.test>",
        "Cc: a@x.test, <josé@bücher.test>",
        'Reply-To: "josé"@x.test',
    ],
)
def test_a_local_part_needs_smtputf8(field: str) -> None:
    """RFC 6531 section 3.2: there is no ASCII for it."""
    with pytest.raises(CannotMend) as caught:
        mend(f"{field}\r\n")
    assert caught.value.status == "5.6.7"
    assert mend(f"{field}\r\n", utf8=True) == f"{field}\r\n".encode()


@pytest.mark.parametrize(
    "field",
    [
        b"Message-ID: <\xc3\xa9@x.test>",
        b"Received: from m\xfcnchen by x.test; Mon, 23 Nov 2026 12:00:00 +0000",
        b"List-Unsubscribe: <mailto:\xc3\xa9@x.test>",
        b"To: nobody in particul\xe9",
        b"caf\xe9 without a colon",
        b"Caf\xe9: x",
        b"Content-Type: text/pl\xe4in",
        b"Content-Type: multipart/mixed; boundary=\xe4",
    ],
)
def test_what_has_no_encoding_is_refused(field: bytes) -> None:
    with pytest.raises(CannotMend) as caught:
        mend(field + b"\r\n")
    assert caught.value.text.isascii()


def test_comments_of_structured_fields_are_encoded() -> None:
    mended = mend(b"Received: from a.test (m\xfcnchen (\xf6)) by x.test; today (\xe9)\r\n")
    assert mended.isascii()
    assert decode_words(value_of(mended, b"received")).startswith("from a.test (münchen (ö")


@pytest.mark.parametrize("raw", ["résumé.bin".encode(), b"r\xe9sum\xe9.bin"])
def test_file_names_become_extended_parameters(raw: bytes) -> None:
    """RFC 2231 section 4."""
    mended = mend(b'Content-Disposition: ATTACHMENT; size=4;\r\n filename="' + raw + b'"\r\n')
    assert b"filename*=utf-8''r%C3%A9sum%C3%A9.bin" in mended
    parsed = parse_parameterised(value_of(mended, b"content-disposition"))
    assert (parsed.value, dict(parsed.parameters)) == (
        "attachment",
        {"size": "4", "filename": "résumé.bin"},
    )


# ---- long lines -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("References", " ".join(f"<{number}@long.north.test>" for number in range(80))),
        ("Subject", "word " * 300 + "end"),
        ("Subject", "two  spaces   and\ttabs " * 60 + "end"),
        ("DKIM-Signature", "v=1; b=" + " ".join(["abcdefgh"] * 200)),
        ("To", ", ".join(f"user{number}@example.test" for number in range(100))),
    ],
)
def test_long_lines_are_folded_where_space_stands(name: str, value: str) -> None:
    """RFC 5322 section 2.2.3: unfolded, it is what it was."""
    mended = mend(f"{name}: {value}\r\n")
    assert max(map(len, mended.split(b"\r\n"))) <= 78
    assert unfold(read_fields(mended)[0].value) == value.encode()
    assert b"\r\n\r\n" not in mended


def test_message_ids_without_a_space_between_them() -> None:
    ids = [f"<{number}@north.test>" for number in range(100)]
    mended = mend(f"References: {''.join(ids)}\r\n")
    assert value_of(mended, b"references").decode().split() == ids


def test_addresses_without_a_space_between_them() -> None:
    value = ",".join(f"user{number}@example.test" for number in range(100))
    mended = mend(f"To: {value}\r\n")
    assert max(map(len, mended.split(b"\r\n"))) <= 998
    assert len(parse_address_list(value_of(mended, b"to")).people) == 100


@pytest.mark.parametrize("name", ["Subject", "X-Token"])
def test_a_word_that_fits_no_line_is_encoded(name: str) -> None:
    mended = mend(f"{name}: {'x' * 3000}\r\n")
    assert is_fit(mended, utf8=False)
    assert decode_words(value_of(mended, name.lower().encode())) == "x" * 3000


def test_a_long_name_and_a_long_parameter() -> None:
    mended = mend(f'To: "{"x" * 1200}" <a@x.test>\r\nContent-Type: a/b; name={"y" * 1200}\r\n')
    assert is_fit(mended, utf8=False)
    assert parse_address_list(value_of(mended, b"to")).people[0].display_name == "x" * 1200
    assert parse_parameterised(value_of(mended, b"content-type")).parameters["name"] == "y" * 1200


@pytest.mark.parametrize(
    "field", [f"Message-ID: <{'x' * 999}@x.test>", "x" * 999, f"{'X' * 990}: {'y' * 20}"]
)
def test_what_cannot_be_folded_is_refused(field: str) -> None:
    with pytest.raises(CannotMend):
        mend(f"{field}\r\n")


def test_998_octets_are_enough() -> None:
    """RFC 5322 section 2.1.1: without the CRLF."""
    line = "Subject: " + "x" * (998 - len("Subject: "))
    assert mend(f"{line}\r\n") == f"{line}\r\n".encode()
    assert mend(f"{line}x\r\n") != f"{line}x\r\n".encode()


# ---- anything -------------------------------------------------------------------------------

NAMES = st.sampled_from(
    [b"From", b"To", b"Subject", b"X", b"Content-Type", b"Received", b"References", b"List-Id"]
)
VALUES = st.lists(
    st.sampled_from(
        [
            *(
                b"a@x.test",
                b"\xc3\xa9",
                b"\xe9",
                b" ",
                b"\r\n ",
                b",",
                b"<",
                b">",
                b'"',
                b"(",
                b")",
            ),
            *(b":", b";", b"@", b"=", b"\\", b"x" * 500, b"=?utf-8?Q?=C3=A9?=", b"a/b; name="),
        ]
    ),
    max_size=12,
).map(b"".join)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=4), st.booleans())
def test_whatever_comes_out_may_travel(fields: list[tuple[bytes, bytes]], utf8: bool) -> None:
    header = b"".join([name + b": " + value + b"\r\n" for name, value in fields])
    try:
        mended = mend(header, utf8=utf8)
    except CannotMend:
        return
    assert is_fit(mended, utf8=utf8)
    assert [field.name for field in read_fields(mended)] == [
        field.name for field in read_fields(header)
    ]
    for before, after in zip(read_fields(header), read_fields(mended), strict=True):
        if before.name in (b"from", b"to"):
            told = [one.address for one in parse_address_list(before.value).people]
            assert [one.address for one in parse_address_list(after.value).people] == told
