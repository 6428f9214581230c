"""The limit of open files: raised as far as the caps ask and the system allows."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from zajil.app.open_files import allow_open_files, files_needed
from zajil.config.load import parse_configuration


@pytest.fixture
def hard() -> Iterator[int]:
    """Give the hard limit, with a soft limit far below it for the time of the test."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = 100_000 if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest - 100, hard))
    yield highest
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def soft_limit() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_each_service_that_listens_may_have_all_its_sessions_in_one_worker() -> None:
    text = """
        [server]
        hostname = "mx.north.test"
        data_dir = "/var/lib/zajil"
        [limits]
        sessions = 5000
        [listen]
        smtp = ["127.0.0.1:25"]
        lmtp = ["unix:/run/zajil/lmtp"]
        submission = []
        submissions = []
        imap = []
        pop3 = []
        pop3s = []
        imaps = ["127.0.0.1:993", "[::1]:993"]
        """
    assert files_needed(parse_configuration(text, Path("/etc/zajil.toml"))) == 17_000


def test_the_soft_limit_is_raised_as_far_as_needed(
    hard: int, caplog: pytest.LogCaptureFixture
) -> None:
    allow_open_files(hard - 50)
    assert soft_limit() == hard - 50
    allow_open_files(100)
    assert soft_limit() == hard - 50
    assert caplog.records == []


def test_a_hard_limit_that_is_too_low_is_told(hard: int, caplog: pytest.LogCaptureFixture) -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] == resource.RLIM_INFINITY:
        pytest.skip("this system has no hard limit")
    allow_open_files(hard + 1)
    assert soft_limit() == hard
    (log,) = caplog.records
    assert log.levelname == "WARNING"
    assert log.__dict__["values"] == {"needed": hard + 1, "allowed": hard}
    assert "LimitNOFILE" in log.getMessage()
    assert "limits.sessions" in log.getMessage()
