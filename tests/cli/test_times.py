"""Times for people: one zone, whatever that of the machine, and it is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kit.store import NOW_MS, make_intake
from zajil.cli.output import spell_age, spell_size, spell_time
from zajil.config.load import load_configuration
from zajil.core.ids import MailId
from zajil.operations.run import open_admin_store
from zajil.store.mail.intake import write_intakes
from zajil.store.mail.tracking import EventBatch, record_events
from zajil.tracking.events import DeliveryDeferred


def test_a_time_names_its_zone() -> None:
    assert spell_time(None) == "-"
    assert spell_time(1_700_000_000_999) == "2023-11-14 22:13:20 UTC"
    assert spell_time(10**20) == "9999-12-31 23:59:59 UTC"


@pytest.mark.parametrize(
    ("age_ms", "text"),
    [
        (-5, "0s"),
        (59_999, "59s"),
        (61_000, "1m 1s"),
        (3_600_000, "1h 0m"),
        (90_061_000, "1d 1h"),
        (8_640_000_000, "100d 0h"),
    ],
)
def test_an_age_has_two_units(age_ms: int, text: str) -> None:
    assert spell_age(age_ms) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1024, "1.0 KiB"), (15_096, "15 KiB"), (5 * 2**40, "5.0 TiB")],
)
def test_a_size_is_short(size: int, text: str) -> None:
    assert spell_size(size) == text


def test_the_journey_and_its_sentences_are_in_one_zone(server: Path) -> None:
    with open_admin_store(load_configuration(server)) as store:
        item = make_intake(store.blobs.stage((b"Subject: x\r\n\r\n",)), remote=["x@one.test"])
        store.write_now(write_intakes, item)
        event = DeliveryDeferred(NOW_MS, "x@one.test", None, "no answer", NOW_MS + 300_000)
        batch = EventBatch(None, MailId(item.mail_id), NOW_MS, (event,))
        store.write_now(record_events, batch)

    def zajil(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "zajil", *arguments],
            capture_output=True,
            encoding="utf-8",
            check=True,
            env={**os.environ, "ZAJIL_CONFIG": str(server), "TZ": "Asia/Riyadh"},
        ).stdout

    told = zajil("journey", "show", item.mail_id)
    assert f"  {spell_time(NOW_MS)}  " in told
    assert spell_time(NOW_MS + 300_000) in told  # when it is tried again, in the sentence
    assert "+0" not in told
    at = spell_time(NOW_MS).removesuffix(" UTC").replace(" ", "T")
    assert item.mail_id in zajil("journey", "find", "--since", at)
    later = spell_time(NOW_MS + 1000).removesuffix(" UTC")
    assert item.mail_id not in zajil("journey", "find", "--since", later)
    assert item.mail_id in zajil("journey", "find", "--since", f"{later}+03:00")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_the_words(shell: str) -> None:
    script = [
        sys.executable,
        "-c",
        "import sys; sys.argv = ['zajil']; import zajil.cli.main as m; m.main()",
    ]

    def ask(**environment: str) -> str:
        return subprocess.run(
            script, capture_output=True, text=True, check=True, env={**os.environ, **environment}
        ).stdout

    assert "zajil" in ask(_ZAJIL_COMPLETE=f"source_{shell}")
    if shell == "bash":
        found = ask(_ZAJIL_COMPLETE="complete_bash", COMP_WORDS="zajil queue re", COMP_CWORD="2")
        assert found.split() == ["release", "retry"]
