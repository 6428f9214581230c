"""``zajil check``: as other programs drive it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zajil.check.verdict.signals import SIGNALS
from zajil.cli.main import main

NOWHERE = ("--nameserver", "127.0.0.1:1", "--timeout", "0.1")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(("check", *arguments))
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZAJIL_CONFIG", raising=False)


@pytest.fixture
def letter(tmp_path: Path) -> str:
    file = tmp_path / "letter.eml"
    file.write_bytes(b"From: a@b.test\nFrom: c@d.test\n\nA letter.\n")
    return str(file)


def test_a_file_is_explained_to_a_program(letter: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Design section 6: the keys that other programs rely on."""
    status, out, _ = run(capsys, "explain", letter, "--json", *NOWHERE)
    told = json.loads(out)
    assert (status, told["verdict"]) == (1, "junk")
    assert isinstance(told["score"], float)
    assert told["reasons"][0] == {
        "signal": "format.repeated-from",
        "weight": 5.0,
        "text": "The message has more than one From field.",
    }
    assert {
        "without": "format.repeated-from",
        "more": 0.0,
        "verdict": "accept",
        "text": "Without format.repeated-from the message would have been accepted.",
    } in told["changes"]


def test_a_file_is_explained_to_a_person(letter: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "explain", letter, "--language", "ar", *NOWHERE)
    assert status == 1
    assert "تحتوي الرسالة على أكثر من حقل From." in out
    assert "لولا format.repeated-from لكانت الرسالة مقبولة." in out


@pytest.mark.parametrize(
    "more",
    [
        ("--ip", "nobody"),
        ("--language", "tlh"),
        ("--mail-from", "no address"),
        ("--nameserver", "x"),
    ],
)
def test_wrong_usage(
    letter: str, more: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, "explain", letter, *NOWHERE, *more)
    assert (status, out) == (2, "")
    assert err.startswith("zajil: ")


def test_a_mail_of_ours_needs_a_server(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "explain", "0" * 28)
    assert status == 2
    assert "no configuration" in err


def test_every_signal_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    main_status, out, _ = run(capsys, "signals", "--json")
    assert main_status == 0
    assert {one["signal"] for one in json.loads(out)["signals"]} == set(SIGNALS)
