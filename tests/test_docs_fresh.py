"""The generated pages say what the code says, and every reference to an RFC is in order."""

from __future__ import annotations

import check_rfc_refs
import gen_docs


def test_the_reference_is_fresh() -> None:
    assert gen_docs.stale_pages() == [], "run ./test docs"


def test_rfc_references() -> None:
    references, problems = check_rfc_refs.find_references()
    index = check_rfc_refs.load_index()
    problems += check_rfc_refs.check_index(references, index)
    problems += check_rfc_refs.check_deviations()
    assert problems == []
