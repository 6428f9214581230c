"""Missing programs are found out and told in one line."""

from __future__ import annotations

import pytest

from kit.foreign import PACKAGES, find_program, missing_line, need_program


def test_a_missing_program_skips_and_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PACKAGES, "no-such-program", "no-such-package")
    with pytest.raises(pytest.skip.Exception) as skipped:
        need_program("no-such-program")
    # As pytest reports it: a tuple of file, line and reason.
    reason = str(("tests/test_x.py", 7, f"Skipped: {skipped.value}"))
    assert missing_line([reason, reason, "another reason"]) == (
        "skipped for want of no-such-program (2 tests); "
        "to run them: apt-get install no-such-package"
    )


def test_what_is_not_of_debian_says_its_own_command() -> None:
    reasons = ["needs b (npm ci in /x): the registry is away", "needs a (apt-get install a)"]
    assert missing_line(reasons) == (
        "skipped for want of a (1 tests), b (1 tests); to run them: apt-get install a; npm ci in /x"
    )


def test_nothing_missing_is_not_mentioned() -> None:
    assert missing_line(["only on PostgreSQL"]) is None


def test_a_program_is_found_outside_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert find_program("sh") is not None
