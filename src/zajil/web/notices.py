"""What was just done, said once on the page that comes after it.

A cookie carries it over the redirect: an address would say it again after each reload.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

_SECONDS = 60
"""A page that comes later is about something else."""
_LONGEST_UNDO = 1500
"""Characters; browsers keep cookies of 4,096."""
_NOTICE = re.compile(
    r"([a-z]{1,20})\.([0-9]{1,9})(?:\.([0-9]{1,16})(?:\.([a-z0-9:_~-]{0,1500})"
    r"(?:\.(m|[0-9]{1,4}s?))?)?)?\Z"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """What the junk filter learns from something that was done."""

    words: int = 0
    """Of the only message."""
    sender: bool = False
    """Who sent it, too."""
    many: bool = False
    """It learns from several messages; how much is not counted."""

    def write(self) -> str:
        """Return it as text for a cookie."""
        return "m" if self.many else f"{self.words}{'s' if self.sender else ''}"


@dataclass(frozen=True, slots=True)
class Done:
    """Something that was done."""

    action: str
    """A word that the template has a sentence for."""
    count: int
    """How many messages it concerned."""
    mailbox: int = 0
    """Id of a mailbox that the sentence names; 0: none."""
    undo: str = ""
    """How to take it back (``webmail.undo``); ``""``: it cannot be."""
    lesson: Taught | None = None
    """What the junk filter learns from it; ``None``: nothing, or it is not known."""


class Notices:
    """Leaves a notice at one answer and takes it at the next."""

    def __init__(self, cookie_name: str) -> None:
        self._cookie = f"{cookie_name}_done"

    def leave(self, response: Response, done: Done) -> None:
        """Let the browser bring it to the next page."""
        told = f"{done.action}.{done.count}.{done.mailbox}"
        undo = done.undo if len(done.undo) <= _LONGEST_UNDO else ""
        if undo or done.lesson is not None:
            told += f".{undo}"
        if done.lesson is not None:
            told += f".{done.lesson.write()}"
        response.set_cookie(
            self._cookie,
            told,
            max_age=_SECONDS,
            httponly=True,
            samesite="strict",
        )

    def read(self, request: Request) -> Done | None:
        """Return what the last answer left; ``None`` for nothing, and for what nobody left."""
        match = _NOTICE.match(request.cookies.get(self._cookie, ""))
        if match is None:
            return None
        return Done(
            match[1], int(match[2]), int(match[3] or 0), match[4] or "", _read_lesson(match[5])
        )

    def forget(self, response: Response) -> None:
        """It was said."""
        response.delete_cookie(self._cookie)


def _read_lesson(text: str | None) -> Taught | None:
    if text is None:
        return None
    if text == "m":
        return Taught(many=True)
    return Taught(words=int(text.removesuffix("s")), sender=text.endswith("s"))
