"""One line of the log, and the limits on lines: counts of refusals, lack of disk space. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from zajil.core.value_class import value_class

Values = Mapping[str, object]


@value_class(frozen=True, slots=True)
class LogLine:
    """One line, not yet spelled."""

    at_ms: int
    level: str
    """``debug``, ``info``, ``warning``, ``error``."""
    event: str
    values: Values
    """In the order in which they are written; what comes from outside is not made safe yet."""

    def in_shard(self, shard: str) -> LogLine:
        """Return the line with the name of the shard where it happened."""
        return LogLine(self.at_ms, self.level, self.event, {**self.values, "shard": shard})


def spell_time(at_ms: int) -> str:
    """Return ``2026-11-28T09:30:00Z``."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


_MOST_LINES = 20
"""Lines of one kind and peer within a minute."""
_WINDOW_MS = 60_000
_MOST_FLOODS = 2000
_SPACE_TOLD_EVERY_MS = 600_000


@dataclass(slots=True)
class _Window:
    since_ms: int
    lines: int = 0
    left_out: int = 0


@dataclass(slots=True)
class Floods:
    """Counts lines of one kind and peer within a minute."""

    windows: OrderedDict[tuple[str, str], _Window] = field(default_factory=OrderedDict)

    def __bool__(self) -> bool:
        return bool(self.windows)

    def has_room(self, name: str, peer: str, now_ms: int) -> bool:
        """Count a line; false: it is left out."""
        key = (name, peer)
        if key not in self.windows and len(self.windows) >= _MOST_FLOODS:
            key = (name, "others")
        window = self.windows.setdefault(key, _Window(now_ms))
        if window.lines < _MOST_LINES:
            window.lines += 1
            return True
        window.left_out += 1
        return False

    def finish(self, now_ms: int) -> Iterator[LogLine]:
        """Forget windows that are over, which are the first, and tell what they left out."""
        while self.windows:
            key, window = next(iter(self.windows.items()))
            if abs(now_ms - window.since_ms) < _WINDOW_MS:
                return
            del self.windows[key]
            if window.left_out:
                name, peer = key
                values = {"peer": peer, "event": name, "count": window.left_out}
                yield LogLine(now_ms, "info", "log.left_out", values)


@dataclass(slots=True)
class Space:
    """Whether mail is refused for want of space."""

    short_since_ms: int = 0
    """0: it is not."""
    told_ms: int = 0
    count: int = 0

    def refused(self, now_ms: int, reason: str) -> Iterator[LogLine]:
        """Log the first mail, and then periodically the number of mails."""
        self.count += 1
        if self.short_since_ms and abs(now_ms - self.told_ms) < _SPACE_TOLD_EVERY_MS:
            return
        self.short_since_ms = self.short_since_ms or now_ms
        self.told_ms = now_ms
        values = {"reason": reason, "refused": self.count, "since": spell_time(self.short_since_ms)}
        yield LogLine(now_ms, "error", "store.no_space", values)

    def found(self, now_ms: int) -> LogLine:
        """Log that mail is accepted again."""
        values = {"refused": self.count, "since": spell_time(self.short_since_ms)}
        self.short_since_ms = self.told_ms = self.count = 0
        return LogLine(now_ms, "info", "store.space_again", values)
