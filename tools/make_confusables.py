"""Make the table of characters that look alike (Unicode TR 39) for ``check/content/lookalike.py``.

Run in a virtual environment that has the package ``confusable-homoglyphs``; its data are Unicode's
``confusables.txt`` as pairs. Characters that only differ in compatibility (NFKC) are left out:
``lookalike`` normalises first.

    python tools/make_confusables.py > src/zajil/check/content/confusables.txt
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping
from importlib import resources

_MARKS = "\u200e\u200f"
_HEADER = """\
# Characters that look like others (Unicode TR 39): a prototype, a space, all that look like it.
# Made by tools/make_confusables.py from Unicode's confusables.txt, in the package
# confusable-homoglyphs 3.3.1. Data (c) Unicode, Inc., under the Unicode licence v3,
# https://www.unicode.org/license.txt. Do not edit."""


def main() -> None:
    """Print the table."""
    raw = resources.files("confusable_homoglyphs").joinpath("confusables.json").read_text("utf-8")
    pairs = {
        _clean(one): [_clean(x["c"]) for x in others] for one, others in json.loads(raw).items()
    }
    print(_HEADER)
    for prototype, members in sorted(_classes(pairs).items()):
        print(prototype, "".join(sorted(members)))


def _clean(text: str) -> str:
    return text.strip(_MARKS)


def _classes(pairs: Mapping[str, list[str]]) -> dict[str, set[str]]:
    """Return each prototype with the single characters that look like it."""
    classes: dict[str, set[str]] = {}
    seen: set[str] = set()
    for start in sorted(pairs):
        if start in seen:
            continue
        alike, waiting = {start}, [start]
        while waiting:
            for other in pairs.get(waiting.pop(), ()):
                if other not in alike:
                    alike.add(other)
                    waiting.append(other)
        seen |= alike
        prototype = min(alike, key=lambda text: (not text.isascii(), len(text), text))
        # The capital I and the digit 1 stand for l, the digit 0 for O: names are lower case.
        prototype = {"0": "o", "O": "o", "1": "l", "I": "l"}.get(prototype, prototype)
        members = {one for one in alike if _counts(one) and one != prototype}
        if members and _is_readable(prototype):
            classes.setdefault(prototype, set()).update(members)
    return classes


def _counts(char: str) -> bool:
    return (
        len(char) == 1
        and unicodedata.category(char)[0] in "LN"
        and unicodedata.normalize("NFKC", char).casefold() == char
    )


def _is_readable(prototype: str) -> bool:
    return all(unicodedata.category(char)[0] in "LN" for char in prototype)


if __name__ == "__main__":
    main()
