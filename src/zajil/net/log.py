"""Our log on standard error: what programs of ours and libraries say, and the tracking events.

A line is written as a whole by one call, so that lines of several processes do not mix.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol, TextIO

from zajil.config.options_server import LogOptions
from zajil.core.clock import Clock
from zajil.net.log_text import escape_lines, write_json, write_text
from zajil.net.logger import get_logger
from zajil.net.peer import Peer
from zajil.tracking.events import TrackingEvent
from zajil.tracking.log_line import LogLine
from zajil.tracking.log_view import LogView

_WRITERS = {"text": write_text, "json": write_json}
_FINISH_SECONDS = 60.0


def set_up_log(options: LogOptions) -> None:
    """Send our log and that of libraries to standard error, for people or for programs."""
    level = logging.getLevelNamesMapping()[options.level.upper()]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LineFormatter(options.format))
    logging.basicConfig(level=max(level, logging.INFO), handlers=[handler], force=True)
    logging.getLogger("zajil").setLevel(level)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


class _LineFormatter(logging.Formatter):
    """Writes what was logged in our format."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._is_json = name == "json"

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; in text, a traceback follows it on lines of its own."""
        time = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        level, event = record.levelname.lower(), record.getMessage()
        values = dict(getattr(record, "values", {}))
        traceback = self.formatException(record.exc_info) if record.exc_info else ""
        if self._is_json:
            if traceback:
                values["exception"] = tuple(traceback.split("\n"))
            return write_json(time, level, event, values)
        line = write_text(time, level, event, values)
        return f"{line}\n    {escape_lines(traceback)}" if traceback else line


def trace_to_log(event: str, peer: Peer, said: str) -> None:
    """Write one line of a dialogue at ``debug``.

    Args:
        event: ``smtp.dialogue``, ``imap.dialogue``, ``pop3.dialogue``.
        peer: whose connection it is.
        said: ``C: ...`` or ``S: ...``, without secrets.
    """
    get_logger().debug(event, peer=peer.host, port=peer.port, said=said)


class LogBatch(Protocol):
    """Events of one transaction: ``store.mail.tracking.EventBatch``."""

    @property
    def session_id(self) -> str | None:
        """The connection."""

    @property
    def mail_id(self) -> str | None:
        """The mail."""

    @property
    def events(self) -> Sequence[TrackingEvent]:
        """What happened."""


class EventLog:
    """Writes tracking events to the log; for the event loop's thread alone.

    Args:
        options: level and format.
        clock: for counts that nobody asked for.
        stream: ``None``: standard error.
    """

    def __init__(self, options: LogOptions, clock: Clock, stream: TextIO | None = None) -> None:
        self._least = logging.getLevelNamesMapping()[options.level.upper()]
        self._write = _WRITERS[options.format]
        self._clock = clock
        self._stream = stream
        self._view = LogView(is_debug=self._least <= logging.DEBUG)
        self._timer: asyncio.TimerHandle | None = None

    def tell(self, batches: Iterable[LogBatch]) -> None:
        """Write the lines of what happened."""
        view = self._view
        self._put(
            line
            for batch in batches
            for line in view.lines(batch.session_id, batch.mail_id, batch.events)
        )
        if view.owes_lines and self._timer is None:
            with suppress(RuntimeError):  # no loop: a test, or the command line
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(_FINISH_SECONDS, self._finish)

    def _finish(self) -> None:
        self._timer = None
        self._put(self._view.finish(self._clock.now_ms()))
        self.tell(())

    def _put(self, lines: Iterable[LogLine]) -> None:
        text = [
            self._write(_spell_time(line.at_ms), line.level, line.event, line.values) + "\n"
            for line in lines
            if _LEVELS[line.level] >= self._least
        ]
        if not text:
            return
        stream = self._stream or sys.stderr
        with suppress(OSError, ValueError):  # a log that cannot be written costs nobody a mail
            for part in _in_parts(text):
                stream.write(part)
                stream.flush()


_LEVELS = {
    name: logging.getLevelNamesMapping()[name.upper()]
    for name in ("debug", "info", "warning", "error")
}
_MOST_BYTES = 4000
"""Of one write: a pipe takes less than 4096 as a whole, without parts of other processes in it."""


def _in_parts(lines: Sequence[str]) -> Iterable[str]:
    part: list[str] = []
    size = 0
    for line in lines:
        length = len(line.encode("utf-8", "replace"))
        if part and size + length > _MOST_BYTES:
            yield "".join(part)
            part, size = [], 0
        part.append(line)
        size += length
    yield "".join(part)


def _spell_time(at_ms: int) -> str:
    seconds, milliseconds = divmod(at_ms, 1000)
    return f"{_spell_second(seconds)}.{milliseconds:03}Z"


@functools.lru_cache(maxsize=16)  # the lines of one moment share it
def _spell_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
