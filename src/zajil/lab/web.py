"""The web page of the lab: its domains and accounts, and the journey of each message on both sides.

It listens on 127.0.0.1 only and shows passwords of accounts that exist in the lab only.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from zajil.core.ids import MailId
from zajil.lab.journeys import LabJourneys
from zajil.lab.lab import Lab
from zajil.net.system import SystemClock
from zajil.web.journey import tell_journey
from zajil.web.page import THEMES
from zajil.web.security import SecurityHeaders, local_path
from zajil.web.two_ends import COOKIE_NAME, SidesPages


def make_lab_web(lab: Lab, journeys: LabJourneys) -> Starlette:
    """Return the pages of a lab that runs."""
    clock = SystemClock()
    pages = SidesPages(clock)

    async def index(request: Request) -> Response:
        mails = await run_in_threadpool(journeys.newest)
        return _show(pages, request, "lab.html", domains=lab.domains, mails=mails)

    async def journey(request: Request) -> Response:
        mail_id = MailId(request.path_params["mail_id"])
        halves = await run_in_threadpool(journeys.halves, mail_id)
        if not halves:
            return PlainTextResponse("No domain of this lab has this message.", 404)
        now_ms = clock.now_ms()
        told = [tell_journey(half.journey, now_ms, half.domain) for half in halves]
        return _show(pages, request, "lab_journey.html", halves=told)

    async def preferences(request: Request) -> Response:
        form = await request.form()
        response = RedirectResponse(local_path(form.get("next"), "/"), 303)
        for name, allowed in (("language", set(pages.languages)), ("theme", {*THEMES, "auto"})):
            chosen = form.get(name)
            if isinstance(chosen, str) and chosen in allowed:
                response.set_cookie(f"{COOKIE_NAME}_{name}", chosen, samesite="lax")
        return response

    return Starlette(
        routes=[
            Route("/", index),
            Route("/journey/{mail_id}", journey),
            Route("/preferences", preferences, methods=["POST"]),
            Route("/static/{name}", pages.static.show),
        ],
        # Security: a page elsewhere must not read this one by a name of its own that it points
        # at 127.0.0.1 (DNS rebinding).
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1"]),
            Middleware(SecurityHeaders, hsts_seconds=0),
        ],
    )


class LabWebServer:
    """Serves the pages in the lab's own event loop."""

    def __init__(self, application: Starlette) -> None:
        config = uvicorn.Config(application, log_config=None, access_log=False, lifespan="off")
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self, port: int) -> str:
        """Listen; give the address of the page."""
        sock = socket.create_server(("127.0.0.1", port))
        self._task = asyncio.create_task(self._server.serve(sockets=[sock]))
        return f"http://localhost:{sock.getsockname()[1]}/"

    async def stop(self) -> None:
        """Stop listening; pages on their way are finished."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to the lab."""
        yield


def _show(pages: SidesPages, request: Request, template: str, **context: object) -> HTMLResponse:
    return HTMLResponse(pages.render(pages.visitor(request), template, **context))
