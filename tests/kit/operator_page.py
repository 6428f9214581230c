"""The pages of ``docs/run``: the commands that a reader types, and the files that he writes."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs" / "run"
PAGES = sorted(path.stem for path in FOLDER.glob("*.md"))

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.M | re.S)
_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_SHELL = ("sh", "console")
_PROGRAM = re.compile(
    r"""
    apt | apt-get | apt-cache | cat | chmod | chown | cp | curl | dig | docker | dpkg |
    fail2ban-client | find | getent | git | grep | host | install | ip | iptables |
    journalctl | ln | logger | logrotate | ls | man | mkdir | mount | mv | named-checkzone
    | nft | nginx | openssl | packaging/build-deb | packaging/build-oci | pg_dump |
    pg_restore | pip | pipx | podman | promtool | psql | python3 | rm | rsync | scp |
    service | sftp | skopeo | sqlite3 | ssh | su | sudo | swaks | systemctl | systemd-
    analyze | tail | tar | ufw | useradd | wget | zajil
    """,
    re.X,
)
"""First words of what is a command also inside a sentence."""


@dataclass(frozen=True, slots=True)
class Command:
    """One line that is typed into a shell."""

    page: str
    """Name of the file, without ``.md``."""
    line: int
    """Its number in the file, from 1."""
    text: str
    """Without a comment and without a prompt; a line that is continued is one."""
    is_inline: bool
    """It stands in a sentence."""
    prints: str = ""
    """What the page shows below it."""

    @property
    def place(self) -> str:
        """Where it stands, for messages."""
        return f"docs/run/{self.page}.md:{self.line}: {self.text}"


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code."""

    page: str
    line: int
    """Number of its first line in the file."""
    language: str
    """As behind the fence; empty: none."""
    text: str


def read_page(name: str) -> str:
    """Return the text of a page."""
    return (FOLDER / f"{name}.md").read_text("utf-8")


def blocks_of(name: str) -> list[Block]:
    """Return the blocks of code of a page, without their indentation."""
    text = read_page(name)
    return [
        Block(name, text.count("\n", 0, fence.start(3)) + 1, fence[2], textwrap.dedent(fence[3]))
        for fence in _FENCE.finditer(text)
    ]


def commands_of(name: str) -> list[Command]:
    """Return the commands of a page in their order."""
    found = [
        command
        for block in blocks_of(name)
        if block.language in _SHELL
        for command in _lines(block)
    ]
    found += _in_sentences(name)
    return sorted(found, key=lambda one: one.line)


def section(page: str, title: str) -> list[Command]:
    """Return the commands below a heading, those of blocks only."""
    lines = read_page(page).splitlines()
    first = next(at for at, line in enumerate(lines, 1) if re.fullmatch(rf"#+ {title}", line))
    ends = [at for at, line in enumerate(lines, 1) if at > first and line.startswith("#")]
    last = min(ends, default=len(lines))
    return [one for one in commands_of(page) if first < one.line < last and not one.is_inline]


def _lines(block: Block) -> Iterator[Command]:
    """Of ``console``, the lines with a prompt are commands; below each is what it prints."""
    if block.language == "console":
        number = block.line
        for part in re.split(r"(?m)^(?=\$ )", block.text):
            typed, _, prints = part.removeprefix("$ ").partition("\n")
            if part.startswith("$ "):
                yield Command(block.page, number, typed, False, prints)
            number += part.count("\n")
        return
    begun = ""
    for number, line in enumerate(block.text.splitlines(), block.line):
        begun += without_comment(line)
        if begun.endswith("\\"):
            begun = begun.removesuffix("\\").rstrip() + " "
            continue
        if begun.strip():
            yield Command(block.page, number, re.sub(r" {2,}", " ", begun).strip(), is_inline=False)
        begun = ""


def _in_sentences(name: str) -> Iterator[Command]:
    text = _FENCE.sub(lambda fence: re.sub(r"[^\n]", " ", fence[0]), read_page(name))
    for code in _CODE.finditer(text):
        words = code[1].split()
        if len(words) > 1 and _PROGRAM.fullmatch(words[0]):
            line = text.count("\n", 0, code.start()) + 1
            yield Command(name, line, " ".join(words), is_inline=True)


def without_comment(line: str) -> str:
    """Return a line of a shell without its comment and the blanks before it."""
    quote = ""
    for at, char in enumerate(line):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char == "#" and (at == 0 or line[at - 1].isspace()):
            return line[:at].rstrip()
    return line.rstrip()
