"""The shells complete commands, options, closed lists of values, and files."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from pathlib import Path

import pytest

from kit.foreign import need_program
from shell_completion import write_completion_files
from zajil.cli.commands import PLACES as COMMANDS

_SECONDS = 60.0
_EXPECTED = [
    ("zajil que", {"queue"}),
    ("zajil queue re", {"release", "retry"}),
    ("zajil --config /x account app-p", {"app-password"}),
    ("zajil account app-password a", {"add"}),
    ("zajil queue list --st", {"--state"}),
    ("zajil queue list --state ", {"waiting", "held"}),
    ("zajil account admin amal@example.org ", {"on", "off"}),
    ("zajil serve --config /etc/hostn", {"/etc/hostname"}),
    ("zajil queue list --sender ", set()),
    ("zajil nonsense ", set(COMMANDS)),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("completion")
    write_completion_files(made)
    return made


@pytest.mark.interop
@pytest.mark.parametrize(("line", "wanted"), _EXPECTED)
def test_bash(folder: Path, line: str, wanted: set[str]) -> None:
    assert _in_bash(folder, line) == wanted


@pytest.mark.interop
def test_bash_takes_an_equals_sign_between_option_and_value(folder: Path) -> None:
    assert _in_bash(folder, "zajil serve --config = /etc/hostn") == {"/etc/hostname"}
    assert _in_bash(folder, "zajil queue list --state = h") == {"held"}


@pytest.mark.interop
@pytest.mark.parametrize(("line", "wanted"), _EXPECTED)
def test_fish(folder: Path, line: str, wanted: set[str]) -> None:
    file = folder / "fish/vendor_completions.d/zajil.fish"
    script = 'source $argv[1]; complete -C "$argv[2]"'
    command = [need_program("fish"), "--no-config", "-c", script, str(file), line]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert {one.partition("\t")[0] for one in done.stdout.splitlines()} == wanted


@pytest.mark.interop
def test_zsh(folder: Path) -> None:
    """zsh completes in its line editor only: one that runs on a terminal of its own."""
    zsh = need_program("zsh")
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(TERM="dumb", ZDOTDIR=str(folder))
        os.execv(zsh, [zsh, "-f", "-i"])  # noqa: S606  # no shell between: it is the shell
    try:
        place = folder / "zsh/vendor-completions"
        _type(terminal, f"fpath=({place} $fpath); autoload -U compinit; compinit -u -D\n")
        _type(terminal, "PS1=; unsetopt list_beep; echo rea''dy\n", until=r"ready\r\n")
        for typed, wanted in [
            ("zajil que\t", "zajil queue"),
            ("zajil queue li\t", "zajil queue list"),
            ("zajil queue list --st\t", "--state"),
            ("zajil queue list --state wa\t", "waiting"),
            ("zajil account admin x of\t", "off"),
            ("zajil serve --config /etc/hostn\t", "/etc/hostname"),
            ("zajil queue re\t\t", "release .*retry "),
        ]:
            _type(terminal, typed, until=wanted)
            _type(terminal, "\x15")  # Ctrl-U: an empty line again
    finally:
        os.close(terminal)
        os.waitpid(child, 0)


def _in_bash(folder: Path, line: str) -> set[str]:
    """Complete the last word of a line, which may be empty, as the shell's editor would."""
    script = """
        . "$1"; shift
        compopt() { :; }  # there is no completion under way to change
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _zajil
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    file = folder / "bash-completion/completions/zajil"
    done = subprocess.run(
        [need_program("bash"), "--norc", "-c", script, "bash", str(file), *line.split(" ")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def _type(terminal: int, text: str, *, until: str | None = None) -> None:
    """Type into a terminal; wait for a pattern in what it shows."""
    os.write(terminal, text.encode())
    seen, end = "", time.monotonic() + _SECONDS
    while until is not None and not re.search(until, seen, re.S):
        assert time.monotonic() < end, f"{text!r}: {seen!r}"
        if select.select([terminal], [], [], 1)[0]:
            seen += os.read(terminal, 4096).decode(errors="replace")
