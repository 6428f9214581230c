"""``/admin/roundtrip``: a message to an echo address and back, with both journeys."""

from __future__ import annotations

import re
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.config.options import Configuration
from zajil.core.address import Address, parse_address
from zajil.core.ids import MAIL_ID_PATTERN, MailId
from zajil.login.account import Account
from zajil.operations.context import OperationContext
from zajil.operations.journey import NoSuchMail
from zajil.operations.round_trip import RoundTrip, look_for_answer, make_test_mailer, send_test
from zajil.web.access import actor_of
from zajil.web.admin.problems import Problem, attempt
from zajil.web.journey import tell_journey
from zajil.web.page import Pages, Visitor

_LONGEST = 320
_MAIL_ID = re.compile(rf"{MAIL_ID_PATTERN}\Z")
_REFRESH_SECONDS = 3
_PATIENCE_MS = 600_000
"""After that, the page is not loaded again by itself."""


class RoundTripPages:
    """The form, and how the last round trip stands.

    Args:
        pages: templates.
        operations: what operations need.
        configuration: of the server: whether mail is signed.
    """

    def __init__(
        self, pages: Pages, operations: OperationContext, configuration: Configuration
    ) -> None:
        self._pages = pages
        self._operations = operations
        self._mailer = make_test_mailer(operations, signs=configuration.keys.sign)

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show the form; with ``?mail=ID&to=ADDRESS`` the journeys so far."""
        mail, typed = (request.query_params.get(name, "")[:_LONGEST] for name in ("mail", "to"))
        to = await attempt(_parse(typed))
        if not _MAIL_ID.match(mail) or isinstance(to, Problem):
            return self._render(visitor, None, typed=typed)
        try:
            trip = await look_for_answer(self._operations, MailId(mail), to)
        except NoSuchMail:
            return self._render(visitor, None, typed=typed)
        return self._render(visitor, trip, typed=typed)

    async def send(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Send the message, in the name of who asks for it."""
        typed = str((await request.form()).get("to", "")).strip()[:_LONGEST]
        actor = actor_of(request, account)
        to = await attempt(_parse(typed))
        if isinstance(to, Problem):
            return self._render(visitor, None, 409, typed=typed, problem=to)
        sent = await attempt(send_test(self._operations, actor, self._mailer, account.login, to))
        if isinstance(sent, Problem):
            return self._render(visitor, None, 409, typed=typed, problem=sent)
        return RedirectResponse(
            f"/admin/roundtrip?{urlencode({'mail': sent, 'to': to.unicode})}", 303
        )

    def _render(
        self,
        visitor: Visitor,
        trip: RoundTrip | None,
        status: int = 200,
        *,
        typed: str,
        problem: Problem | None = None,
    ) -> Response:
        now_ms = self._operations.clock.now_ms()
        halves = []
        waits = False
        if trip is not None:
            halves = [tell_journey(one, now_ms) for one in (trip.sent, trip.answer) if one]
            is_recent = now_ms - trip.sent.received_at_ms < _PATIENCE_MS
            waits = trip.answer is None and not trip.has_ended and is_recent
        response = self._pages.render(
            visitor,
            "admin/roundtrip.html",
            status,
            typed=typed,
            problem=problem,
            trip=trip,
            halves=halves,
            waits=waits,
        )
        if waits:
            response.headers["refresh"] = str(_REFRESH_SECONDS)
        return response


async def _parse(typed: str) -> Address:
    return parse_address(typed)
