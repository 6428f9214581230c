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
_NOTICE = re.compile(r"([a-z]{1,20})\.([0-9]{1,9})\Z")


@dataclass(frozen=True, slots=True)
class Done:
    """Something that was done."""

    action: str
    """A word that the template has a sentence for."""
    count: int
    """How many messages it concerned."""


class Notices:
    """Leaves a notice at one answer and takes it at the next."""

    def __init__(self, cookie_name: str) -> None:
        self._cookie = f"{cookie_name}_done"

    def leave(self, response: Response, done: Done) -> None:
        """Let the browser bring it to the next page."""
        response.set_cookie(
            self._cookie,
            f"{done.action}.{done.count}",
            max_age=_SECONDS,
            httponly=True,
            samesite="strict",
        )

    def read(self, request: Request) -> Done | None:
        """Return what the last answer left; ``None`` for nothing, and for what nobody left."""
        match = _NOTICE.match(request.cookies.get(self._cookie, ""))
        return Done(match[1], int(match[2])) if match else None

    def forget(self, response: Response) -> None:
        """It was said."""
        response.delete_cookie(self._cookie)
