"""``/mail/MAILBOX/UID/logo``: the logo of an author, where a certificate confirms it (BIMI)."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from zajil.core.value_class import value_class
from zajil.login.account import Account
from zajil.read.logo_question import LogoQuestion
from zajil.read.sender_logos import LogoFinder
from zajil.store.engine.open import Store
from zajil.store.mail.messages import Message
from zajil.store.mail.sender_logos import get_logo
from zajil.web.page import Visitor
from zajil.web.webmail.mailboxes import Box, load_boxes
from zajil.web.webmail.opened_message import open_message, place_of
from zajil.web.webmail.read_letter import ReadLetter, read_letter

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
_NO_LOGO = b'<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
"""Nothing to be seen, where browsers would show that a picture is missing."""
_WITHOUT = ("junk", "sent", "drafts")
"""Roles of mailboxes whose messages show no logo."""


@value_class(frozen=True, slots=True)
class ShownLogo:
    """A logo on the page of a message."""

    domain: str = ""
    """Domain that its certificate is for, ASCII; ``""``: it has to be looked up first."""
    issuer: str = ""


def logo_question(letter: ReadLetter, found: Message, box: Box | None) -> LogoQuestion | None:
    """Return whose logo is shown with a message; ``None``: none.

    Security: not with what lies in Junk, what a program put there, or an author in doubt.
    """
    if box is None or box.role in _WITHOUT or found.mail_id is None or letter.view.warnings:
        return None
    return letter.logo


class SenderLogos:
    """Logos in pages, and as pictures."""

    def __init__(self, store: Store, hostname: str, finder: LogoFinder | None) -> None:
        """Make them.

        Args:
            store: for messages, and logos that are known.
            hostname: the name in Authentication-Results of this server.
            finder: ``None``: no logos are shown.
        """
        self._store = store
        self._hostname = hostname
        self._finder = finder

    def in_page(self, conn: Any, question: LogoQuestion | None, now_ms: int) -> ShownLogo | None:
        """Return the logo that a page shows, or may show when it was looked up. A query."""
        if self._finder is None or question is None:
            return None
        known = get_logo(conn, question.domain, question.selector, now_ms)
        if known is None:
            return ShownLogo()
        return ShownLogo(known.name, known.issuer) if known.svg is not None else None

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Send the logo of the author of a message; look it up before if it is not known.

        Where there is none, the picture is empty: the page shows what is below it.
        """
        # Security: an SVG is a document, and shall be a picture only.
        if self._finder is None or request.headers.get("sec-fetch-dest", "image") != "image":
            raise HTTPException(404)
        place = place_of(request)

        def load(conn: Any) -> LogoQuestion | None:
            box = load_boxes(conn, account.account_id, self._store.tables).get(place[0])
            found, letter = open_message(
                conn,
                self._store,
                account.account_id,
                place,
                lambda message: read_letter(message, self._hostname),
            )
            return logo_question(letter, found, box)

        question = await self._store.read(load, account.account_id)
        if question is None:
            raise HTTPException(404)
        logo = await self._finder.find(question)
        headers = {"Content-Security-Policy": _POLICY}
        if logo.svg is not None:
            headers["Cache-Control"] = "private, max-age=3600"
        svg = _NO_LOGO if logo.svg is None else logo.svg
        return Response(svg, media_type="image/svg+xml; charset=utf-8", headers=headers)
