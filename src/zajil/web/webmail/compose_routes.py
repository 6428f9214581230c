"""The addresses of writing."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from zajil.operations.openings import Openings
from zajil.submit.draft import MAX_FILES
from zajil.web.access import Writes
from zajil.web.account.login import make_login_pages
from zajil.web.parts import WebParts
from zajil.web.webmail.compose import Writing
from zajil.web.webmail.compose_pictures import LetterPictures
from zajil.web.webmail.noted_openings import noted
from zajil.web.webmail.scheduled import ScheduledPages


def compose_routes(parts: WebParts) -> list[BaseRoute]:
    """Return a line for each address."""
    members = parts.access.members
    openings = Openings(parts.operations)
    writing = Writing(parts.pages, parts.services, parts.notices, openings)
    scheduled = ScheduledPages(parts.pages, parts.services, parts.notices)
    pictures = LetterPictures(parts.store)
    writes = Writes(
        most_bytes=parts.services.acceptance.limits.message_size,
        most_files=MAX_FILES,
        most_fields=MAX_FILES + 50,
        without_session=make_login_pages(parts).ask_with_letter,
        with_old_token=writing.lost,
    )
    return [
        Route("/compose", members(writing.show), methods=["GET"]),
        Route("/compose", members(writing.act, writes), methods=["POST"]),
        Route(
            "/compose/picture/{mailbox_id}/{uid}/{name:path}",
            members(noted(openings, pictures.show)),
            methods=["GET"],
        ),
        Route("/compose/undo", members(scheduled.undo), methods=["POST"]),
        Route("/scheduled", members(scheduled.show), methods=["GET"]),
    ]
