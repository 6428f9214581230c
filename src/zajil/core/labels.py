"""Labels: names and colours that an account gives to keywords of IMAP. Pure.

The keyword stands at the messages, so every mail program sees it; the name and the colour are kept
in the setting ``labels`` of the account. The five keywords that Thunderbird has are labels of
every account.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from zajil.core.errors import AlreadyExists, Invalid, NotFound, Refused
from zajil.core.value_class import value_class

SETTING = "labels"
"""Name of the setting that holds them."""
COLOURS = ("red", "orange", "yellow", "green", "teal", "blue", "purple", "grey")
MOST_LABELS = 100
"""Of one account, with those that were removed and can be taken back."""
LONGEST_NAME = 40
"""Characters."""
_BUILT_IN = {
    "$label1": ("Important", "red"),
    "$label2": ("Work", "orange"),
    "$label3": ("Personal", "green"),
    "$label4": ("To do", "blue"),
    "$label5": ("Later", "purple"),
}
_KEYWORD = re.compile(r"[A-Za-z0-9$_.-]{1,40}\Z")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9 ._-]{0,39}\Z")


class BadLabel(Invalid, ValueError):
    """The name or the colour is none that a label can have."""


class LabelExists(AlreadyExists):
    """Another label has the name."""


class NoSuchLabel(NotFound):
    """The account has no label with this keyword."""


class TooManyLabels(Refused):
    """The account has ``MOST_LABELS``."""


@value_class(frozen=True, slots=True)
class Label:
    """One label."""

    keyword: str
    """What messages have and IMAP shows; compared without regard to case."""
    name: str
    colour: str
    is_shown: bool = True
    """Whether it is offered and shown; ``False``: it was removed."""
    is_built_in: bool = False
    """Whether it has the name that Thunderbird gives to it, which pages translate."""

    @property
    def key(self) -> str:
        """The keyword in lower case, as messages are compared with it."""
        return self.keyword.lower()


def read_labels(settings: Mapping[str, str]) -> tuple[Label, ...]:
    """Return the labels of an account that are shown, those of Thunderbird first."""
    return tuple([one for one in read_all(settings.get(SETTING)) if one.is_shown])


def read_all(value: str | None) -> tuple[Label, ...]:
    """Return all labels, with those that were removed; what nobody wrote there is left out."""
    found = {
        keyword: Label(keyword, name, colour, is_built_in=True)
        for keyword, (name, colour) in _BUILT_IN.items()
    }
    try:
        rows = json.loads(value) if value else []
    except ValueError:
        rows = []
    for row in rows[:MOST_LABELS] if isinstance(rows, list) else ():
        label = _read_row(row)
        if label is not None:
            found[label.key] = label
    return tuple(found.values())


def write_labels(labels: Iterable[Label]) -> str | None:
    """Return the value of the setting; ``None``: there is nothing to keep."""
    rows = [
        [one.keyword, one.name, one.colour, one.is_shown]
        for one in labels
        if not (one.is_built_in and one.is_shown and one.colour == _BUILT_IN[one.key][1])
    ]
    return json.dumps(rows, ensure_ascii=False) if rows else None


def find_label(labels: Sequence[Label], keyword: str) -> Label | None:
    """Return the label of a keyword."""
    key = keyword.lower()
    return next((one for one in labels if one.key == key), None)


def labels_of(labels: Sequence[Label], keywords: Iterable[str]) -> tuple[Label, ...]:
    """Return the labels that a message with these keywords has, in their order."""
    there = {keyword.lower() for keyword in keywords}
    return tuple([one for one in labels if one.key in there])


def add_label(labels: Sequence[Label], name: str, colour: str) -> tuple[tuple[Label, ...], Label]:
    """Return the labels with a new one, and that one; one that was removed comes back by its name.

    Raises:
        BadLabel: see there.
        LabelExists: see there.
        TooManyLabels: see there.
    """
    name = _checked_name(labels, name, None)
    _check_colour(colour)
    for one in labels:
        if not one.is_shown and one.name.casefold() == name.casefold():
            back = replace(one, is_shown=True, colour=colour)
            return tuple([back if other is one else other for other in labels]), back
    if len(labels) >= MOST_LABELS:
        raise TooManyLabels(f"an account can have at most {MOST_LABELS} labels")
    new = Label(_new_keyword(labels, name), name, colour)
    return (*labels, new), new


def change_label(
    labels: Sequence[Label], keyword: str, *, name: str | None = None, colour: str | None = None
) -> tuple[Label, ...]:
    """Return the labels after one got another name or colour; its keyword stays.

    Raises:
        NoSuchLabel: see there.
        BadLabel: see there.
        LabelExists: see there.
    """
    label = _existing(labels, keyword)
    if name is not None and name.strip() != label.name:
        label = replace(label, name=_checked_name(labels, name, label.key), is_built_in=False)
    if colour is not None:
        _check_colour(colour)
        label = replace(label, colour=colour)
    return tuple([label if one.key == label.key else one for one in labels])


def show_label(labels: Sequence[Label], keyword: str, *, is_shown: bool) -> tuple[Label, ...]:
    """Return the labels after one was removed or taken back; messages keep its keyword.

    Raises:
        NoSuchLabel: see there.
    """
    label = _existing(labels, keyword)
    return tuple([replace(one, is_shown=is_shown) if one is label else one for one in labels])


# ---- inside -------------------------------------------------------------------------------------


def _read_row(row: object) -> Label | None:
    if not isinstance(row, list) or len(row) != 4:
        return None
    keyword, name, colour, is_shown = row
    if not isinstance(keyword, str) or not _KEYWORD.match(keyword):
        return None
    if not isinstance(name, str) or not 0 < len(name) <= LONGEST_NAME or colour not in COLOURS:
        return None
    built_in = _BUILT_IN.get(keyword.lower())
    is_built_in = built_in is not None and built_in[0] == name
    return Label(keyword, name, str(colour), bool(is_shown), is_built_in)


def _existing(labels: Sequence[Label], keyword: str) -> Label:
    label = find_label(labels, keyword)
    if label is None:
        raise NoSuchLabel(f"no label has the keyword {keyword[:100]!r}")
    return label


def _checked_name(labels: Sequence[Label], name: str, own_key: str | None) -> str:
    name = unicodedata.normalize("NFC", " ".join(name.split()))
    if not 0 < len(name) <= LONGEST_NAME or any(
        unicodedata.category(letter) in ("Cc", "Cs", "Cn", "Co", "Zl", "Zp") for letter in name
    ):
        raise BadLabel(f"not a name of a label: {name[:100]!r}")
    for one in labels:
        is_same = one.is_shown and one.name.casefold() == name.casefold()
        if is_same and one.key != own_key:
            raise LabelExists(f"a label has the name {name}")
    return name


def _check_colour(colour: str) -> None:
    if colour not in COLOURS:
        raise BadLabel(f"not a colour of a label: {colour[:100]!r}")


def _new_keyword(labels: Sequence[Label], name: str) -> str:
    """Return a keyword that is an atom of IMAP: the name where that is one, else a number."""
    known = {one.key for one in labels}
    if _PLAIN.match(name):
        keyword = re.sub(r"[^A-Za-z0-9-]+", "_", name)
        if keyword.lower() not in known:
            return keyword
    number = 1
    while f"label_{number}" in known:
        number += 1
    return f"label_{number}"
