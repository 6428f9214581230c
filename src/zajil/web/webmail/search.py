"""``/search``: messages of all mailboxes that fit what was typed, and buttons for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from zajil.core.ids import MailboxId
from zajil.core.labels import Label, find_label
from zajil.login.account import Account
from zajil.message.normal_form import search_form
from zajil.message.summary import Summary
from zajil.operations.context import OperationContext
from zajil.read.imap.search_context import SearchContext
from zajil.read.indexer import keep_new
from zajil.read.mail_search import FoundPage, MailSearch, SearchTooLong, read_found, search_mail
from zajil.read.search_query import MAX_QUERY, ConditionKind, join_groups, parse_query
from zajil.store.mail.messages import Message
from zajil.web.access import actor_of
from zajil.web.notices import Notices
from zajil.web.page import Pages, Visitor
from zajil.web.webmail.mailboxes import Box, Boxes, load_boxes, read_number, read_stamp
from zajil.web.webmail.message_list import ListedMessage, list_message
from zajil.web.webmail.search_acts import act_on, marked_places, places_until, wanted_act
from zajil.web.webmail.search_scope import Searched, find_scope, folder_source

PAGE = 50
_OUTGOING = ("sent", "drafts")
_LONGEST_ADDED = 100
"""Characters of a condition that a button adds."""
_PLACES = {"all": "in:all", "most": ""}


@dataclass(frozen=True, slots=True)
class FoundMessage:
    """One line of the results."""

    box: Box
    letter: ListedMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """One page of results."""

    total: int
    first: int
    """Number of the first line, from 1 on."""
    lines: tuple[FoundMessage, ...]
    page: int
    has_more: bool
    by_box: tuple[tuple[Box, int], ...]
    """How many were found in each mailbox."""
    asked_at_ms: int
    """What was saved later is not among them."""


class SearchPages:
    """The page of results, and the buttons above them."""

    def __init__(self, pages: Pages, operations: OperationContext, notices: Notices) -> None:
        self._pages = pages
        self._operations = operations
        self._store = operations.store
        self._notices = notices

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show what was found, or how to search."""
        text = request.query_params.get("q", "")[: MAX_QUERY + 1].strip()
        added = request.query_params.get("add", "")[:_LONGEST_ADDED]
        text = f"{text} {added}".strip()
        boxes = await self._boxes(account)
        today = self._today(visitor)
        scope = find_scope(parse_query(text, today), boxes, visitor.language)
        within = _wanted_source(request.query_params.get("in", ""), boxes)
        if within is not None:
            return RedirectResponse(_within(scope, within), 303)
        if added:
            return RedirectResponse(search_path(text), 303)
        page = max(1, min(read_number(request.query_params.get("page")) or 1, 100_000))
        results, is_too_long = None, False
        if scope.query.groups:
            try:
                results = await self._find(visitor, account, scope, page)
            except SearchTooLong:
                is_too_long = True
        done = self._notices.read(request)
        response = self._pages.render(
            visitor,
            "search.html",
            boxes=boxes,
            current=None,
            query=text,
            scope=scope,
            results=results,
            is_too_long=is_too_long,
            done=done,
            path_of=search_path,
            within=lambda box: _within(scope, folder_source(box)),
            label_name=lambda value: _label_name(visitor, value),
            everywhere=_within(scope, ""),
            saved=next((one for one in visitor.choices.searches if one.query == text), None),
            more=lambda condition: search_path(f"{scope.query.source} {condition}".strip()),
        )
        if done is not None:
            self._notices.forget(response)
        return response

    async def act(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Do to the marked messages, or to all that are found, what the pressed button says."""
        form = await request.form()
        text = str(form.get("q", ""))[: MAX_QUERY + 1]
        boxes = await self._boxes(account)
        wanted = wanted_act(form, boxes, visitor)
        if wanted.only:
            places = marked_places([wanted.only], boxes)
        elif form.get("every"):
            until_ms = read_stamp(form.get("until")) or 0
            today = self._today(visitor)
            scope = find_scope(parse_query(text, today), boxes, visitor.language)
            try:
                found = await self._search(visitor, account, scope)
            except SearchTooLong:
                raise HTTPException(503) from None
            places = places_until(found, until_ms)
        else:
            places = marked_places(form.getlist("uid"), boxes)
        done = await act_on(self._operations, actor_of(request, account), boxes, places, wanted)
        response = RedirectResponse(search_path(text, read_number(form.get("page")) or 1), 303)
        self._notices.leave(response, done)
        return response

    async def _boxes(self, account: Account) -> Boxes:
        return await self._store.read(
            lambda conn: load_boxes(conn, account.account_id, self._store.tables),
            account.account_id,
        )

    def _today(self, visitor: Visitor) -> date:
        now = datetime.fromtimestamp(self._operations.clock.now_ms() / 1000, UTC)
        return now.astimezone(visitor.zone).date()

    async def _search(self, visitor: Visitor, account: Account, scope: Searched) -> MailSearch:
        key = scope.query.key(
            self._today(visitor), account.address.unicode, visitor.zone, _keywords(visitor)
        )
        boxes = [box.mailbox for box in scope.boxes]
        return await search_mail(self._context(account), boxes, key)

    async def _find(
        self, visitor: Visitor, account: Account, scope: Searched, page: int
    ) -> Results:
        asked_at_ms = self._operations.clock.now_ms()
        found = await self._search(visitor, account, scope)
        page = min(page, max(1, -(-found.total // PAGE)))  # what was on it may be gone by now
        offset = (page - 1) * PAGE
        part = await read_found(self._context(account), found, offset, PAGE)
        keep_new(self._store, part.page)
        boxes = {box.mailbox_id: box for box in scope.boxes}
        return Results(
            total=found.total,
            first=offset + 1,
            lines=_lines(part, scope, visitor),
            page=page,
            has_more=found.total > offset + PAGE,
            by_box=tuple((boxes[number], len(uids)) for number, uids in found.by_mailbox()),
            asked_at_ms=asked_at_ms,
        )

    def _context(self, account: Account) -> SearchContext:
        return SearchContext(store=self._store, account=account, clock=self._operations.clock)


def _within(scope: Searched, source: str) -> str:
    """Return the address of the same search elsewhere.

    Args:
        scope: of the search.
        source: a condition that says where; ``""``: where one looks if nothing is said.
    """
    groups = [some for some in scope.query.groups if some[0].kind is not ConditionKind.IN]
    return search_path(f"{join_groups(groups)} {source}".strip())


def _wanted_source(given: str, boxes: Boxes) -> str | None:
    """Return the condition that the choice of a mailbox stands for; ``None``: nothing was chosen.

    Args:
        given: the id of a mailbox, ``all`` (Junk and Trash, too), ``most``, or ``""``.
        boxes: of the account.
    """
    if given in _PLACES:
        return _PLACES[given]
    box = boxes.get(MailboxId(read_number(given) or 0))
    return None if box is None else folder_source(box)


def search_path(text: str, page: int = 1) -> str:
    """Return the address of a page of results."""
    given = {"q": text} if page <= 1 else {"q": text, "page": str(page)}
    return f"/search?{urlencode(given)}"


def _lines(part: FoundPage, scope: Searched, visitor: Visitor) -> tuple[FoundMessage, ...]:
    boxes = {box.mailbox_id: box for box in scope.boxes}
    return tuple(
        _line(boxes[mailbox_id], row, summary, visitor)
        for (mailbox_id, _), (row, summary) in zip(part.places, part.page.lines, strict=True)
    )


def _line(box: Box, row: Message, summary: Summary, visitor: Visitor) -> FoundMessage:
    letter = list_message(row, summary, is_outgoing=box.role in _OUTGOING)
    return FoundMessage(box, replace(letter, labels=visitor.labels_of(row.flags)))


def _keywords(visitor: Visitor) -> dict[str, str]:
    """Return the keywords of labels by their names, in search form, as pages show them."""
    return {search_form(_name_of(one, visitor)): one.keyword for one in visitor.labels}


def _label_name(visitor: Visitor, value: str) -> str:
    """Return the name of a label for its keyword; other words as they are."""
    label = find_label(visitor.labels, value)
    return value if label is None else _name_of(label, visitor)


def _name_of(label: Label, visitor: Visitor) -> str:
    return visitor.language.gettext(label.name) if label.is_built_in else label.name
