"""The real Rspamd, without a network."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.facts import make_facts
from kit.made_mail import HEAD
from kit.scanners import GTUBE, find_program, running_rspamd
from zajil.check.scanners.run import ScannerFindings, Scanners
from zajil.config.options_content import ScannerOptions

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(find_program("rspamd") is None, reason="Rspamd is not installed"),
]


@pytest.fixture(scope="module")
def rspamd() -> Iterator[str]:
    with (
        tempfile.TemporaryDirectory(prefix="zajil-rspamd-") as folder,
        running_rspamd(Path(folder)) as url,
    ):
        yield url


def ask(url: str, body: bytes) -> ScannerFindings:
    async def look() -> ScannerFindings:
        scanners = Scanners(ScannerOptions.model_validate({"rspamd": url}))
        try:
            return await scanners.scan(make_facts(HEAD + b"\r\n" + body + b"\r\n"))
        finally:
            await scanners.close()

    return asyncio.run(look())


def test_an_honest_mail_weighs_nothing(rspamd: str) -> None:
    (reason,) = ask(rspamd, b"hello").reasons
    assert reason.signal == "scan.rspamd"
    assert reason.weight == 0


def test_what_every_filter_calls_spam(rspamd: str) -> None:
    found = ask(rspamd, GTUBE)
    assert found.events[0].result == "reject"


def test_away_is_no_sign_against_the_mail() -> None:
    (reason,) = ask("http://127.0.0.1:1", b"hello").reasons
    assert (reason.signal, reason.weight) == ("scan.away", 0)
