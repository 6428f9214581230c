"""Paragraphs of a message, with what they quote folded into each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from zajil.read.paragraphs import Paragraph

DEEPEST = 8
"""Levels of quoting that are shown apart; deeper ones stand at the last of these."""
_SHORT = 3
"""Paragraphs of a quote that an answer stands under, which are not folded."""


@dataclass(slots=True)
class Quote:
    """What somebody wrote before, as the author quotes it."""

    pieces: list[Paragraph | Quote] = field(default_factory=list)
    is_folded: bool = False
    """It is long, or nothing follows it."""

    @property
    def length(self) -> int:
        """How many paragraphs are in it."""
        return sum([one.length if isinstance(one, Quote) else 1 for one in self.pieces])


def nest_quotes(paragraphs: Sequence[Paragraph]) -> list[Paragraph | Quote]:
    """Put quoted paragraphs into quotes, each within the one that is quoted less deeply."""
    whole = Quote()
    around = [whole]
    for paragraph in paragraphs:
        depth = min(paragraph.quote_depth, DEEPEST)
        del around[depth + 1 :]
        while len(around) <= depth:
            inner = Quote()
            around[-1].pieces.append(inner)
            around.append(inner)
        around[-1].pieces.append(paragraph)
    for place, piece in enumerate(whole.pieces):
        if isinstance(piece, Quote):
            is_last = place == len(whole.pieces) - 1
            # Of a message that only quotes, the quote is what there is to read.
            piece.is_folded = (is_last and place > 0) or piece.length > _SHORT
    return whole.pieces
