"""How many messages one commit changes: as many as keep others waiting only for a moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from zajil.core.ids import Uid
from zajil.read.imap.context import PORTION

MOST = 4 * PORTION
_SECONDS = 0.015
"""How long a commit and the answers to it should take."""


def portions(
    uids: Sequence[int], now: Callable[[], float] = time.monotonic
) -> Iterator[tuple[Uid, ...]]:
    """Yield messages in portions, a commit for each: others write in between.

    The first has ``PORTION`` messages. The next has more, up to ``MOST``, where that was quick: a
    commit writes whole pages, and fewer commits write fewer of them.

    Args:
        uids: of the messages.
        now: seconds by a clock that does not go back; asked before and after each portion.
    """
    start, size = 0, PORTION
    while start < len(uids):
        begin = now()
        yield tuple(map(Uid, uids[start : start + size]))
        start += size
        taken = max(now() - begin, 0.001)
        size = max(PORTION, min(MOST, 2 * size, int(size * _SECONDS / taken)))
