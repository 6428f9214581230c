"""What the page of a message is made of: its HTML, its pictures, its files, its bytes.

Security: the HTML of a message is a document of its own, cleaned by ``read.safe_html``, without
scripts, by its own Content-Security-Policy and by the sandbox of the frame around it; each alone
would do. Pictures of other servers come through ``/picture``. Files are downloaded, or shown as
what cannot harm (``shown_files``).
"""

from __future__ import annotations

import functools
from base64 import b64encode
from urllib.parse import quote

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from zajil.login.account import Account
from zajil.message.parse import parse_message
from zajil.net.logger import get_logger
from zajil.read.guarded_fetch import FetchFailed
from zajil.read.picture_fetch import PictureFetcher, PictureLinks
from zajil.read.shown import show_message
from zajil.store.engine.open import Store
from zajil.web.page import Pages, Visitor
from zajil.web.security import FILE_POLICY, LETTER_POLICY, PDF_POLICY
from zajil.web.webmail.opened_message import load_message
from zajil.web.webmail.shown_files import PDF, PICTURES, enclosed_message, find_file, open_file

_MOST_PICTURE_BYTES = 8 << 20
"""Of all inline pictures of one message together: they are sent within its HTML."""
_LONGEST_URL = 4000


class MessageFiles:
    """Everything of a message but its page."""

    def __init__(self, pages: Pages, store: Store, pictures: PictureFetcher) -> None:
        self._pages = pages
        self._store = store
        self._pictures = pictures

    async def show_html(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Return the cleaned HTML of a message, for the frame in its page."""
        links = PictureLinks(visitor.csrf) if wants_pictures(request) else None
        number = request.path_params.get("number")
        read = functools.partial(_html_with_pictures, links=links, number=number)
        _, html = await load_message(self._store, request, account, read)
        if html is None:
            raise HTTPException(404)
        page = self._pages.render_text(visitor, "letter_frame.html", html=Markup(html))  # noqa: S704
        return HTMLResponse(page, headers={"Content-Security-Policy": LETTER_POLICY})

    async def show_picture(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Fetch a picture that a message names, in the place of its reader."""
        url, mac = request.query_params.get("url", ""), request.query_params.get("mac", "")
        # Security: without the MAC anybody's page could have this server fetch anything.
        if len(url) > _LONGEST_URL or not PictureLinks(visitor.csrf).is_ours(url, mac):
            raise HTTPException(404)
        try:
            picture = await self._pictures.fetch(url)
        except FetchFailed as error:
            get_logger().info("picture.failed", url=url[:500], reason=str(error)[:500])
            raise HTTPException(404) from None
        headers = {"Cache-Control": "private, max-age=86400", "Content-Security-Policy": "sandbox"}
        return Response(picture.data, media_type=picture.type, headers=headers)

    async def preview(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show a picture, a sound, a text or a PDF file of a message."""
        number = request.path_params["number"]
        _, found = await load_message(
            self._store, request, account, lambda message: open_file(message, number)
        )
        if found is None:
            raise HTTPException(404)
        is_pdf = found.media_type == PDF
        headers = {
            "Content-Disposition": f"inline; filename*=UTF-8''{quote(found.filename, safe='')}",
            "Content-Security-Policy": PDF_POLICY if is_pdf else FILE_POLICY,
            # What a page shows again and again; a document must be gone when its reader logs out.
            "Cache-Control": "no-store" if is_pdf else "private, max-age=3600",
        }
        return Response(found.data, media_type=found.media_type, headers=headers)

    async def download(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Return one file of a message, to be kept and not to be opened here."""
        number = request.path_params["number"]
        _, found = await load_message(
            self._store, request, account, lambda message: _file(message, number)
        )
        if found is None:
            raise HTTPException(404)
        return _as_file(*found)

    async def download_source(
        self, request: Request, visitor: Visitor, account: Account
    ) -> Response:
        """Return the whole message as it lies in the mailbox."""
        found, message = await load_message(self._store, request, account, bytes)
        return _as_file(f"{found.uid}.eml", message)


def wants_pictures(request: Request) -> bool:
    """Return whether the reader asked for remote pictures.

    Security: a link in a message may lead to this address too, but browsers say where it stood.
    """
    site = request.headers.get("sec-fetch-site", "none")
    return request.query_params.get("pictures") == "1" and site in ("same-origin", "none")


def _html_with_pictures(
    message: bytes, links: PictureLinks | None, number: str | None
) -> str | None:
    """Return the safe HTML with the pictures that the message brings, as ``data:`` URLs.

    Args:
        message: the whole message.
        links: of pictures elsewhere, if they are to be shown.
        number: of a message that is enclosed in it, if that is to be shown.
    """
    if number is not None:
        inner = enclosed_message(message, number)
        return None if inner is None else _html_with_pictures(inner, links, None)
    root = parse_message(message)
    left = _MOST_PICTURE_BYTES

    def data_url(number: str) -> str | None:
        nonlocal left
        part = root.find(number)
        # Security: no SVG, which is a document; what else claims to be a picture is decoded as one.
        if part is None or part.type not in PICTURES:
            return None
        data = part.content(message)
        left -= len(data)
        return f"data:{part.type};base64,{b64encode(data).decode()}" if left >= 0 else None

    remote_url = links.address if links is not None else None
    return show_message(message, remote_url=remote_url, part_url=data_url).html


def _file(message: bytes, number: str) -> tuple[str, bytes] | None:
    found = find_file(message, number)
    return (found[0], found[1].content(message)) if found is not None else None


def _as_file(filename: str, data: bytes) -> Response:
    # RFC 6266 section 4.3: the name in UTF-8, percent-encoded, so that nothing in it can end the
    # field; octet-stream, so that nothing is ever shown as a page of ours.
    disposition = f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
    headers = {"Content-Disposition": disposition, "Content-Security-Policy": "sandbox"}
    return Response(data, media_type="application/octet-stream", headers=headers)
