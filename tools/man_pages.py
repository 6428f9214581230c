"""Write the manual pages: ``zajil(1)``, one for each command, and ``zajil.toml(5)``.

    python tools/man_pages.py FOLDER

The pages go to ``FOLDER/man1`` and ``FOLDER/man5``; they are made from the command line's own
definition and from the models of the options. A build of the package runs this.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path

from command_tree import CommandNode, Parameter, command_tree
from zajil.config.example import OptionText, option_texts
from zajil.config.places import CONFIGURATION_FILE

_STATUS = (
    ("0", "The command did what it was asked."),
    ("1", "It could not be done, or the answer is no."),
    ("2", "The command line or the configuration file has an error."),
)


def man_pages(released: str) -> dict[str, str]:
    """Return each page by its file name, such as ``zajil-queue.1``.

    Args:
        released: version of the program.
    """
    root = command_tree()
    pages = {"zajil.1": _root_page(root)}
    for command in root.commands:
        pages[f"zajil-{command.name}.1"] = _command_page(command, root.commands)
    pages["zajil.toml.5"] = _options_page()
    return {name: _head(name, released) + text for name, text in pages.items()}


def write_man_pages(folder: Path, released: str) -> list[Path]:
    """Write all pages below a folder, as ``man_pages`` makes them; return the files."""
    written = []
    for name, text in man_pages(released).items():
        path = folder / f"man{name[-1]}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        written.append(path)
    return written


def _root_page(root: CommandNode) -> str:
    lines = _name("zajil", "complete mail system")
    lines += [".SH SYNOPSIS", *_synopsis(root), ".SH DESCRIPTION"]
    lines += [
        _text(
            "Zajil receives, checks, stores and delivers mail, and shows every step of each mail."
        ),
        ".PP",
        _text(
            "`zajil setup` sets up a server, `zajil serve` runs it. The other commands work "
            "while the server runs and while it is stopped."
        ),
    ]
    lines += [".SH OPTIONS", *_parameters(root.parameters), ".SH COMMANDS"]
    for command in root.commands:
        lines += [".TP", rf"\fBzajil\-{_escape(command.name)}\fR(1)", _text(command.summary)]
    pages = [f"zajil-{command.name}(1)" for command in root.commands]
    return _end(lines, ["zajil.toml(5)", *pages])


def _command_page(command: CommandNode, all_commands: Iterable[CommandNode]) -> str:
    leaves = [one for one in command.walk() if not one.is_group]
    lines = _name(f"zajil-{command.name}", _lower(command.summary))
    lines.append(".SH SYNOPSIS")
    for number, one in enumerate(leaves):
        lines += [".br"] if number else []
        lines += _synopsis(one)
    lines.append(".SH DESCRIPTION")
    lines += _paragraphs(command.help)
    if command.is_group:
        lines.append(".SH COMMANDS")
        for one in leaves:
            lines += [f'.SS "{_escape(" ".join(one.path))}"', *_paragraphs(one.help)]
            lines += _parameters(one.parameters)
    elif command.parameters:
        lines += [".SH OPTIONS", *_parameters(command.parameters)]
    others = [f"zajil-{one.name}(1)" for one in all_commands if one.name != command.name]
    return _end(lines, ["zajil(1)", "zajil.toml(5)", *others])


def _options_page() -> str:
    lines = _name("zajil.toml", "configuration file of Zajil")
    lines += [".SH SYNOPSIS", rf"\fI{_escape(str(CONFIGURATION_FILE))}\fR", ".SH DESCRIPTION"]
    lines += [
        _text("The file is in the TOML format. A table begins with its name in brackets, and its "
              "options follow, one per line."),
        ".PP",
        _text('Durations and sizes are written with a unit: `"30s"`, `"5d"`, `"25MiB"`.'),
        ".PP",
        _text("`zajil config example` prints a file with all options; `zajil config check` checks "
              "yours."),
        ".SH OPTIONS",
    ]  # fmt: skip
    for group, purpose, options in option_texts():
        lines += [f'.SS "[{_escape(group)}]"', _text(purpose)]
        for option in options:
            lines += _option(option)
    return _end(lines, ["zajil(1)", "zajil-config(1)"], status=False)


def _option(option: OptionText) -> Iterator[str]:
    yield from (".TP", rf"\fB{_escape(option.name)}\fR")
    yield _text(option.description)
    yield ".br"
    yield _text(f"Value: {option.kind}. " + ("Required." if option.is_required else
                f"Default: {option.default or 'none'}."))  # fmt: skip


def _head(file_name: str, released: str) -> str:
    name, _, section = file_name.rpartition(".")
    return (
        '.\\" Generated from the source of Zajil; do not edit.\n'
        f'.TH "{_escape(name.upper())}" "{section}" "" "Zajil {_escape(released)}" "Zajil"\n'
    )


def _name(name: str, summary: str) -> list[str]:
    return [".SH NAME", rf"{_escape(name)} \- {_escape(summary.rstrip('.'))}"]


def _end(lines: list[str], see_also: list[str], *, status: bool = True) -> str:
    if status:
        lines.append(".SH EXIT STATUS")
        for number, meaning in _STATUS:
            lines += [".TP", rf"\fB{number}\fR", _text(meaning)]
        lines += [".SH ENVIRONMENT", ".TP", r"\fBZAJIL_CONFIG\fR"]
        lines.append(_text("Configuration file to use if `--config` is not given."))
    lines += [".SH FILES", ".TP", rf"\fI{_escape(str(CONFIGURATION_FILE))}\fR"]
    lines.append(_text("The configuration file that is used if no other one is given."))
    lines.append(".SH SEE ALSO")
    links = (re.sub(r"(.*)(\(\d\))", r"\\fB\1\\fR\2", _escape(one)) for one in see_also)
    lines.append(",\n".join(links))
    return "\n".join(lines) + "\n"


def _synopsis(command: CommandNode) -> list[str]:
    words = [rf"\fB{_escape(' '.join(command.path))}\fR"]
    options = [one for one in command.parameters if not one.is_argument]
    words += [_spelled(one) for one in options if one.is_required]
    if any(not one.is_required for one in options):
        words.append(r"[\fIOPTIONS\fR]")
    for one in command.parameters:
        if one.is_argument:
            word = rf"\fI{_escape(one.spellings[0])}\fR"
            word += " ..." if one.is_repeatable else ""
            words.append(word if one.is_required else f"[{word}]")
    if command.is_group:
        words.append(r"\fICOMMAND\fR ...")
    return [" ".join(words)]


def _parameters(parameters: Iterable[Parameter]) -> Iterator[str]:
    for one in parameters:
        text = one.help
        if one.variable:
            text += f" Environment variable: {one.variable}."
        if one.is_repeatable and not one.is_argument and "repeat" not in text:
            text += " Can be repeated."
        yield ".TP"
        yield _spelled(one)
        yield _text(text.strip()) or r"\&"


def _spelled(one: Parameter) -> str:
    if one.is_argument:
        return rf"\fI{_escape(one.spellings[0])}\fR"
    names = ", ".join(rf"\fB{_escape(name)}\fR" for name in one.spellings)
    return names if one.value is None else rf"{names} \fI{_escape(one.value)}\fR"


def _paragraphs(text: str) -> list[str]:
    return "\n.PP\n".join(_text(" ".join(one.split())) for one in text.split("\n\n")).split("\n")


def _text(text: str) -> str:
    """Return lines of roff: what stands between backquotes is bold."""
    pieces = re.split(r"`+([^`]+)`+", text)
    marked = [rf"\fB{_escape(one)}\fR" if i % 2 else _escape(one) for i, one in enumerate(pieces)]
    lines = textwrap.wrap("".join(marked), 78, break_long_words=False, break_on_hyphens=False)
    return "\n".join(rf"\&{line}" if line[:1] in (".", "'") else line for line in lines)


def _escape(text: str) -> str:
    """Return text that roff shows as it is; every hyphen can be copied as an option's."""
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return text.replace('"', r"\(dq").replace("'", r"\(aq")


def _lower(sentence: str) -> str:
    """Return the summary as NAME shows it; abbreviations keep their capitals."""
    first = sentence.split(maxsplit=1)[0] if sentence else ""
    keep = len(first) > 1 and first.rstrip(":").isupper()
    sentence = sentence.partition(". ")[0]
    return sentence if keep else sentence[:1].lower() + sentence[1:]


def main() -> int:
    """Write the pages; give the exit status."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    write_man_pages(Path(sys.argv[1]), version("zajil"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
