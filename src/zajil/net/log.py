"""Our log: what programs of ours and libraries say, and the tracking events.

A line is written as a whole by one call, so that lines of several processes do not mix.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

from zajil.config.options_monitor import LOG_AREAS, LogOptions
from zajil.core.clock import Clock
from zajil.net.log_place import LogPlace
from zajil.net.log_text import escape_lines, write_journal, write_json, write_text
from zajil.net.logger import get_logger
from zajil.net.peer import Peer
from zajil.tracking.events import TrackingEvent
from zajil.tracking.log_line import LogLine
from zajil.tracking.log_view import LogView

_WRITERS = {"text": write_text, "json": write_json, "journal": write_journal}
_FINISH_SECONDS = 60.0
_ON_STDERR = LogPlace(None, "{} log lines were lost".format)
"""For events in a process that has set up no log: a command, a test."""


def set_up_log(options: LogOptions) -> None:
    """Send our log and that of libraries to its place, for people or for programs.

    May be called again; what was set up before ends.

    Raises:
        LogUnavailable: the file cannot be opened; nothing was changed.
    """
    formatter = _LineFormatter(options.format)
    handler = _PlaceHandler(LogPlace(options.file, formatter.tell_lost))
    handler.setFormatter(formatter)
    level = logging.getLevelNamesMapping()[options.level.upper()]
    shut_log()
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(max(level, logging.INFO))
    logging.getLogger("zajil").setLevel(level)
    for area in LOG_AREAS:
        own = options.levels.get(area, "notset")
        logging.getLogger(f"zajil.{area}").setLevel(own.upper())
    logging.getLogger("alembic").setLevel(logging.WARNING)
    # Security: their warnings are lines that any stranger can cause; ``web.server`` counts them.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # monitor.tracing tells it once


def log_ignored_error(ignored: sys.UnraisableHookArgs) -> None:
    """Log an error that Python cannot raise to anybody; for ``sys.unraisablehook``."""
    is_host_name = isinstance(ignored.object, bytes)
    # Attack: a TLS client asks for a host whose name is not ASCII. Its handshake fails, and is
    # counted; Python tells of it here.
    if is_host_name and isinstance(ignored.exc_value, UnicodeDecodeError):
        return
    where = f"{ignored.object!r:.200}"
    get_logger().error("an error was ignored", where=where, exc_info=ignored.exc_value)


def shut_log() -> None:
    """End what ``set_up_log`` began: no line is written any more."""
    root = logging.getLogger()
    for handler in [one for one in root.handlers if isinstance(one, _PlaceHandler)]:
        root.removeHandler(handler)
        handler.close()


def log_place() -> LogPlace:
    """Return where the lines of this process go."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _PlaceHandler):
            return handler.place
    return _ON_STDERR


class _PlaceHandler(logging.Handler):
    """Writes what was logged to the place of the log."""

    def __init__(self, place: LogPlace) -> None:
        super().__init__()
        self.place = place

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; what cannot be formatted is reported as ``logging`` does."""
        try:
            line = self.format(record)
        except Exception:
            self.handleError(record)
            return
        self.place.write((line,))

    def close(self) -> None:
        """Close the file."""
        self.place.close()
        super().close()


class _LineFormatter(logging.Formatter):
    """Writes what was logged in our format."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._write = _WRITERS[name]
        self._is_json = name == "json"

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; in text, a traceback follows it on lines of its own."""
        level, event = record.levelname.lower(), record.getMessage()
        values = dict(getattr(record, "values", {}))
        traceback = self.formatException(record.exc_info) if record.exc_info else ""
        if self._is_json and traceback:
            values["exception"] = tuple(traceback.split("\n"))
        line = self._write(_spell_now(record.created), level, event, values)
        if self._is_json or not traceback:
            return line
        return f"{line}\n    {escape_lines(traceback)}"

    def tell_lost(self, count: int) -> str:
        """Return the line that says that lines were lost."""
        return self._write(_spell_now(time.time()), "error", "log.lost", {"count": count})


def _spell_now(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def trace_to_log(event: str, peer: Peer, said: str) -> None:
    """Write one line of a dialogue at ``debug``.

    Args:
        event: ``smtp.dialogue``, ``imap.dialogue``, ``pop3.dialogue``.
        peer: whose connection it is.
        said: ``C: ...`` or ``S: ...``, without secrets.
    """
    area = event.partition(".")[0]
    get_logger(f"zajil.{area}").debug(event, peer=peer.host, port=peer.port, said=said)


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
        options: levels and format.
        clock: for counts that nobody asked for.
    """

    def __init__(self, options: LogOptions, clock: Clock) -> None:
        self._least = _LEVELS[options.level]
        self._levels = {area: _LEVELS[level] for area, level in options.levels.items()}
        self._write = _WRITERS[options.format]
        self._clock = clock
        self._view = LogView(is_debug=min([self._least, *self._levels.values()]) <= logging.DEBUG)
        self._timer: asyncio.TimerHandle | None = None

    def tell(self, batches: Iterable[LogBatch], shard: str | None = None) -> None:
        """Write the lines of what happened; ``shard``: where, if it is not the main one."""
        view = self._view
        lines = (
            line
            for batch in batches
            for line in view.lines(batch.session_id, batch.mail_id, batch.events)
        )
        self._put(lines if shard is None else (line.in_shard(shard) for line in lines))
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
            self._write(_spell_time(line.at_ms), line.level, line.event, line.values)
            for line in lines
            if _LEVELS[line.level] >= self._least_of(line.event)
        ]
        if text:
            log_place().write(text)

    def _least_of(self, event: str) -> int:
        if not self._levels:
            return self._least
        return self._levels.get(event.partition(".")[0], self._least)


_LEVELS = {
    name: logging.getLevelNamesMapping()[name.upper()]
    for name in ("debug", "info", "warning", "error")
}


def _spell_time(at_ms: int) -> str:
    seconds, milliseconds = divmod(at_ms, 1000)
    return f"{_spell_second(seconds)}.{milliseconds:03}Z"


@functools.lru_cache(maxsize=16)  # the lines of one moment share it
def _spell_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
