"""Whatever bytes a name server sends, nothing raises (attacks.md K)."""

from __future__ import annotations

import dns.message
from hypothesis import given
from hypothesis import strategies as st

from zajil.dns.flow import Answer, Question
from zajil.resolver.wire import Alias, Rejected, make_query, read_answer, read_response

ASKED = Question("a.test", "MX")


@given(st.binary(max_size=80), st.booleans())
def test_no_datagram_raises(tail: bytes, like_ours: bool) -> None:
    query = make_query(ASKED, lambda size: bytes(size))
    assert query is not None
    head = query.wire[:2] + b"\x81\x80" + query.wire[4:6] + b"\0\1\0\1\0\0" + query.wire[12:24]
    response = read_response(query, head + tail if like_ours else tail)
    if response is not None:
        assert isinstance(read_answer(ASKED, response, trusted=True), Answer | Alias | Rejected)


@given(st.text(max_size=300))
def test_no_name_raises(name: str) -> None:
    query = make_query(Question(name, "A"), lambda size: bytes(size))
    assert query is None or dns.message.from_wire(query.wire).question
