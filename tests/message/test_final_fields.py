from __future__ import annotations

from zajil.core.address import parse_address
from zajil.message.fields import read_fields
from zajil.message.final_fields import write_final_fields


def test_both_fields() -> None:
    salma = parse_address("سلمى@زاجل.test")
    assert write_final_fields(parse_address("amal@north.test"), salma) == (
        f"Return-Path: <amal@north.test>\r\nDelivered-To: {salma}\r\n"
    )
    assert write_final_fields(None, salma).startswith("Return-Path: <>\r\n")


def test_an_odd_local_part_cannot_add_a_field() -> None:
    written = write_final_fields(parse_address('"a> b"@x.test'), parse_address('"\\"c"@y.test'))
    assert [field.name for field in read_fields(written.encode())] == [
        b"return-path",
        b"delivered-to",
    ]
