"""The addresses of the administration."""

from __future__ import annotations

from starlette.routing import BaseRoute, Route

from zajil.web.admin.journeys import JourneySearch
from zajil.web.admin.overview import Overview
from zajil.web.admin.queue import QueuePages
from zajil.web.parts import WebParts


def admin_routes(parts: WebParts) -> list[BaseRoute]:
    """Return a line for each address."""
    admins = parts.access.admins
    overview = Overview(parts.pages, parts.store)
    search = JourneySearch(parts.pages, parts.store)
    queue = QueuePages(parts.pages, parts.operations, parts.notices)
    return [
        Route("/admin", admins(overview.show), methods=["GET"]),
        Route("/admin/journeys", admins(search.show), methods=["GET"]),
        Route("/admin/queue", admins(queue.show), methods=["GET"]),
        Route("/admin/queue", admins(queue.act), methods=["POST"]),
    ]
