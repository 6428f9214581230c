"""Measuring and teaching the classifier by commands, and what an explanation knows of it."""

from __future__ import annotations

import functools
import json
import mailbox
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from make_corpus import make_corpus
from zajil.cli.main import main

NOWHERE = ("--nameserver", "127.0.0.1:1", "--timeout", "0.1")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("ZAJIL_CONFIG", raising=False)

    def run_command(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return run_command


@pytest.fixture
def server(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A server that was set up, and never started; its people are amal and noor."""
    folder = tmp_path / "mail"
    run("setup", "north.test", "--dir", str(folder), "--admin", "amal@north.test")
    monkeypatch.setenv("ZAJIL_CONFIG", str(folder / "zajil.toml"))
    return folder


def write(folder: Path, kinds: tuple[str, ...], language: str = "", most: int = 1000) -> Path:
    """Write mails of the made corpus as files; give the folder."""
    folder.mkdir()
    for number, (_, _, name, content) in enumerate(picked(kinds, language, most)):
        (folder / f"{number:04}-{name}").write_bytes(content)
    return folder


@functools.cache
def corpus() -> list[tuple[str, str, str, bytes]]:
    """Return the made corpus; to make it takes half a second."""
    return list(make_corpus())


def picked(
    kinds: tuple[str, ...], language: str, most: int
) -> Iterator[tuple[str, str, str, bytes]]:
    found = [one for one in corpus() if one[0] in kinds and language in ("", one[1])]
    yield from found[:most]


def measure(run: Run, ham: Path, junk: Path, *more: str) -> dict[str, Any]:
    status, out, _ = run(
        "check", "measure", "--ham", str(ham), "--junk", str(junk), "--json", *more
    )
    assert status == 0
    told: dict[str, Any] = json.loads(out)
    return told


@pytest.mark.parametrize("language", ["en", "ar"])
def test_the_classifier_tells_the_classes_of_the_made_corpus(
    run: Run, tmp_path: Path, language: str
) -> None:
    """Wanted mail is not called junk; most junk is found. The bounds are loose: mails are made."""
    ham = write(tmp_path / "ham", ("ham",), language)
    junk = write(tmp_path / "junk", ("spam", "phishing"), language)
    told = measure(run, ham, junk)
    assert told["precision"] >= 0.98
    assert told["recall"] >= 0.8
    assert told["ham"] + told["junk"] >= 195
    assert told["signs"]["precision"] >= 0.98
    assert told["together"]["recall"] >= told["recall"] > told["signs"]["recall"] > 0


def test_every_form_that_mail_is_kept_in(run: Run, tmp_path: Path) -> None:
    ham = write(tmp_path / "ham", ("ham",), "en", 12)
    mbox, maildir = tmp_path / "junk.mbox", tmp_path / "Junk"
    box = mailbox.mbox(mbox)
    folder = mailbox.Maildir(maildir)
    for _, _, _, content in picked(("spam",), "en", 12):
        box.add(content.replace(b"\r\n", b"\n"))
        folder.add(content)
    box.close()
    told = [measure(run, ham, place, "--folds", "3") for place in (mbox, maildir)]
    assert [(one["ham"], one["junk"]) for one in told] == [(12, 12)] * 2
    assert told[0]["junk_found"] == told[1]["junk_found"]


def test_wrong_usage(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    place = str(tmp_path / "empty")
    status, _, err = run("check", "measure", "--ham", place, "--junk", place)
    assert (status, "fewer than two" in err) == (2, True)
    status, _, err = run("check", "measure", "--ham", place + "x", "--junk", place)
    assert status == 2


@pytest.mark.parametrize("whose", [(), ("--account", "amal")])
def test_what_was_taught_counts_in_an_explanation(
    run: Run, server: Path, tmp_path: Path, whose: tuple[str, ...]
) -> None:
    ham = write(tmp_path / "ham", ("ham",), "", 40)
    junk = write(tmp_path / "junk", ("spam",), "", 40)
    status, out, _ = run("check", "train", "--junk", str(junk), *whose)
    assert (status, out) == (0, "learned 40 of 40 mails as junk\n")
    run("check", "train", "--ham", str(ham), *whose)
    again = run("check", "train", "--junk", str(junk), *whose)
    assert again[1] == "learned 0 of 40 mails as junk\n"
    file = str(sorted(junk.iterdir())[0])
    status, out, _ = run("check", "explain", file, *whose, "--json", *NOWHERE)
    signals = {one["signal"] for one in json.loads(out)["reasons"]}
    assert ("words.own-junk" if whose else "words.junk") in signals


def test_names_of_ours_count_in_an_explanation(run: Run, server: Path, tmp_path: Path) -> None:
    file = tmp_path / "letter.eml"
    file.write_bytes(
        b"From: Help of north.test <x@far.example>\nTo: a@b.test\nSubject: hi\n"
        b"Date: Mon, 23 Nov 2026 12:00:00 +0000\nMessage-ID: <1@far.example>\n\nhello\n"
    )
    status, out, _ = run("check", "explain", str(file), "--json", *NOWHERE)
    assert "phish.name-of-ours" in {one["signal"] for one in json.loads(out)["reasons"]}
    status, _, err = run("check", "explain", str(file), "--account", "nobody", *NOWHERE)
    assert (status, err) == (
        1,
        "zajil: account nobody does not exist; see `zajil account list`\n",
    )


def test_without_a_server_a_file_is_judged_for_whom_it_is_addressed_to(
    run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "letter.eml"
    file.write_bytes(b"From: IT <it@n0rth.test>\nTo: amal@north.test\nSubject: x\n\nhello\n")
    _, out, _ = run("check", "explain", str(file), "--json", *NOWHERE)
    assert "phish.lookalike-author" in {one["signal"] for one in json.loads(out)["reasons"]}
