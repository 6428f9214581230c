#!/usr/bin/env python3
"""Check every reference to an RFC: one format, known to ``rfc/index.toml``, an existing section.

The one format is ``RFC 5321 section 4.5.2``, ``RFC 7208 erratum 5436``. An RFC that the
index calls ``full`` is named in ``src`` and in ``tests``. Every file with a comment that begins
with ``Deviation:`` stands in ``docs/interop.md``. Section numbers are compared with the texts in
``rfc/text/rfcNNNN.txt``, where these are.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATUSES = ("full", "partial", "planned", "no")
_FOLDERS = ("src", "tests", "tools", "docs")
_SUFFIXES = {".py", ".md", ".wire", ".html", ".css", ".js", ".toml"}
_SKIPPED = ("docs/reference/", "tools/check_rfc_refs.py")

# What people write; the right one is found by comparing. RFC822 without a space is the name of
# IMAP items and a media type.
_MENTION = re.compile(r"(?<![\w/.])(?:RFC[ -]?|rfc[ -])(?!822\b(?<=RFC822))([0-9]{3,5})(?![\w-])")
# Documents of the first days, which are not in the repository: "design" and a letter, "style C".
_OUTSIDE = re.compile(r"\bdesign\s+(?:D[0-9]|sections?\s+[0-9])|\bstyle\s+[BC][0-9]")
_RIGHT = re.compile(r"RFC [1-9][0-9]{2,4}\Z")
_PLACE = re.compile(
    r"[,:;]?(?:[ \n]|\n[ \t]*(?:#|//|\*)?[ \t]*)*\(?"
    r"(?P<word>§+|[Ss]ect(?:ion|\.)|[Ss]ec\.|[Ee]rrat(?:um|a)|[Ee]rr\.|[Aa]ppendix)"
    r"[ \n\t#*]*(?P<number>[0-9A-Z][0-9]*(?:\.[0-9]+)*)?"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """One place that names an RFC."""

    file: str
    """From the root of the repository."""
    line: int
    number: int
    section: str | None
    """``section 4.5.2``, ``erratum 5436``, ``appendix B``; ``None``: the whole RFC."""


@dataclass(frozen=True, slots=True)
class IndexedRfc:
    """One entry of ``rfc/index.toml``."""

    number: int
    title: str
    status: str
    note: str


def load_index(root: Path = ROOT) -> dict[int, IndexedRfc]:
    """Return the index by number."""
    text = (root / "rfc" / "index.toml").read_text("utf-8")
    return {one["number"]: IndexedRfc(**one) for one in tomllib.loads(text)["rfc"]}


def find_references(root: Path = ROOT) -> tuple[list[Reference], list[str]]:
    """Return all references, and a sentence for each that has another format."""
    references: list[Reference] = []
    problems: list[str] = []
    for path in _files(root):
        file = path.relative_to(root).as_posix()
        text = path.read_text("utf-8")
        for match in _MENTION.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            spelled = " ".join(match[0].split())
            if not _RIGHT.match(spelled):
                problems.append(f"{file}:{line}: {spelled!r}; write 'RFC {match[1]}'")
            place = _PLACE.match(text, match.end())
            section = None
            if place is not None:
                section = f"{place['word']} {place['number']}"
                if not re.fullmatch(r"(section|erratum|appendix) [0-9A-Z.]+", section):
                    problems.append(
                        f"{file}:{line}: {section!r} after {spelled}; "
                        f"write '{spelled} section 4.5.2'"
                    )
                elif re.search(r"[,:;(]", text[match.end() : place.start("word")]):
                    problems.append(f"{file}:{line}: a mark between {spelled} and {section}")
            references.append(Reference(file, line, int(match[1]), section))
    return references, problems


def check_index(references: list[Reference], index: dict[int, IndexedRfc]) -> list[str]:
    """Return a sentence for each reference that contradicts the index."""
    problems = [
        f"{one.file}:{one.line}: RFC {one.number} is not in rfc/index.toml"
        for one in references
        if one.number not in index
    ]
    for rfc in index.values():
        if rfc.status not in STATUSES:
            problems.append(f"rfc/index.toml: RFC {rfc.number}: status is one of {STATUSES}")
        folders = {one.file.partition("/")[0] for one in references if one.number == rfc.number}
        missing = {"src", "tests"} - folders
        if rfc.status == "full" and missing:
            where = " and ".join(sorted(missing))
            problems.append(f"rfc/index.toml: RFC {rfc.number} is 'full' and not named in {where}")
    return problems


def check_sections(references: list[Reference], root: Path = ROOT) -> tuple[list[str], int]:
    """Return which sections do not exist, and the number of RFCs without a text."""
    problems: list[str] = []
    unread: set[int] = set()
    headings: dict[int, set[str]] = {}
    for one in references:
        path = root / "rfc" / "text" / f"rfc{one.number}.txt"
        if not path.exists():
            unread.add(one.number)
            continue
        if one.number not in headings:
            text = path.read_text("utf-8", "replace")
            headings[one.number] = set(re.findall(r"^([0-9]+(?:\.[0-9]+)*)\.?\s+\S", text, re.M))
        word, _, number = (one.section or "").partition(" ")
        if word == "section" and number not in headings[one.number]:
            problems.append(f"{one.file}:{one.line}: RFC {one.number} has no section {number}")
    return problems, len(unread)


def check_deviations(root: Path = ROOT) -> list[str]:
    """Return which files deviate from an RFC without a row in ``docs/interop.md``."""
    page = root / "docs" / "interop.md"
    listed = page.read_text("utf-8") if page.exists() else ""
    mark = re.compile(r'(?:#|""")\s*Deviation:|^\s*Deviation:', re.M)
    return [
        f"{file}: has a 'Deviation:' that docs/interop.md does not list"
        for path in _files(root)
        if (file := path.relative_to(root).as_posix()).startswith("src/")
        and mark.search(path.read_text("utf-8"))
        and file.removeprefix("src/zajil/") not in listed
    ]


def check_outside(root: Path = ROOT) -> list[str]:
    """Return which lines refer to documents that are not part of the repository."""
    problems: list[str] = []
    for path in _files(root):
        file, text = path.relative_to(root).as_posix(), path.read_text("utf-8")
        for match in _OUTSIDE.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            spelled = " ".join(match[0].split())
            problems.append(f"{file}:{line}: {spelled!r} is not in the repository; refer to docs/")
    return problems


def reference_page(references: list[Reference], index: dict[int, IndexedRfc]) -> str:
    """Return ``docs/reference/rfc.md``: RFC, section, files.

    Without line numbers: they change with every edit, and the page would never be fresh.
    """
    lines = [
        "# RFCs",
        "",
        "`full`: implemented as far as it applies. `partial`: the note lists what is missing.",
        "`planned`: not implemented yet. `no`: not intended.",
        "",
        "| RFC | Title | Status | Note |",
        "|---|---|---|---|",
    ]
    for number in sorted(index):
        rfc = index[number]
        lines.append(f"| {number} | {rfc.title} | {rfc.status} | {rfc.note} |")
    lines += ["", "## Files by section"]
    for number in sorted(index):
        places: dict[str, set[str]] = {}
        for one in references:
            if one.number == number and one.file.startswith("src/"):
                file = one.file.removeprefix("src/zajil/")
                places.setdefault(one.section or "", set()).add(file)
        if not places:
            continue
        lines += ["", f"### RFC {number}: {index[number].title}", ""]
        for section in sorted(places, key=_section_order):
            files = ", ".join(f"`{file}`" for file in sorted(places[section]))
            lines.append(f"- {section or 'whole RFC'}: {files}")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Print all problems and return the exit status."""
    references, problems = find_references()
    problems += check_index(references, load_index())
    wrong, unread = check_sections(references)
    problems += [*wrong, *check_deviations(), *check_outside()]
    for problem in problems:
        print(problem)
    if unread:
        print(
            f"section numbers of {unread} RFCs were not checked: no texts in rfc/text",
            file=sys.stderr,
        )
    return 1 if problems else 0


def _files(root: Path) -> Iterator[Path]:
    for folder in _FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            file = path.relative_to(root).as_posix()
            if "node_modules" in path.parts:  # others' code, fetched for a test
                continue
            if path.suffix in _SUFFIXES and path.is_file() and not file.startswith(_SKIPPED):
                yield path
    yield from sorted(root.glob("*.md"))


def _section_order(section: str) -> list[tuple[int, str]]:
    word, _, number = section.partition(" ")
    parts = [(int(part), "") if part.isdigit() else (0, part) for part in number.split(".") if part]
    return [(0 if word in ("", "section") else 1, word), *parts]


if __name__ == "__main__":
    sys.exit(main())
