"""i;unicode-casemap. (RFC 5051)"""

from __future__ import annotations

import pytest

from zajil.message.casemap import casemap


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("abcZ9", "ABCZ9"),
        ("\u00e9", "E\u0301"),
        ("e\u0301", "E\u0301"),
        ("stra\u00dfe", "STRA\u00dfE"),  # the simple mapping: one character stays one
        ("\u01c6", "Dz\u030c"),  # titlecase, then decomposed
        ("\ufb01", "fi"),
        ("\u0645\u0631\u062d\u0628\u0627", "\u0645\u0631\u062d\u0628\u0627"),
    ],
)
def test_casemap(text: str, want: str) -> None:
    assert casemap(text) == want
