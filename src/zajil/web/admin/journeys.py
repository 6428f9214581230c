"""``/admin/journeys``: where did a mail go?"""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta, tzinfo
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from zajil.core.ids import MAIL_ID_PATTERN
from zajil.core.service import RecipientState
from zajil.login.account import Account
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import JUNK, MailQuery, find_mails
from zajil.web.page import Pages, Visitor

_PAGE = 50
"""Mails of one page."""
_LONGEST = 320
"""An address at its longest (RFC 5321 section 4.5.3.1)."""
_FIELDS = ("to", "from", "subject", "message_id", "result", "reason", "since", "until")
_RESULTS = (JUNK, *RecipientState)
_MAIL_ID = re.compile(rf"{MAIL_ID_PATTERN}\Z")


class JourneySearch:
    """Search by what people know of a mail: to whom, from whom, when, its subject or its ids."""

    def __init__(self, pages: Pages, store: Store) -> None:
        self._pages = pages
        self._store = store

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show the form, and what was found; without a question, the newest mails."""
        asked = {
            name: request.query_params.get(name, "").strip()[:_LONGEST].replace("\0", "")
            for name in _FIELDS
        }
        before = request.query_params.get("before", "")
        query = make_query(asked, before, visitor.zone)
        mails = await self._store.read_late(lambda conn: find_mails(conn, query))
        filters = {name: value for name, value in asked.items() if value}
        older = {**filters, "before": mails[_PAGE - 1].mail_id} if len(mails) > _PAGE else None
        return self._pages.render(
            visitor,
            "admin/journeys.html",
            asked=asked,
            results=_RESULTS,
            mails=mails[:_PAGE],
            older=older and urlencode(older),
            newest=urlencode(filters) if _MAIL_ID.match(before) else None,
        )


def make_query(asked: dict[str, str], before: str, zone: tzinfo) -> MailQuery:
    """Return the search for what stands in the form; what cannot be understood asks for nothing.

    Args:
        asked: the fields of the form, by their names.
        before: the mail id that the page before ended with.
        zone: of the days.
    """
    an_id = asked["message_id"]
    is_ours = bool(_MAIL_ID.match(an_id))
    return MailQuery(
        to=asked["to"] or None,
        sender=asked["from"] or None,
        subject=asked["subject"] or None,
        message_id=None if is_ours else an_id or None,
        mail_id=an_id if is_ours else None,
        outcome=asked["result"] if asked["result"] in _RESULTS else None,
        reason=asked["reason"] or None,
        since_ms=_midnight(asked["since"], zone),
        until_ms=_midnight(asked["until"], zone, days_later=1),
        before=before if _MAIL_ID.match(before) else None,
        limit=_PAGE + 1,
    )


def _midnight(day: str, zone: tzinfo, *, days_later: int = 0) -> int | None:
    """Return the beginning of a day that a date field sent; ``None`` for no day."""
    try:
        first = date.fromisoformat(day) + timedelta(days=days_later)
        return int(datetime.combine(first, time(), zone).timestamp() * 1000)
    except (ValueError, OverflowError):
        return None
