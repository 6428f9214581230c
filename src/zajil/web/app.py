"""The route table: every address that the web answers."""

from __future__ import annotations

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
from zajil.web.access import Access
from zajil.web.account.app_passwords import AppPasswordPages
from zajil.web.account.login import LoginPages
from zajil.web.account.preferences import Preferences
from zajil.web.admin.journeys import JourneySearch
from zajil.web.admin.overview import Overview
from zajil.web.admin.queue import QueuePages
from zajil.web.body_limit import BodyLimit
from zajil.web.compressed import Compressed
from zajil.web.forwarded import ForwardedPeer
from zajil.web.journey import JourneyPages
from zajil.web.language import load_languages
from zajil.web.notices import Notices
from zajil.web.page import Pages, Site
from zajil.web.security import SecurityHeaders, Sessions
from zajil.web.services import WebServices
from zajil.web.static_files import StaticFiles
from zajil.web.webmail.compose import Writing
from zajil.web.webmail.live import Live
from zajil.web.webmail.message_list import MessageList
from zajil.web.webmail.message_page import MessagePages

_LETTER = "/mail/{mailbox_id}/{uid}"


def make_web(services: WebServices) -> Starlette:
    """Make the application that a listener serves; nothing is started by it.

    Long: one table, a line for each address.
    """
    languages = load_languages()
    static = StaticFiles()
    site = Site(to_unicode(services.hostname), services.options.cookie_name)
    pages = Pages(languages, static, services.clock, site)
    sessions = Sessions(services.store, services.clock, services.random, services.options)
    gate = Access(services, sessions, languages)
    notices = Notices(services.options.cookie_name)
    login = LoginPages(pages, sessions, services.login)
    preferences = Preferences(pages, languages, services.options.cookie_name, services.store)
    operations = services.operations
    app_passwords = AppPasswordPages(pages, operations, notices)
    journeys = JourneyPages(pages, services.store)
    overview = Overview(pages, services.store)
    search = JourneySearch(pages, services.store)
    queue = QueuePages(pages, operations, notices)
    letters = MessageList(pages, operations, notices)
    letter = MessagePages(pages, operations, notices)
    writing = Writing(pages, services)
    live = Live(services.store)
    routes: list[BaseRoute] = [
        Route("/", _home, methods=["GET"]),
        Route("/login", gate.anyone(login.show), methods=["GET"]),
        Route("/login", gate.anyone(login.log_in), methods=["POST"]),
        Route("/logout", gate.members(login.log_out), methods=["POST"]),
        Route("/preferences", gate.anyone(preferences.change), methods=["POST"]),
        Route("/account", gate.members(preferences.show_account), methods=["GET"]),
        Route("/account/app-passwords", gate.members(app_passwords.show), methods=["GET"]),
        Route("/account/app-passwords", gate.members(app_passwords.act), methods=["POST"]),
        Route("/mail", gate.members(letters.home), methods=["GET"]),
        Route("/mail/{mailbox_id}", gate.members(letters.show), methods=["GET"]),
        Route("/mail/{mailbox_id}", gate.members(letters.act), methods=["POST"]),
        Route(_LETTER, gate.members(letter.show), methods=["GET"]),
        Route(_LETTER + "/html", gate.members(letter.show_html), methods=["GET"]),
        Route(_LETTER + "/file/{number}", gate.members(letter.download), methods=["GET"]),
        Route(_LETTER + "/source", gate.members(letter.download_source), methods=["GET"]),
        Route("/compose", gate.members(writing.show), methods=["GET"]),
        Route("/compose", gate.members(writing.send), methods=["POST"]),
        Route("/live", gate.members(live.stream), methods=["GET"]),
        Route("/journey/{mail_id}.json", gate.members(journeys.show_json), methods=["GET"]),
        Route("/journey/{mail_id}", gate.members(journeys.show), methods=["GET"]),
        Route("/admin", gate.admins(overview.show), methods=["GET"]),
        Route("/admin/journeys", gate.admins(search.show), methods=["GET"]),
        Route("/admin/queue", gate.admins(queue.show), methods=["GET"]),
        Route("/admin/queue", gate.admins(queue.act), methods=["POST"]),
        Route("/static/{name}", static.show, methods=["GET"]),
    ]

    async def show_error(request: Request, error: Exception) -> Response:
        status = http_status(error)
        if isinstance(error, Unavailable):
            get_logger().warning("page.unavailable", reason=str(error))
        visitor = await gate.visitor_of_error(request, status)
        return pages.render(visitor, "error.html", status, status=status)

    return Starlette(
        routes=routes,
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(ForwardedPeer, proxies=Networks(services.options.trusted_proxies)),
            Middleware(Compressed, random=services.random),
            Middleware(
                BodyLimit,
                most=services.options.form_size,
                seconds=services.options.body_time_ms / 1000,
            ),
        ],
        exception_handlers={HTTPException: show_error, ZajilError: show_error, 500: show_error},
    )


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
