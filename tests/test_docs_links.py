"""What the documents point at is there: files, headings, functions, commands, options."""

from __future__ import annotations

import ast
import functools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from zajil.cli.main import app

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md"))

_FENCE = re.compile(r"^```.*?^```$", re.M | re.S)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CODE = re.compile(r"`([^`\n]+)`")
_CALLED = re.compile(r"`(\w+)\(\)`")
_HEADING = re.compile(r"^#+ +(.+)$", re.M)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def targets_of(text: str) -> list[str]:
    return [target for target in _LINK.findall(_FENCE.sub("", text)) if "://" not in target]


def anchors_of(path: Path) -> set[str]:
    """The names that a web page of the document gives its headings."""
    headings = _HEADING.findall(_FENCE.sub("", path.read_text("utf-8")))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document: Path) -> None:
    for target in targets_of(document.read_text("utf-8")):
        file, _, anchor = target.partition("#")
        path = (document.parent / file).resolve() if file else document
        assert path.exists(), target
        assert path.is_relative_to(ROOT), target
        if anchor and path.suffix == ".md":
            assert anchor in anchors_of(path), target


def test_the_front_door_leads_to_every_room() -> None:
    linked = {target.partition("#")[0] for target in targets_of((ROOT / "README.md").read_text())}
    rooms = ("ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "docs/journey.md")
    assert linked.issuperset(rooms)


def test_pictures_are_small() -> None:
    for picture in (ROOT / "docs" / "images").iterdir():
        assert picture.stat().st_size < 200_000, picture.name


# ---- docs/journey.md ----------------------------------------------------------------------------


def names_in(path: Path) -> set[str]:
    tree = ast.walk(ast.parse(path.read_text("utf-8")))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in tree if isinstance(node, kinds)}


def test_the_journey_names_what_is_there() -> None:
    """Each `function()` stands in a file that is linked in the same paragraph or list item."""
    document = ROOT / "docs" / "journey.md"
    for block in re.split(r"\n(?=\n|- )", document.read_text("utf-8")):
        files = [document.parent / target for target in targets_of(block)]
        known = {name for file in files if file.suffix == ".py" for name in names_in(file)}
        assert set(_CALLED.findall(block)) <= known, block


# ---- commands -----------------------------------------------------------------------------------

_OWN_TITLE = "docs/reference/commands.md"
"""Generated from the commands themselves; its headings are no command lines."""


def command_lines(text: str) -> Iterator[str]:
    """Every line of a shell example, and every piece of code in a sentence."""
    for fence in _FENCE.findall(text):
        yield from fence.splitlines()[1:-1]
    yield from _CODE.findall(_FENCE.sub("", text))


def zajil_words(line: str) -> list[str]:
    """What stands behind ``zajil`` or ``./lab``; empty: the line is something else."""
    line = line.removeprefix("$ ").removeprefix("ExecStart=")
    try:
        words = shlex.split(line, comments=True)
    except ValueError:
        return []
    if words and words[0] == "./lab":
        return ["lab", *words[1:]]
    if not words or words[0].rpartition("/")[2] != "zajil":
        return []
    return words[1:]


@functools.cache
def root_command() -> Any:
    return typer.main.get_command(app)


def check_command(words: list[str]) -> None:
    """Follow the words down the tree of commands; every option must be one of theirs."""
    if not words:
        return
    command = root_command()
    while words:
        word = words.pop(0)
        if word.startswith("-"):
            flags = {
                opt: one.is_flag
                for one in command.params
                for opt in (*one.opts, *one.secondary_opts)
                if opt[0] == "-"
            }
            flags |= {"--help": True, "-h": True}
            assert word in flags, f"{command.name} has no option {word}"
            if not flags[word] and words:
                words.pop(0)
        elif hasattr(command, "commands"):
            assert word in command.commands, f"{command.name} has no command {word}"
            command = command.commands[word]


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_commands_exist(document: Path) -> None:
    if name_of(document) == _OWN_TITLE:
        return
    for line in command_lines(document.read_text("utf-8")):
        check_command(zajil_words(line))


def test_a_wrong_command_is_found() -> None:
    with pytest.raises(AssertionError, match="no command dance"):
        check_command(zajil_words("zajil --config FILE queue dance"))
    with pytest.raises(AssertionError, match="no option --fast"):
        check_command(zajil_words("./lab --fast"))
