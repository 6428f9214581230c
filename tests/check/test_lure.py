"""Borrowed brands, and what a mail presses for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.made_mail import HEAD, view_and_facts
from zajil.check.content.pressure_wording import borrowed_brand, has_pressure_wording


@pytest.mark.parametrize(
    ("name", "domain", "brand"),
    [
        ("PayPal", "evil.example", "paypal"),
        ("PayPaI Support", "evil.example", "paypal"),  # a capital I for the l
        ("LinkedIn", "linkedin.com", None),
        ("Service (PayPal)", "paypal-secure.example", "paypal"),
        ("ＰａｙＰａｌ", "evil.example", "paypal"),
        ("واتساب", "evil.example", "واتساب"),
        ("أرامكس للشحن", "evil.example", "ارامكس"),
        ("PayPal", "mail.paypal.com", None),
        ("PayPal", "paypal.co.uk", None),
        ("Facebook", "facebookmail.com", None),
        ("Amazon.de", "amazon.de", None),
        ("Amal Nasser", "far.example", None),
        ("Apple Orchard", "far.example", None),
    ],
)
def test_brands(name: str, domain: str, brand: str | None) -> None:
    assert borrowed_brand(name, domain) == brand


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("Verify your account within 24 hours or it will be suspended", True),
        ("أكّد حسابك خلال ٢٤ ساعة وإلا أُغلق", True),
        ("I need five gift cards", True),
        ("احتاج بطاقات هدايا", True),
        ("Your account statement is ready", False),
        ("the meeting was cancelled", False),
        ("كشف حسابك جاهز", False),
    ],
)
def test_lures(text: str, is_one: bool) -> None:
    message = HEAD + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + text.encode()
    assert has_pressure_wording(view_and_facts(message)[0]) is is_one


@given(st.text(max_size=100), st.text(max_size=40))
def test_any_text(name: str, domain: str) -> None:
    borrowed_brand(name, domain)
