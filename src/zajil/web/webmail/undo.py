"""What takes an act on messages back: a step that a notice carries in its cookie and its form.

Security: what a form brings is only a wish; the operations check whose mailboxes they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from zajil.core.ids import MailboxId, Uid

MOST = 100_000
"""Messages of one act."""
MOST_STEPS = 100
"""Mailboxes from which one act took messages."""
_AND = "~"
_STEP = re.compile(
    r"(flag|label|unlabel|move|phish|copy|gone):([0-9]{1,16}):([a-z0-9]{0,80})"
    r":([0-9_-]{1,2000})\Z"
)
_RANGE = re.compile(r"([0-9]{1,10})(?:-([0-9]{1,10}))?\Z")


@dataclass(frozen=True, slots=True)
class UndoStep:
    """One step back."""

    kind: str
    """``flag``: do the act ``what``; ``move``: move to the mailbox ``what``; ``phish``: the
    same, and it is no phishing; ``copy``: remove the copies; ``gone``: restore what was deleted;
    ``label`` and ``unlabel``: add or remove the keyword ``what`` (``write_keyword``)."""
    mailbox_id: MailboxId
    """Where the messages are, or were when they were deleted."""
    what: str
    uids: tuple[Uid, ...]
    """Ascending."""

    def write(self) -> str:
        """Return it as text for a cookie; ``""`` where there is nothing to take back."""
        if not self.uids:
            return ""
        return f"{self.kind}:{self.mailbox_id}:{self.what}:{_write_set(self.uids)}"


def write_undo(steps: Iterable[UndoStep]) -> str:
    """Return steps as text for a cookie; ``""`` where there is nothing to take back."""
    return _AND.join([text for step in steps if (text := step.write())])


def read_undos(text: object) -> tuple[UndoStep, ...] | None:
    """Read what ``write_undo`` wrote and a form sent; ``None``: these are no steps of ours."""
    steps: list[UndoStep] = []
    count = 0
    for part in text.split(_AND, MOST_STEPS) if isinstance(text, str) else []:
        step = read_undo(part)
        count += 0 if step is None else len(step.uids)
        if step is None or count > MOST:
            return None
        steps.append(step)
    return tuple(steps) or None


def read_undo(text: object) -> UndoStep | None:
    """Read what a form sent; ``None``: it is no step of ours."""
    match = _STEP.match(text) if isinstance(text, str) else None
    uids = None if match is None else _read_set(match[4])
    if match is None or uids is None:
        return None
    return UndoStep(match[1], MailboxId(int(match[2])), match[3], uids)


def write_keyword(keyword: str) -> str:
    """Return a keyword as a step has it."""
    return keyword.encode("utf-8").hex()


def read_keyword(text: str) -> str | None:
    """Return the keyword of a step; ``None``: it is none."""
    try:
        return bytes.fromhex(text).decode("ascii") or None
    except ValueError:
        return None


def _write_set(uids: Sequence[Uid]) -> str:
    """Write ascending UIDs as ranges: ``1-3_7``."""
    ranges: list[str] = []
    first = uids[0]
    for uid, following in pairwise([*uids, None]):
        if uid is not None and following != uid + 1:
            ranges.append(str(first) if first == uid else f"{first}-{uid}")
            first = following or first
    return "_".join(ranges)


def _read_set(text: str) -> tuple[Uid, ...] | None:
    """Read ranges; ``None``: these are none, or too many messages."""
    found: set[int] = set()
    for one in text.split("_"):
        match = _RANGE.match(one)
        if match is None:
            return None
        first, last = int(match[1]), int(match[2] or match[1])
        if last - first >= MOST - len(found):
            return None
        found.update(range(first, last + 1))
    return tuple([Uid(uid) for uid in sorted(found)])
