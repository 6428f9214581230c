"""A letter that was sent when the session was over: the log-in form keeps it, and saves it."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request

from zajil.login.account import Account
from zajil.web.page import Visitor
from zajil.web.parts import WebParts
from zajil.web.webmail.compose_form import spell_place, unpack_letter
from zajil.web.webmail.compose_store import CannotSave, Letters


class KeptLetters:
    """Letters within a log-in form."""

    def __init__(self, parts: WebParts) -> None:
        self._letters = Letters(parts.services)

    async def save(
        self, request: Request, visitor: Visitor, account: Account, kept: object
    ) -> str | None:
        """Save what a log-in form kept as a draft.

        Returns:
            The address of the draft; ``None``: the form kept nothing, or there is no room for it.
        """
        letter = unpack_letter(kept)
        if letter is None or letter.is_blank:
            return None
        try:
            place = await self._letters.save(request, visitor, account, letter)
        except CannotSave:
            # Its old draft or its files are gone: the text alone is worth keeping.
            try:
                alone = replace(letter, place="", refs=(), pictures=())
                place = await self._letters.save(request, visitor, account, alone)
            except CannotSave:
                return None
        return f"/compose?draft={spell_place(place)}"
