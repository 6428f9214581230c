"""``/compose/picture``: a picture in the text of a letter, as its author sees it.

Security: shown only if its first bytes are those of a picture; SVG, which is a document, is none.
"""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from zajil.login.account import Account
from zajil.message.view import MessageView, content_id
from zajil.read.picture_fetch import picture_type
from zajil.store.engine.open import Store
from zajil.web.page import Visitor
from zajil.web.webmail.opened_message import load_message


class LetterPictures:
    """Pictures of drafts, and of messages that a letter answers or forwards."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Return one picture."""
        name = request.path_params["name"]
        _, data = await load_message(
            self._store, request, account, lambda message: find_picture(message, name)
        )
        shown_as = picture_type(data)
        if shown_as is None:
            raise HTTPException(404)
        # Saving gives a draft another place: what an editor shows is still that of the old one.
        headers = {
            "Cache-Control": "private, max-age=86400, immutable",
            "Content-Security-Policy": "sandbox",
            "Content-Disposition": "inline",
        }
        return Response(data, media_type=shown_as, headers=headers)


def find_picture(message: bytes, name: str) -> bytes:
    """Return the content of the part with this Content-ID; ``b""``: there is none."""
    view = MessageView.from_bytes(message)
    for leaf in view.leaves:
        if name and content_id(leaf.part) == name:
            return leaf.part.content(message)
    return b""
