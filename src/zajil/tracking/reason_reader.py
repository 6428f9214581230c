"""Finds the pattern of a reason, so that it can be shown in the language of a reader.

Pure. Text that matches no pattern (replies of other servers, header fields) is shown unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

from zajil.tracking.sentences import Sentence

_LONGEST = 2000
"""Characters of a reason that is read."""
_MOST = 20
"""Sentences of one reason."""
_DEEPEST = 3
"""Reasons within reasons: "No key for the seal of ARC set 1: the key was revoked." has two."""
_NESTED = frozenset({"what", "why"})
"""Places that hold a reason themselves."""
_WORDS = frozenset(
    {
        *("answers", "brand", "detail", "error", "lists", "member", "methods", "name", "question"),
        *("reply", "shown", "symbols", "term", "tls", "user", "what", "why", "words"),
    }
)
"""Places whose value may have spaces."""


class ReasonReader:
    """Finds the pattern of a reason.

    Args:
        patterns: ``REASONS`` and whatever else a reason may quote.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        # Of two that fit, the one that says more is meant.
        longest_first = sorted(dict.fromkeys(patterns), key=lambda one: -len(_PLACE.sub("", one)))
        self._patterns = [_Pattern(text) for text in longest_first]

    def read(self, reason: str) -> tuple[Sentence, ...]:
        """Return the sentences of a reason; empty: it is not one of ours, or not as a whole."""
        if len(reason) > _LONGEST:
            return ()
        return self._read(reason.strip(), 0) or self._read_each(reason.strip())

    def _read(self, reason: str, depth: int) -> tuple[Sentence, ...]:
        one = self._read_one(reason, depth)
        if one is not None:
            return (one,)
        found: list[Sentence] = []
        pieces = reason.split(". ")[: _MOST + 1]
        while pieces and len(found) < _MOST:
            for end in range(len(pieces), 0, -1):
                sentence = self._read_one(". ".join(pieces[:end]), depth)
                if sentence is not None:
                    found.append(sentence)
                    pieces = pieces[end:]
                    break
            else:
                return ()
        return tuple(found)

    def _read_each(self, reason: str) -> tuple[Sentence, ...]:
        """Read a list: "1 delivered, 2 deferred"."""
        found = [self._read_one(one, 0) for one in reason.split(", ")[:_MOST]]
        return () if None in found else tuple(one for one in found if one is not None)

    def _read_one(self, reason: str, depth: int) -> Sentence | None:
        for pattern in self._patterns:
            found = pattern.read(reason)
            if found is None:
                continue
            values: dict[str, str | int | Sentence] = dict(found)
            for name in _NESTED & values.keys():
                inner = self._read_one(found[name], depth + 1) if depth < _DEEPEST else None
                if inner is None and name == "what":
                    break
                values[name] = inner or found[name]
            else:
                return Sentence(pattern.text, values)
        return None


# A domain may stand there twice: "زاجل.test (xn--mgbkq8e.test)".
_ONE_NAME = r"\S+?(?: \([^\s()]+\))?"
_PLACE = re.compile(r"\{(\w+)\}")


class _Pattern:
    """One text with places, and the expression that finds it."""

    def __init__(self, text: str) -> None:
        self.text = text
        literals = _PLACE.split(text)[::2]
        self._longest = max(literals, key=len)[1:].removesuffix(".")

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        # Security: values come from strangers. Most have no space, and each literal between them
        # has one, so that little is tried twice.
        pieces = _PLACE.split(self.text.removesuffix("."))
        for at, piece in enumerate(pieces):
            if at % 2 == 0:
                pieces[at] = re.escape(piece)
            else:
                kind = "[^,]+?" if piece == "what" else ".+?" if piece in _WORDS else _ONE_NAME
                pieces[at] = f"(?P<{piece}>{kind})"
        first = self.text[0]
        if first.isalpha():
            pieces[0] = f"[{first.lower()}{first.upper()}]{pieces[0][1:]}"
        return re.compile("".join(pieces) + r"\.?\Z", re.DOTALL)

    def read(self, reason: str) -> dict[str, str] | None:
        """Return the values of the places; ``None``: it does not fit."""
        if self._longest not in reason:
            return None
        match = self._expression.match(reason)
        return match.groupdict() if match is not None else None
