"""How a deed of an account changes what is known of a correspondent. Pure.

Whatever an account does, and however often, it adds at most one voice to each count of the
installation, so that no single account can make or ruin a name for all (decision 0007).
"""

from __future__ import annotations

import functools

from zajil.store.feedback.reputation import Did, HistoryRow, change_counts

_VOICE = 1.0
_UNDONE = {Did.UNJUNKED: "junked", Did.UNKEPT: "kept"}


def count_deed(own: HistoryRow, everybody: HistoryRow, did: Did) -> None:
    """Count a deed in the row of the account, and its voice in that of the installation.

    A move to Junk takes back that the mail was kept, and the reverse. The undo of either takes
    back what it added, not what it took back.
    """
    name = _UNDONE.get(did)
    if name is not None:
        setattr(own, name, max(0.0, getattr(own, name) - 1.0))
        _speak(own, everybody, name)
        return
    name = did.value
    setattr(own, name, getattr(own, name) + 1.0)
    _speak(own, everybody, name)
    if did is Did.KEPT:
        own.junked = max(0.0, own.junked - 1.0)
        _speak(own, everybody, "junked")
    elif did is Did.JUNKED:
        own.kept = max(0.0, own.kept - 1.0)
        _speak(own, everybody, "kept")


def _speak(own: HistoryRow, everybody: HistoryRow, name: str) -> None:
    """Make the voice of the account as loud as its count, up to one."""
    voice = min(_VOICE, getattr(own, name))
    change = voice - getattr(own, f"{name}_voice")
    setattr(own, f"{name}_voice", voice)
    setattr(everybody, name, max(0.0, getattr(everybody, name) + change))


learn = functools.partial(change_counts, count=count_deed)
"""The unit of work that counts deeds (``HistoryChange``); one object: all share a batch."""
