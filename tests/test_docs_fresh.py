"""The generated pages say what the code says, and every reference to an RFC is in order."""

from __future__ import annotations

from pathlib import Path

import check_rfc_refs
import gen_docs


def test_the_reference_is_fresh() -> None:
    assert gen_docs.stale_pages() == [], "run ./test docs"


def test_rfc_references() -> None:
    references, problems = check_rfc_refs.find_references()
    index = check_rfc_refs.load_index()
    problems += check_rfc_refs.check_index(references, index)
    problems += check_rfc_refs.check_deviations()
    problems += check_rfc_refs.check_outside()
    assert problems == []


def test_references_to_absent_documents_are_found(tmp_path: Path) -> None:
    first, second = "design " + "D7", "style " + "C8"  # in two pieces: this file is checked too
    (tmp_path / "docs").mkdir()
    page = f"By {first.replace(' ', chr(10))}, and {second}; a design decision.\n"
    (tmp_path / "docs" / "page.md").write_text(page)
    assert [one.partition(":")[2] for one in check_rfc_refs.check_outside(tmp_path)] == [
        f"1: {first!r} is not in the repository; refer to docs/",
        f"2: {second!r} is not in the repository; refer to docs/",
    ]
