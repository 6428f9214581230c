"""``/journey/MAIL_ID``: the story of one mail, for whom it concerns, also while it goes on."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from zajil.core.clock import Clock
from zajil.core.ids import MAIL_ID_PATTERN, AccountId, MailId
from zajil.core.service import RecipientState
from zajil.login.account import Account
from zajil.operations.openings import Openings
from zajil.store.engine.batch import PROGRESS, QUEUE
from zajil.store.engine.open import Store
from zajil.store.mail.tracking import load_journey
from zajil.tracking.journey import Journey, journey_to_dict, viewer_of, visible_journey
from zajil.tracking.recipient_story import ToldRecipient, tell_recipients
from zajil.tracking.story import Chapter, Station, stations, tell_story
from zajil.web.access import actor_of
from zajil.web.page import Pages, Visitor
from zajil.web.streams import LONGEST_SECONDS, STILL_SECONDS, event_stream

_PAUSE_SECONDS = 1.0
"""Between two looks at one journey, however much happens in the queue."""
_MAIL_ID = re.compile(rf"{MAIL_ID_PATTERN}\Z")


@dataclass(frozen=True, slots=True)
class ToldJourney:
    """A journey, cut to its viewer and told: what ``_journey.html`` shows."""

    journey: Journey
    stations: tuple[Station, ...]
    chapters: tuple[Chapter, ...]
    recipients: tuple[ToldRecipient, ...]
    title: str = ""
    """Whose side of it this is, already in the reader's language; ``""``: the only one."""
    shows_steps: bool = True
    """Whether all steps are open from the beginning."""

    @property
    def under_way(self) -> bool:
        """Whether more is to come without anybody's doing."""
        return _is_under_way(self.journey)


def tell_journey(
    journey: Journey, now_ms: int, title: str = "", *, shows_steps: bool = True
) -> ToldJourney:
    """Return the description of a journey that is already limited to its viewer."""
    told = tell_recipients(journey, now_ms)
    return ToldJourney(
        journey, stations(journey), tell_story(journey), told, title, shows_steps=shows_steps
    )


class JourneyPages:
    """The journey as a page, and as the JSON that ``zajil journey show`` prints."""

    def __init__(self, pages: Pages, store: Store, clock: Clock, openings: Openings) -> None:
        self._pages = pages
        self._openings = openings
        self._store = store
        self._clock = clock

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show the story."""
        journey = await self._opened(request, account)
        return self._pages.render(
            visitor,
            "journey.html",
            told=tell_journey(
                journey,
                self._clock.now_ms(),
                # The steps are for whoever looks into what went wrong with the mail of others.
                shows_steps=account.admin and not _concerns(journey, account),
            ),
            just_sent="sent" in request.query_params,
        )

    async def show_json(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Return the same for a program."""
        return JSONResponse(journey_to_dict(await self._opened(request, account)))

    async def live(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Tell of each change, as server-sent events; 204 where nothing is to come."""
        journey = await self._visible(request, account)
        if not _is_under_way(journey):
            return Response(status_code=204)  # a browser does not ask again
        return event_stream(request, self._changes(journey.mail_id, account))

    async def _changes(self, mail_id: MailId, account: Account) -> AsyncIterator[str]:
        changed = asyncio.Event()
        changes = self._store.changes
        endings = [changes.subscribe(topic, changed.set) for topic in (PROGRESS, QUEUE)]
        told: Journey | None = None
        loop = asyncio.get_running_loop()
        end = loop.time() + LONGEST_SECONDS
        try:
            yield "retry: 3000\n\n"
            while loop.time() < end:
                changed.clear()
                journey = await load_visible(self._store, mail_id, account)
                # The first event is for what happened between the page and this.
                yield "event: journey\ndata: -\n\n" if journey != told else ": still here\n\n"
                told = journey
                if journey is None or not _is_under_way(journey):
                    return
                await asyncio.sleep(_PAUSE_SECONDS)
                with suppress(TimeoutError):
                    async with asyncio.timeout(STILL_SECONDS):
                        await changed.wait()
        finally:
            for end_subscription in endings:
                end_subscription()

    async def _opened(self, request: Request, account: Account) -> Journey:
        journey = await self._visible(request, account)
        if account.admin and not _concerns(journey, account):
            await self._openings.note_journey(actor_of(request, account), _owners(journey))
        return journey

    async def _visible(self, request: Request, account: Account) -> Journey:
        mail_id = MailId(request.path_params["mail_id"])
        if not _MAIL_ID.match(mail_id):
            raise HTTPException(404)
        journey = await load_visible(self._store, mail_id, account)
        # Security: not 403, which would say that the mail exists.
        if journey is None:
            raise HTTPException(404)
        return journey


async def load_visible(store: Store, mail_id: MailId, account: Account) -> Journey | None:
    """Return a journey, cut to what an account may see of it; ``None``: nothing at all."""
    journey = await store.read(lambda conn: load_journey(conn, mail_id))
    if journey is None:
        return None
    names = (account.login, *(str(one) for one in (account.address, *account.own_addresses)))
    viewer = viewer_of(journey, account.account_id, names, admin=account.admin)
    return None if viewer is None else visible_journey(journey, viewer)


def _is_under_way(journey: Journey) -> bool:
    return any(copy.state is RecipientState.WAITING for copy in journey.recipients)


def _concerns(journey: Journey, account: Account) -> bool:
    """Whether an account sent a mail, or has a copy of it."""
    return account.account_id in _owners(journey)


def _owners(journey: Journey) -> set[AccountId]:
    copies = [copy.account_id for copy in journey.recipients]
    return {one for one in (journey.account_id, *copies) if one is not None}
