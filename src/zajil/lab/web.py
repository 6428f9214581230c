"""The lab's own page: its domains and accounts, and each letter's journey at both ends.

It listens on 127.0.0.1 only and shows passwords: of accounts that exist nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path

import uvicorn
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from zajil.core.ids import MailId
from zajil.lab.journeys import LabJourneys
from zajil.lab.lab import Lab
from zajil.tracking.journey import readable
from zajil.tracking.story import tell_story, tone_of_state

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def make_lab_web(lab: Lab, journeys: LabJourneys) -> Starlette:
    """Give the pages of a lab that runs."""
    pages = _pages()

    async def index(request: Request) -> Response:
        mails = await run_in_threadpool(journeys.newest)
        return _show(pages, "index.html", lab=lab, mails=mails)

    async def journey(request: Request) -> Response:
        mail_id = MailId(request.path_params["mail_id"])
        halves = await run_in_threadpool(journeys.halves, mail_id)
        if not halves:
            return PlainTextResponse("No domain of this lab knows such a letter.", 404)
        return _show(pages, "journey.html", halves=halves)

    return Starlette(
        routes=[Route("/", index), Route("/journeys/{mail_id}", journey)],
        # Security: a page elsewhere must not read this one by a name of its own that it points
        # at 127.0.0.1 (DNS rebinding).
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=["localhost", "127.0.0.1"]),
        ],
    )


class LabWebServer:
    """Serves the pages in the lab's own event loop."""

    def __init__(self, application: Starlette) -> None:
        config = uvicorn.Config(application, log_config=None, access_log=False, lifespan="off")
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Listen on a free port; give the address of the page."""
        sock = socket.create_server(("127.0.0.1", 0))
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


def _pages() -> Environment:
    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters.update(iso=_iso, readable=readable, story=tell_story, tone=_tone)
    return pages


def _show(pages: Environment, template: str, **context: object) -> HTMLResponse:
    text = pages.get_template(template).render(context)
    return HTMLResponse(text, headers={"Content-Security-Policy": _POLICY})


def _iso(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _tone(state: str) -> str:
    return tone_of_state(state).value
