"""How a line of our log is spelled: for people and fail2ban, or as JSON. Pure.

Laws:
- One event is one line. No value from outside ends it, forges another one, or turns its direction:
  what cannot be printed is written as an escape (attack: log injection).
- A value without spaces, quotes and other signs of ours stands bare; any other stands in quotes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

MOST = 2000
"""Characters of one value; the rest is cut."""
_BARE = re.compile(r"[!#-<>-\[\]-~]+\Z")
_PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def write_text(time: str, level: str, event: str, values: Mapping[str, object]) -> str:
    """Return ``TIME LEVEL EVENT key=value ...``, without a line end.

    Args:
        time: as ``2026-11-28T09:30:00.125Z``.
        level: ``info`` ...
        event: name of a tracking event, which stands bare, or a sentence, which stands in quotes.
        values: keys are ours.
    """
    parts = [time, level, event if _BARE.match(event) else quote(event[:MOST])]
    parts += [f"{key}={spell(value)}" for key, value in values.items()]
    return " ".join(parts)


def write_journal(_time: str, level: str, event: str, values: Mapping[str, object]) -> str:
    """Return the line for the systemd journal: ``<6>info EVENT key=value ...`` (sd-daemon(3))."""
    return f"<{_PRIORITIES[level]}>{write_text('', level, event, values)[1:]}"


def write_json(time: str, level: str, event: str, values: Mapping[str, object]) -> str:
    """Return an object with ``timestamp``, ``level``, ``event``, the values; without a line end."""
    item: dict[str, object] = {"timestamp": time, "level": level, "event": event}
    item |= {key: _plain(value) for key, value in values.items()}
    text = json.dumps(item, ensure_ascii=False, separators=(",", ":"))
    # What is not printable can stand in strings alone, where JSON has this escape.
    return text if text.isprintable() else "".join(map(_escape_json, text))


def spell(value: object) -> str:
    """Return a value as it stands behind ``key=``."""
    text = value if type(value) is str else _text_of(value)
    text = text if len(text) <= MOST else f"{text[:MOST]}…"
    return text if _BARE.match(text) else quote(text)


def _text_of(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def quote(text: str) -> str:
    """Put a text in quotes; what is not printable becomes an escape."""
    text = text.replace("\\", r"\\").replace('"', r"\"")
    if not text.isprintable():
        text = "".join(c if c.isprintable() else _SHORT.get(c) or _escape(c) for c in text)
    return f'"{text}"'


def escape_lines(text: str) -> str:
    """Make a text of several lines (a traceback) safe: further lines are indented."""
    return "\n    ".join(
        "".join(c if c.isprintable() else _SHORT.get(c) or _escape(c) for c in line)
        for line in text.split("\n")
    )


def _escape(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _escape_json(character: str) -> str:
    return character if character.isprintable() else json.dumps(character)[1:-1]


def _plain(value: object) -> object:
    if isinstance(value, str):
        return value if len(value) <= MOST else f"{value[:MOST]}…"
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return _plain(str(value))
