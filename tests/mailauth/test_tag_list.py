"""Tag lists (RFC 6376 section 3.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.mailauth.tag_list import (
    BadTagList,
    optional_number,
    parse_record_tags,
    parse_tag_list,
    read_base64,
    value_of,
    words_of,
)


@pytest.mark.parametrize(
    ("text", "tags"),
    [
        (b"a=1", {b"a": b"1"}),
        (b"a=1;", {b"a": b"1"}),
        (b" a = 1 ;\r\n\tb_2 =\r\n x y ; ", {b"a": b"1", b"b_2": b"x y"}),
        (b"a=;b==;c=a=b", {b"a": b"", b"b": b"=", b"c": b"a=b"}),
        (b"a=1;;", {b"a": b"1"}),
        (b"; ;a=1; \t;;b=2;\r\n ;", {b"a": b"1", b"b": b"2"}),
        (b"a=1;x-note=2;y-=3", {b"a": b"1", b"x-note": b"2", b"y-": b"3"}),
        (b"A=1;a=2", {b"A": b"1", b"a": b"2"}),
        ("d=شمال.test".encode(), {b"d": "شمال.test".encode()}),
    ],
)
def test_lists(text: bytes, tags: dict[bytes, bytes]) -> None:
    found = parse_tag_list(text)
    assert {name: tag.value for name, tag in found.items()} == tags
    for tag in found.values():
        assert text[tag.start : tag.end].strip(b" \t\r\n") == tag.value
        assert text[tag.start - 1 : tag.start] == b"="
        assert text[tag.end : tag.end + 1] in (b"", b";")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b";",
        b" ",
        b";; ;",
        b"-a=1",
        b"a",
        b"=1",
        b"1a=1",
        b"a b=1",
        b"_a=1",
        b"a=1;a=1",
        b"a=1;b=2;a=3",
        b"a=\x00",
        b"a=\x7f",
        b"a=1;\x0b",
        b"\xd8=1",
    ],
)
def test_no_lists(text: bytes) -> None:
    with pytest.raises(BadTagList):
        parse_tag_list(text)


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        b";",
        b";;; ;",
        b"; x-note=1",
        b"; x.y:z=1",
        b"; _t=y",
        b"; 1=2",
        b"; note",
        b"; =",
        b"; n=one; n=two",
        b"; x=\x00",
        b"; \xff\xfe=\x07",
        b"; K=rsa",
    ],
)
def test_a_record_may_hold_what_nobody_knows(rest: bytes) -> None:
    for text in (b"a=1; b= x y" + rest, rest.strip(b"; ") + b"; a=1;b=x y"):
        assert parse_record_tags(text, (b"a", b"b", b"c")) == {b"a": b"1", b"b": b"x y"}


@pytest.mark.parametrize("text", [b"a=1;a=1", b"x=1;a=;b=2; a =3", b"a=1" + b";" * 101])
def test_no_records(text: bytes) -> None:
    with pytest.raises(BadTagList):
        parse_record_tags(text, (b"a", b"b"))


@given(st.binary(max_size=60) | st.text("ab=; \r\n\t_1").map(str.encode))
def test_never_raises_another_error(text: bytes) -> None:
    try:
        found = parse_tag_list(text)
    except BadTagList:
        return
    assert found
    assert b";".join(b"=".join((name, tag.value)) for name, tag in found.items())


def test_too_many_tags() -> None:
    tags = [b"a%d=" % number for number in range(102)]
    assert len(parse_tag_list(b";".join(tags[:101]))) == 101
    with pytest.raises(BadTagList, match="too many"):
        parse_tag_list(b";".join(tags))


def test_values() -> None:
    tags = parse_tag_list(b"a=x; h= From :\r\n To:; n=12")
    assert value_of(tags, b"a") == b"x"
    assert value_of(tags, b"z", b"d") == b"d"
    assert words_of(value_of(tags, b"h")) == (b"From", b"To", b"")
    assert optional_number(tags, b"n", 2) == 12
    assert optional_number(tags, b"m", 2) is None
    with pytest.raises(BadTagList, match="no tag z="):
        value_of(tags, b"z")


@pytest.mark.parametrize("text", [b"", b"-1", b"+1", b"1_0", b"1 0", b"123", b"\xd9\xa1", b"x"])
def test_no_numbers(text: bytes) -> None:
    with pytest.raises(BadTagList, match="number"):
        optional_number(parse_tag_list(b"l=" + text), b"l", 2)


def test_base64() -> None:
    """White space is ignored, and the padding optional in the grammar (RFC 6376 section 3.2)."""
    for text in (b"YWI=", b"Y W\r\n\tI =", b"YWI"):
        assert read_base64(text, "b") == b"ab"
    for text in (b"", b"=", b"Y", b"YW-I", b"YW=I", b"Y\xd8"):
        with pytest.raises(BadTagList):
            read_base64(text, "b")
