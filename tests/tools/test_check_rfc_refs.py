"""The tool finds what it is for."""

from __future__ import annotations

from pathlib import Path

import pytest

from check_rfc_refs import (
    IndexedRfc,
    Reference,
    check_deviations,
    check_index,
    check_sections,
    find_references,
)


def tree(folder: Path, text: str) -> Path:
    (folder / "src" / "zajil").mkdir(parents=True)
    (folder / "src" / "zajil" / "a.py").write_text(text, "utf-8")
    return folder


@pytest.mark.parametrize(
    ("text", "section"),
    [
        ("see RFC 5321 section 4.5.2.", "section 4.5.2"),
        ("see RFC 5321\n    # section 4.5.2: why", "section 4.5.2"),
        ("(RFC 5321) says", None),
        ("RFC 5321 erratum 5436", "erratum 5436"),
        ("RFC 5321 appendix B", "appendix B"),
    ],
)
def test_the_one_format(text: str, section: str | None, tmp_path: Path) -> None:
    references, problems = find_references(tree(tmp_path, text))
    assert problems == []
    assert references == [Reference("src/zajil/a.py", 1, 5321, section)]


WRONG = ["RFC" + "5321", "rfc " + "5321", "RFC" + "-5321"] + [
    "RFC " + f"5321{place}"
    for place in (", section 4", " Section 4", " §4.5.2", " sec. 4", " (section 4)", " errata 7")
]


@pytest.mark.parametrize("text", WRONG)
def test_any_other_format_is_told(text: str, tmp_path: Path) -> None:
    _, problems = find_references(tree(tmp_path, text))
    assert len(problems) == 1
    assert problems[0].startswith("src/zajil/a.py:1: ")


@pytest.mark.parametrize("text", ["message/rfc" + "822", "BODY[] RFC822.SIZE", "rfc4514_string"])
def test_names_that_are_no_references(text: str, tmp_path: Path) -> None:
    assert find_references(tree(tmp_path, text)) == ([], [])


def test_an_rfc_that_the_index_lacks_is_told() -> None:
    problems = check_index([Reference("src/a.py", 3, 1234, None)], {})
    assert problems == ["src/a.py:3: RFC " + "1234 is not in rfc/index.toml"]


def test_full_needs_code_and_tests() -> None:
    index = {1: IndexedRfc(1, "t", "full", "")}
    problems = check_index([Reference("src/a.py", 3, 1, None)], index)
    assert problems == ["rfc/index.toml: RFC 1 is 'full' and not named in tests"]


def test_a_section_that_does_not_exist_is_told_where_the_text_is(tmp_path: Path) -> None:
    folder = tmp_path / "rfc" / "text"
    folder.mkdir(parents=True)
    (folder / "rfc1870.txt").write_text("1. Abstract\n\n3. The size extension\n", "utf-8")
    references = [
        Reference("src/a.py", 1, 1870, "section 3"),
        Reference("src/a.py", 2, 1870, "section 4"),
        Reference("src/a.py", 3, 5321, "section 99"),
    ]
    problems, unread = check_sections(references, tmp_path)
    assert problems == ["src/a.py:2: RFC 1870 has no section 4"]
    assert unread == 1


def test_a_deviation_must_be_listed(tmp_path: Path) -> None:
    root = tree(tmp_path, "# " + "Deviation: they send it, we take it.")
    assert len(check_deviations(root)) == 1
    (root / "docs").mkdir()
    (root / "docs" / "interop.md").write_text("| `a.py` | they | we |", "utf-8")
    assert check_deviations(root) == []
