"""Python before 3.11.5 matches ``(?:ab|c)*+`` wrongly if the group fails after its first part."""

from __future__ import annotations

from zajil.message.html_bounds import _EXACT_TAG, _TAG
from zajil.message.html_style import _SIMPLE
from zajil.message.params import _WELL_FORMED
from zajil.message.summary import base_subject


def test_a_repeated_group_that_fails_in_its_middle_takes_nothing() -> None:
    assert not _SIMPLE.match("color: red; width: (")
    assert not _SIMPLE.match("color: red 'x")
    assert _WELL_FORMED.match("text/plain; a=b; c=") is None
    assert _WELL_FORMED.match("text/plain; a=b; c") is None
    tag = _TAG.match('<a b="c" d="e>')
    assert tag is not None
    assert tag.group() == "<"
    exact = _EXACT_TAG.match("<a b=c / >")
    assert exact is not None
    assert exact.group() == "<a b=c"
    assert base_subject("[Fwd: [list] re: Lunch (fwd)]") == "Lunch"
