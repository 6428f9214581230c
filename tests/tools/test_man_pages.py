"""The manual pages are what man and mandoc take, and leave nothing out."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from kit.foreign import need_program
from man_pages import man_pages, write_man_pages
from zajil.cli.commands import PLACES as COMMANDS
from zajil.config.example import option_texts


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_man_pages(tmp_path_factory.mktemp("man"), "1.2.3")


def test_every_command_has_a_page_and_every_option_an_entry() -> None:
    made = man_pages("1.2.3")
    assert set(made) == {"zajil.1", "zajil.toml.5", *(f"zajil-{name}.1" for name in COMMANDS)}
    for name in COMMANDS:
        assert rf"\fBzajil\-{name.replace('-', chr(92) + '-')}\fR(1)" in made["zajil.1"]
    for group, _, options in option_texts():
        entries = made["zajil.toml.5"].partition(f'.SS "[{group}]"')[2].partition(".SS")[0]
        assert [one.name for one in options if rf"\fB{one.name}\fR" not in entries] == []


def test_a_line_of_text_never_becomes_a_request() -> None:
    """A line that begins with a dot or an apostrophe would vanish from the page."""
    requests = {".TH", ".SH", ".SS", ".TP", ".PP", ".br", '.\\"'}
    for name, text in man_pages("1").items():
        found = {line.split()[0] for line in text.splitlines() if line[:1] in (".", "'")}
        assert found <= requests, name


@pytest.mark.interop
def test_man_shows_every_page_without_a_warning(pages: list[Path]) -> None:
    man = need_program("man")
    command = [man, "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", *map(str, pages)]
    done = subprocess.run(
        command, capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80"}
    )
    assert (done.returncode, done.stderr.decode()) == (0, "")


@pytest.mark.interop
def test_mandoc_has_no_complaint(pages: list[Path]) -> None:
    done = subprocess.run(
        [need_program("mandoc"), "-T", "lint", "-W", "warning", *map(str, pages)],
        capture_output=True,
        text=True,
    )
    complaints = [line for line in done.stdout.splitlines() if "missing date" not in line]
    assert complaints == []
