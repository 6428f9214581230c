"""APPEND commands that came one after the other, in one commit. (RFC 3501 section 5.5)

A client that does not wait for the answers (mbsync, imapsync) sends many at once. Each is a command
of its own: it may fail alone, and its OK comes after the commit that holds its message.
"""

from __future__ import annotations

import asyncio

from zajil.core.value_class import value_class
from zajil.imap.append_command import AppendEnd
from zajil.imap.response import Completion
from zajil.read.imap.append import Uploading
from zajil.read.imap.context import Context
from zajil.read.imap.outcome import outcome

_MOST = 20
"""Commands of one commit: others wait for it."""


@value_class(frozen=True, slots=True)
class _Postponed:
    tag: bytes
    upload: Uploading
    end: AppendEnd


class PostponedAppends:
    """Commands whose messages have come, and which are not answered yet; of one session."""

    def __init__(self) -> None:
        self._waiting: list[_Postponed] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def is_full(self) -> bool:
        """Whether the next command is the last one of the commit."""
        return len(self._waiting) >= _MOST - 1

    def take(self, tag: bytes, upload: Uploading, end: AppendEnd) -> None:
        """Keep a command that the engine has postponed."""
        self._waiting.append(_Postponed(tag, upload, end))

    async def finish(self, context: Context) -> list[tuple[bytes, Completion]]:
        """Commit all messages together; return what completes each command, by its tag."""
        some, self._waiting = self._waiting, []
        # They ask the writer in the same turn of the loop, so that they share a commit. If it
        # refuses one of them it tries each alone.
        work = [outcome(context, one.upload.finish(one.end)) for one in some]
        completions = await asyncio.gather(*work)
        for one in some:
            one.upload.discard()
        return [
            (one.tag, completion)
            for one, completion in zip(some, completions, strict=True)
            if completion is not None
        ]

    def discard(self) -> None:
        """Forget all messages: the connection has ended."""
        some, self._waiting = self._waiting, []
        for one in some:
            one.upload.discard()
