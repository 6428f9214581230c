"""The application: the route tables of all areas, middleware, pages of errors."""

from __future__ import annotations

import functools

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from zajil.core.domain import to_unicode
from zajil.core.errors import AlreadyExists, Invalid, NotFound, Refused, Unavailable, ZajilError
from zajil.net.logger import get_logger
from zajil.net.peer import Networks
from zajil.operations.mta_sts import policy_text
from zajil.operations.openings import Openings
from zajil.store.engine.errors import BytesAway
from zajil.web.access import Access
from zajil.web.account.routes import account_routes
from zajil.web.admin.routes import admin_routes
from zajil.web.body_limit import BodyLimit
from zajil.web.by_host import ByHost
from zajil.web.client_settings.pages import is_settings_path, settings_routes
from zajil.web.compressed import Compressed
from zajil.web.forwarded import ForwardedPeer
from zajil.web.journey import JourneyPages
from zajil.web.language import load_languages
from zajil.web.notices import Notices
from zajil.web.page import Pages, Site
from zajil.web.parts import WebParts
from zajil.web.security import SecurityHeaders, Sessions
from zajil.web.services import WebServices
from zajil.web.static_files import StaticFiles
from zajil.web.webmail.routes import webmail_routes


def make_web(services: WebServices) -> Starlette:
    """Make the application that a listener serves; nothing is started by it."""
    languages = load_languages()
    static = StaticFiles()
    shard = "" if services.catalogue is None else services.shard
    site = Site(to_unicode(services.hostname), services.options.cookie_name, shard)
    pages = Pages(languages, static, services.clock, site)
    sessions = Sessions(services.store, services.clock, services.random, services.options)
    access = Access(services, sessions, languages)
    parts = WebParts(
        services=services,
        operations=services.operations,
        static=static,
        languages=languages,
        pages=pages,
        sessions=sessions,
        access=access,
        notices=Notices(services.options.cookie_name),
    )
    openings = Openings(parts.operations)
    journeys = JourneyPages(pages, services.store, services.clock, openings)
    routes: list[BaseRoute] = [
        Route("/", _home, methods=["GET"]),
        *account_routes(parts),
        *settings_routes(services),
        *webmail_routes(parts),
        Route("/journey/{mail_id}.json", access.members(journeys.show_json), methods=["GET"]),
        Route("/journey/{mail_id}/live", access.members(journeys.live), methods=["GET"]),
        Route("/journey/{mail_id}", access.members(journeys.show), methods=["GET"]),
        *admin_routes(parts),
        Route("/static/{name}", static.show, methods=["GET"]),
    ]

    async def show_error(request: Request, error: Exception) -> Response:
        status = http_status(error)
        if isinstance(error, Unavailable):
            get_logger().warning("page.unavailable", reason=str(error))
        visitor = await access.visitor_of_error(request, status)
        is_away = isinstance(error, BytesAway)
        return pages.render(visitor, "error.html", status, status=status, is_away=is_away)

    return Starlette(
        routes=routes,
        middleware=_middleware(services),
        exception_handlers={HTTPException: show_error, ZajilError: show_error, 500: show_error},
    )


def _middleware(services: WebServices) -> list[Middleware]:
    """Return what a request passes before the routes, the outermost first."""
    options = services.options
    return [
        Middleware(
            ForwardedPeer,
            proxies=Networks(options.trusted_proxies),
            is_https=(options.url or "").startswith("https:"),
        ),
        Middleware(SecurityHeaders, hsts_seconds=options.hsts_ms // 1000),
        Middleware(
            ByHost,
            names=services.names,
            make_policy=functools.partial(policy_text, services.configuration),
            is_settings_path=is_settings_path,
        ),
        Middleware(Compressed, random=services.random),
        Middleware(
            BodyLimit,
            most=options.form_size,
            seconds=options.body_time_ms / 1000,
        ),
    ]


def http_status(error: Exception) -> int:
    """Return the HTTP status of an error that no handler of a page caught."""
    if isinstance(error, HTTPException):
        return error.status_code
    return next((status for family, status in _STATUSES.items() if isinstance(error, family)), 500)


async def _home(request: Request) -> Response:
    return RedirectResponse("/mail", 303)


_STATUSES: dict[type[ZajilError], int] = {
    Invalid: 400,
    NotFound: 404,
    AlreadyExists: 409,
    Refused: 409,
    Unavailable: 503,
}
