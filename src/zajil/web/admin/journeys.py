"""``/admin/journeys``: where did a mail go?"""

from __future__ import annotations

from datetime import date, datetime, time, tzinfo

from starlette.requests import Request
from starlette.responses import Response

from zajil.login.account import Account
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import MailQuery, find_mails
from zajil.web.page import Pages, Visitor

_LIMIT = 100
_LONGEST = 320
"""An address at its longest (RFC 5321 section 4.5.3.1)."""


class JourneySearch:
    """Search by what people know of a mail: to whom, from whom, since when, its Message-ID."""

    def __init__(self, pages: Pages, store: Store) -> None:
        self._pages = pages
        self._store = store

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show the form, and what was found; without a question, the newest mails."""
        asked = {
            name: request.query_params.get(name, "").strip()[:_LONGEST]
            for name in ("to", "from", "message_id", "since")
        }
        query = MailQuery(
            to=asked["to"] or None,
            sender=asked["from"] or None,
            message_id=asked["message_id"] or None,
            since_ms=_midnight(asked["since"], visitor.zone),
            limit=_LIMIT,
        )
        mails = await self._store.read(lambda conn: find_mails(conn, query))
        return self._pages.render(
            visitor, "admin/journeys.html", asked=asked, mails=mails, limit=_LIMIT
        )


def _midnight(day: str, zone: tzinfo) -> int | None:
    """Return the beginning of a day that a date field sent; ``None`` for no day."""
    try:
        begin = datetime.combine(date.fromisoformat(day), time(), zone)
        return int(begin.timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
