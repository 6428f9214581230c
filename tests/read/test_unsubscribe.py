"""Which ways out of a mailing list a page offers, and which of them in one click (RFC 8058)."""

from __future__ import annotations

import pytest

from zajil.message.fields import read_fields
from zajil.read.unsubscribe import Unsubscribe, read_unsubscribe

URL = "List-Unsubscribe: <mailto:leave@list.test?subject=bye%20now>, <https://list.test/u?1>\r\n"
POST = "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
SIGNATURE = (
    "DKIM-Signature: v=1; d=list.test; s=a; b=abcdefgh\r\n ijkl;"
    " h=From:List-Unsubscribe:\r\n List-Unsubscribe-Post\r\n"
)
RESULTS = "Authentication-Results: mx.a.test; dkim=pass header.d=list.test header.b=abcdefgh\r\n"


def read(text: str) -> Unsubscribe:
    return read_unsubscribe(read_fields(text.encode()), "mx.a.test")


def test_one_click_needs_the_field_and_a_valid_signature_over_both() -> None:
    found = read(RESULTS + SIGNATURE + URL + POST)
    assert found.one_click == found.page == "https://list.test/u?1"
    assert (found.address, found.subject) == ("leave@list.test", "bye now")


@pytest.mark.parametrize(
    "text",
    [
        RESULTS + SIGNATURE + URL,
        SIGNATURE + URL + POST,
        RESULTS + URL + POST,
        RESULTS.replace("mx.a", "mx.b") + SIGNATURE + URL + POST,
        RESULTS.replace("=pass", "=fail") + SIGNATURE + URL + POST,
        RESULTS.replace("abcdefgh", "abcdefgx") + SIGNATURE + URL + POST,
        RESULTS.replace("d=list", "d=evil") + SIGNATURE + URL + POST,
        RESULTS + SIGNATURE.replace("-Post", "-Pos") + URL + POST,
        RESULTS + SIGNATURE.replace("v=1", "v=1; v=1") + URL + POST,
        RESULTS + SIGNATURE + URL.replace("https:", "http:") + POST,
        RESULTS + SIGNATURE + URL + POST + POST,
        RESULTS + SIGNATURE + URL + POST.replace("One-Click", "Two"),
    ],
)
def test_otherwise_there_is_no_one_click(text: str) -> None:
    found = read(text)
    assert found.one_click == ""
    assert found.address == "leave@list.test"
    assert found.page.endswith("//list.test/u?1")


@pytest.mark.parametrize(
    "text",
    [
        "Subject: x\r\n",
        URL + URL,
        "List-Unsubscribe: https://list.test/\r\n",
        "List-Unsubscribe: <javascript:alert(1)>, <ftp://list.test/>, <//x>, <mailto:x>, <>\r\n",
        f"List-Unsubscribe: <{'x' * 9000}>\r\n",
    ],
)
def test_what_offers_nothing(text: str) -> None:
    assert read(text).is_empty
