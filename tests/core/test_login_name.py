from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.core.login_name import BadLogin, parse_login


@pytest.mark.parametrize(
    ("text", "login"), [("amal", "amal"), ("AMAL.s", "amal.s"), ("ａｍａｌ", "amal")]
)
def test_a_login_name_is_prepared(text: str, login: str) -> None:
    """RFC 8265 section 3.3: width and case are folded before it is looked up."""
    assert parse_login(text) == login


@pytest.mark.parametrize(
    "text", ["", "سلمى", ".amal", "-x", "a b", "a@b", "x" * 64, "a\x00", "a\n", "\ud800"]
)
def test_what_is_no_login_name_is_refused(text: str) -> None:
    with pytest.raises(BadLogin):
        parse_login(text)


@given(st.text(max_size=20))
def test_a_prepared_name_stays_as_it_is(text: str) -> None:
    try:
        login = parse_login(text)
    except BadLogin:
        return
    assert parse_login(login) == login
