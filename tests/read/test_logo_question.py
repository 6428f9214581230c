"""Whose logo a message may show: this server proved its author, under an enforced policy."""

from __future__ import annotations

import pytest

from zajil.core.domain import to_ascii
from zajil.message.fields import read_fields
from zajil.read.logo_question import LogoQuestion, read_logo_question

PASSED = "dmarc=pass header.from=south.test policy.dmarc=reject"
SELECTOR = "BIMI-Selector: v=BIMI1; s=winter\r\n"


def question(
    results: str, *others: str, author: str = "south.test", by: str = "mx.north.test"
) -> LogoQuestion | None:
    field = f"Authentication-Results: {by}; {results}\r\n"
    return read_logo_question(
        read_fields((field + "".join(others)).encode()), "mx.north.test", author
    )


def signature(
    domain: str = "south.test", names: str = "from:bimi-selector", b: str = "MDEyMzQ1Njc4OQ=="
) -> str:
    return (
        f"DKIM-Signature: v=1; a=rsa-sha256; d={domain}; s=k; h={names};\r\n"
        f" bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b={b}\r\n"
    )


def test_an_author_that_is_proved() -> None:
    assert question(PASSED) == LogoQuestion("south.test", "default")
    assert question(PASSED.replace("reject", "quarantine")) == LogoQuestion("south.test", "default")
    found = question(PASSED.replace("south.test", to_ascii("زاجل.test")), author="زاجل.test")
    assert found == LogoQuestion(to_ascii("زاجل.test"), "default")


@pytest.mark.parametrize(
    ("results", "author"),
    [
        ("dmarc=pass header.from=south.test policy.dmarc=none", "south.test"),
        ("dmarc=pass header.from=south.test", "south.test"),
        ("dmarc=fail header.from=south.test policy.dmarc=reject", "south.test"),
        ("dkim=pass header.d=south.test; spf=pass smtp.mailfrom=a@south.test", "south.test"),
        (PASSED, "north.test"),
        (PASSED, ""),
        (PASSED, "a b"),
    ],
)
def test_an_author_that_is_not(results: str, author: str) -> None:
    assert question(results, author=author) is None
    assert question(PASSED, by="mx.evil.test") is None


SIGNED = "dkim=pass header.d=south.test header.s=k header.b=MDEyMzQ1; " + PASSED


@pytest.mark.parametrize(
    ("results", "fields", "selector"),
    [
        (SIGNED, (SELECTOR, signature()), "winter"),
        (SIGNED, (SELECTOR, "DKIM-Signature: x\r\n", signature()), "winter"),
        (SIGNED, (signature(),), "default"),
        (SIGNED, (SELECTOR,), "default"),
        (SIGNED, (SELECTOR, SELECTOR, signature()), "default"),
        (SIGNED, ("BIMI-Selector: winter\r\n", signature()), "default"),
        # Nobody who forwards a mail chooses: the field has to be signed, by a signature that holds.
        (SIGNED, (SELECTOR, signature(names="from:to")), "default"),
        (SIGNED, (SELECTOR, signature(b="QUJDREVGR0hJSktM")), "default"),
        (
            SIGNED.replace("=south.test header.s", "=evil.test header.s"),
            (SELECTOR, signature("evil.test")),
            "default",
        ),
        (SIGNED.replace("dkim=pass", "dkim=fail"), (SELECTOR, signature()), "default"),
        (PASSED, (SELECTOR, signature()), "default"),
    ],
)
def test_a_selector_counts_only_if_it_is_signed(
    results: str, fields: tuple[str, ...], selector: str
) -> None:
    assert question(results, *fields) == LogoQuestion("south.test", selector)
