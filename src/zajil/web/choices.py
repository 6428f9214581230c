"""What a person chose for the pages: the settings of an account, read and checked.

A value that is missing, or that no form of ours sends, is the default.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC

from zajil.web.language import choose_zone
from zajil.web.saved_searches import SavedSearch, read_saved

OFFERED: Mapping[str, tuple[str, ...]] = {
    "write": ("plain", "rich"),
    "digits": ("", "latn", "arab"),
    "calendar": ("gregorian", "hijri"),
    "density": ("comfortable", "compact"),
    "conversations": ("yes", "no"),
    "undo_seconds": ("10", "0", "5", "20", "30"),
    "view": ("formatted", "plain"),
    "receipts": ("ask", "never"),
}
"""Values of each setting that is chosen from a list; the first is the default."""
LONGEST_SIGNATURE = 4000
"""Characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What a visitor chose; the defaults are those of a visitor who is not logged in."""

    language: str = ""
    """Code of a language; ``""``: what the browser prefers."""
    zone: str = ""
    """Name of a time zone (``Asia/Riyadh``); ``""``: that of the browser."""
    digits: str = ""
    """``latn``, ``arab`` (Arabic-Indic), or ``""``: those of the language."""
    calendar: str = "gregorian"
    """``gregorian`` or ``hijri``."""
    write: str = "plain"
    """``plain`` or ``rich``: how a new message is written first."""
    density: str = "comfortable"
    """``comfortable`` or ``compact``: height of the rows of a list."""
    conversations: bool = True
    """Whether lists show conversations instead of messages."""
    undo_seconds: int = 10
    """How long a message that was sent can be taken back; 0: it is sent at once."""
    view: str = "formatted"
    """``formatted`` or ``plain``: how a message with HTML is shown first."""
    receipts: str = "ask"
    """``ask`` or ``never``: whether a page asks to send the read receipt that a message wants."""
    signature: str = ""
    """Plain text without the line ``--``; for addresses without one of their own."""
    searches: tuple[SavedSearch, ...] = ()
    """By name."""
    signatures: Mapping[str, str] = field(default_factory=dict)
    """Those of single addresses, by ``Address.key``; may be empty texts."""

    def signature_of(self, address_key: str) -> str:
        """Return the signature under messages of an address; ``""``: none."""
        return self.signatures.get(address_key, self.signature)


def read_choices(settings: Mapping[str, str]) -> Choices:
    """Return what the settings of an account say."""
    one = {name: _offered(name, settings.get(name)) for name in OFFERED}
    return Choices(
        language=settings.get("language", ""),
        zone=settings.get("zone", ""),
        write=one["write"],
        digits=one["digits"],
        calendar=one["calendar"],
        density=one["density"],
        conversations=one["conversations"] == "yes",
        undo_seconds=int(one["undo_seconds"]),
        view=one["view"],
        receipts=one["receipts"],
        signature=settings.get("signature", "")[:LONGEST_SIGNATURE],
        searches=read_saved(settings),
        signatures=_read_signatures(settings.get("signatures", "")),
    )


def is_zone(name: str) -> bool:
    """Check whether a name is that of a time zone that this machine knows."""
    return name == "UTC" or choose_zone(name) is not UTC


def _offered(name: str, value: str | None) -> str:
    return value if value is not None and value in OFFERED[name] else OFFERED[name][0]


def _read_signatures(text: str) -> dict[str, str]:
    try:
        value = json.loads(text) if text else {}
    except ValueError:
        return {}
    if not isinstance(value, dict):
        return {}
    return {key: one[:LONGEST_SIGNATURE] for key, one in value.items() if isinstance(one, str)}
