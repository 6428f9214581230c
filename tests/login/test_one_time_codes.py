"""Codes of authenticator apps, and recovery codes."""

from __future__ import annotations

import os
from base64 import b32encode

import pytest

from zajil.login.one_time_codes import (
    RECOVERY_CODES,
    hash_recovery_code,
    is_secret,
    new_recovery_codes,
    new_secret,
    step_of_code,
)

SECRET = b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ],
)
def test_the_values_of_the_standard(seconds: int, code: str) -> None:
    """RFC 6238 appendix B, the last six of eight digits; section 4.2 numbers the steps."""
    assert step_of_code(SECRET, code, seconds * 1000) == seconds // 30
    assert step_of_code(SECRET, f" {code[:3]} {code[3:]}", seconds * 1000) == seconds // 30


def test_one_step_early_or_late_is_accepted() -> None:
    """RFC 6238 section 5.2."""
    now_ms = 1_111_111_111_000
    steps = [step_of_code(SECRET, "050471", now_ms + 30_000 * late) for late in range(-2, 3)]
    assert steps == [None, 37_037_037, 37_037_037, 37_037_037, None]


@pytest.mark.parametrize("code", ["", "28708", "2870820", "28708x", "٢٨٧٠٨٢", "-87082", "\0" * 6])
def test_what_is_no_code(code: str) -> None:
    assert step_of_code(SECRET, code, 59_000) is None


def test_secrets_and_recovery_codes_are_new_each_time() -> None:
    assert is_secret(new_secret(os.urandom))
    assert new_secret(os.urandom) != new_secret(os.urandom)
    codes = new_recovery_codes(os.urandom)
    assert len(set(codes)) == RECOVERY_CODES
    assert hash_recovery_code(codes[0]) == hash_recovery_code(f" {codes[0].upper()} ")
    assert hash_recovery_code(codes[0]) != hash_recovery_code(codes[1])
