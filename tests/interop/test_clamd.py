"""The real clamd, with signatures of our own."""

from __future__ import annotations

import asyncio
import base64
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.facts import make_facts
from kit.made_mail import HEAD, with_file
from kit.scanners import EICAR, MADE_WORD, find_program, running_clamd
from kit.store import make_account, open_test_store, running
from kit.talk import talk_to_receiver
from kit.zone import ZoneResolver
from zajil.check.learned.learned_checks import LearnedChecks
from zajil.check.scanners.clamd import Scanned, scan
from zajil.check.scanners.run import Scanners
from zajil.check.step import Checks
from zajil.check.verdict.verdict import Action
from zajil.config.options_check import CheckOptions
from zajil.config.options_content import ScannerOptions
from zajil.message.fields import split_message
from zajil.net.system import SystemClock

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(find_program("clamd") is None, reason="clamd is not installed"),
]
_MAX = 1_000_000


@pytest.fixture(scope="module")
def clamd() -> Iterator[str]:
    with (
        tempfile.TemporaryDirectory(prefix="zajil-clamd-") as folder,
        running_clamd(Path(folder), _MAX) as address,
    ):
        yield address


def ask(address: str, message: bytes, max_size: int = 10_000_000) -> Scanned:
    end, _ = split_message(message)
    header, body = message[:end], message[end:]
    return asyncio.run(scan(address, header, body, deadline=10, max_size=max_size))


def test_a_clean_mail(clamd: str) -> None:
    assert ask(clamd, HEAD + b"\r\nhello\r\n") == Scanned()


def test_eicar_in_an_encoded_attachment(clamd: str) -> None:
    encoded = base64.encodebytes(EICAR).replace(b"\n", b"\r\n")
    message = with_file("a.txt", encoded).replace(b": binary", b": base64")
    found = ask(clamd, message)
    assert found.malware is not None
    assert "Zajil.Eicar" in found.malware


def test_a_signature_of_our_own(clamd: str) -> None:
    found = ask(clamd, HEAD + b"\r\n" + MADE_WORD + b"\r\n")
    assert found.malware is not None
    assert "Zajil.Made" in found.malware


def test_larger_than_its_stream_may_be(clamd: str) -> None:
    found = ask(clamd, HEAD + b"\r\n" + b"x" * 60 * (_MAX // 20))
    assert found.malware is None
    assert found.failure is not None


def test_larger_than_we_send(clamd: str) -> None:
    assert ask(clamd, HEAD + b"\r\n" + b"x" * 99, 100).failure == "the message is too large"


def test_malware_is_refused_and_a_scanner_that_is_away_weighs_nothing(clamd: str) -> None:
    facts = make_facts(HEAD + b"\r\n" + MADE_WORD + b"\r\n")

    async def look(address: str, on_failure: str) -> list[Action | None]:
        options = ScannerOptions.model_validate({"clamd": address, "on_failure": on_failure})
        scanners = Scanners(options)
        found = await scanners.scan(facts)
        await scanners.close()
        assert len(found.events) == 1
        return [reason.demands for reason in found.reasons]

    assert asyncio.run(look(clamd, "accept")) == [Action.REJECT]
    assert asyncio.run(look("unix:/nowhere/clamd", "accept")) == [None]
    assert asyncio.run(look("unix:/nowhere/clamd", "defer")) == [None, Action.DEFER]


def test_eicar_is_refused_on_the_wire_and_a_clean_mail_taken(clamd: str, tmp_path: Path) -> None:
    """The whole way: SMTP, the check step, the real scanner, the reply; both ways."""
    store = open_test_store("sqlite", tmp_path)
    make_account(store, "amal@south.test")
    options = CheckOptions.model_validate({"scanners": {"clamd": clamd}})
    encoded = base64.encodebytes(EICAR).replace(b"\n", b"\r\n")
    infected = with_file("a.txt", encoded).replace(b": binary", b": base64")

    async def story() -> list[str]:
        async with running(store):
            clock = SystemClock()
            knowledge = LearnedChecks(store, options, clock)
            resolve = ZoneResolver({}).resolve
            checks = Checks(options, resolve, "mx.south.test", store.directory.is_ours, knowledge)
            talk = await talk_to_receiver(store, checks=checks)
            replies = [
                await talk.send("s@far.example", ["amal@south.test"], message)
                for message in (infected, HEAD + b"\r\nhello\r\n")
            ]
            await knowledge.scanners.close()
            return replies

    refused, taken = asyncio.run(story())
    assert refused.startswith("550 5.7.1")
    assert taken.startswith("250 2.0.0")
