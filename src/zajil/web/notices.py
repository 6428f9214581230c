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
    r"([a-z]{1,20})\.([0-9]{1,9})(?:\.([0-9]{1,10})(?:\.([a-z0-9:_~-]{1,1500}))?)?\Z"
)


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


class Notices:
    """Leaves a notice at one answer and takes it at the next."""

    def __init__(self, cookie_name: str) -> None:
        self._cookie = f"{cookie_name}_done"

    def leave(self, response: Response, done: Done) -> None:
        """Let the browser bring it to the next page."""
        told = f"{done.action}.{done.count}.{done.mailbox}"
        if 0 < len(done.undo) <= _LONGEST_UNDO:
            told += f".{done.undo}"
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
        return Done(match[1], int(match[2]), int(match[3] or 0), match[4] or "")

    def forget(self, response: Response) -> None:
        """It was said."""
        response.delete_cookie(self._cookie)
