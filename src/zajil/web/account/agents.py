"""The name of a browser and of its system, from the field User-Agent (RFC 9110 section 10.1.5)."""

from __future__ import annotations

_BROWSERS = (
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("HeadlessChrome/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
"""A piece of the field, and the browser that sends it; those that pretend to be others first."""
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def browser_of(agent: str) -> str:
    """Return the name of a browser; ``""``: unknown."""
    return next((name for piece, name in _BROWSERS if piece in agent), "")


def system_of(agent: str) -> str:
    """Return the name of a browser's system; ``""``: unknown."""
    return next((name for piece, name in _SYSTEMS if piece in agent), "")
