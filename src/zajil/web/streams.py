"""Server-sent events: responses that go on until the browser leaves, or the server ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import StreamingResponse

STILL_SECONDS = 25
"""Silence before a line that says nothing: proxies close what is silent for a minute."""
LONGEST_SECONDS = 600
"""Then the browser asks anew, so that a log-out is noticed."""
_MARK = "zajil.event_stream"
"""Key of the scope."""


def event_stream(request: Request, events: AsyncIterator[str]) -> StreamingResponse:
    """Return the response to a request of an ``EventSource``."""
    request.scope[_MARK] = True
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


def is_event_stream(scope: Mapping[str, Any]) -> bool:
    """Say whether a request was answered with a stream, which does not end by itself."""
    return _MARK in scope
