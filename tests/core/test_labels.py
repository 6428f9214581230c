"""Labels: what the setting holds, and which keywords they have."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zajil.core.labels import (
    MOST_LABELS,
    BadLabel,
    LabelExists,
    NoSuchLabel,
    TooManyLabels,
    add_label,
    change_label,
    labels_of,
    read_all,
    read_labels,
    show_label,
    write_labels,
)


def test_every_account_has_the_keywords_of_thunderbird() -> None:
    labels = read_labels({})
    assert [one.keyword for one in labels] == [f"$label{number}" for number in range(1, 6)]
    assert all(one.is_built_in for one in labels)
    assert write_labels(labels) is None


@pytest.mark.parametrize(
    ("name", "keyword"),
    [
        ("Project X", "Project_X"),
        ("مشروع", "label_1"),
        ("  two   words ", "two_words"),
        ("$Junk", "label_1"),
        ("\\Seen", "label_1"),
        ("a(b", "label_1"),
        ("9", "label_1"),
    ],
)
def test_a_keyword_is_an_atom(name: str, keyword: str) -> None:
    _, label = add_label(read_all(None), name, "teal")
    assert label.keyword == keyword
    assert label.name == " ".join(name.split())


def test_two_names_never_get_one_keyword() -> None:
    labels, _ = add_label(read_all(None), "a b", "red")
    labels, second = add_label(labels, "A_b", "red")
    assert second.keyword == "label_1"
    labels, third = add_label(labels, "عمل", "red")
    assert third.keyword == "label_2"
    assert read_all(write_labels(labels)) == labels


def test_a_new_name_keeps_the_keyword() -> None:
    labels, made = add_label(read_all(None), "Old", "red")
    labels = change_label(labels, "OLD", name="New", colour="blue")
    (label,) = labels_of(labels, ["old", "\\Seen", "$Forwarded"])
    assert (label.keyword, label.name, label.colour) == (made.keyword, "New", "blue")
    with pytest.raises(LabelExists):
        change_label(labels, "$label1", name="new")
    labels = change_label(labels, "$label1", name="Urgent")
    assert read_all(write_labels(labels)) == labels
    assert not labels[0].is_built_in


def test_a_label_that_was_removed_comes_back() -> None:
    labels, made = add_label(read_all(None), "Plans", "red")
    labels = read_all(write_labels(show_label(labels, made.keyword, is_shown=False)))
    assert made.keyword not in [
        one.keyword for one in read_labels({"labels": write_labels(labels) or ""})
    ]
    again, back = add_label(labels, "plans", "blue")
    assert (back.keyword, len(again)) == (made.keyword, len(labels))
    hidden = read_all(write_labels(show_label(labels, "$label2", is_shown=False)))
    assert len(read_labels({"labels": write_labels(hidden) or ""})) == 4


@pytest.mark.parametrize("name", ["", " ", "x" * 41, "a\x00b", "\ud800"])
def test_names_that_no_label_can_have(name: str) -> None:
    with pytest.raises(BadLabel):
        add_label(read_all(None), name, "red")


def test_what_is_refused() -> None:
    labels = read_all(None)
    with pytest.raises(BadLabel):
        add_label(labels, "x", "url(evil)")
    with pytest.raises(LabelExists):
        add_label(labels, "IMPORTANT", "red")
    with pytest.raises(NoSuchLabel):
        show_label(labels, "none", is_shown=False)
    for number in range(MOST_LABELS - len(labels)):
        labels, _ = add_label(labels, f"x{number}", "red")
    with pytest.raises(TooManyLabels):
        add_label(labels, "one more", "red")


@given(st.text() | st.just('[["a", "b", "red", true], 5, [], ["a b", "x", "red", true]]'))
def test_any_value_of_the_setting_is_read(value: str) -> None:
    labels = read_all(value)
    assert len(labels) >= 5
    assert read_all(write_labels(labels)) == labels
