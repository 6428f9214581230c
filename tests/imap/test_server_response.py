"""Responses of other servers, as a client of ours reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.imap.server_response import (
    BadServerResponse,
    ServerStatus,
    Value,
    read_fetched,
    read_listed,
    read_status,
    read_values,
)


@pytest.mark.parametrize(
    ("data", "values"),
    [
        (b'LIST (\\Sent) "/" "a \\"b\\""\r\n', [b"LIST", [b"\\Sent"], b"/", b'a "b"']),
        (b"LIST () NIL [Gmail]/x\r\n", [b"LIST", [], None, b"[Gmail]/x"]),
        (b"1 FETCH (BODY[] {3}\r\na)b UID 2)", [b"1", b"FETCH", [b"BODY[]", b"a)b", b"UID", b"2"]]),
        (b"1 FETCH (X[A.B (C D)] NIL)", [b"1", b"FETCH", [b"X[A.B (C D)]", None]]),
        (b'NAMESPACE (("" "/")) NIL NIL', [b"NAMESPACE", [[b"", b"/"]], None, None]),
    ],
)
def test_values(data: bytes, values: list[Value]) -> None:
    assert read_values(data) == values


@pytest.mark.parametrize("data", [b"(", b")", b'"', b"{5}\r\nabc", b"(" * 100, b"{x}"])
def test_what_is_none(data: bytes) -> None:
    with pytest.raises(BadServerResponse):
        read_values(data)


@given(st.binary(max_size=200))
def test_nothing_else_is_raised(data: bytes) -> None:
    read_status(data)
    try:
        values = read_values(data)
    except BadServerResponse:
        return
    read_listed(values)
    read_fetched(values)


def test_status() -> None:
    found = read_status(b"NO [OVERQUOTA] full [x]\r\n")
    assert found == ServerStatus("NO", "OVERQUOTA", "full [x]")
    assert read_status(b"BYE") == ServerStatus("BYE", "", "")
    assert read_status(b"1 EXISTS") is None
