"""``/compose``: write a letter, answer or forward one, keep it as a draft, send it.

A letter that was saved is a message in the mailbox for drafts; the form names it and its files, so
the server remembers nothing else of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from zajil.login.account import Account
from zajil.operations.drafts import DraftPlace
from zajil.operations.openings import Openings
from zajil.read.paragraphs import find_direction
from zajil.read.shown import show_message
from zajil.store.mail.mailboxes import find_role
from zajil.web.access import actor_of
from zajil.web.language import Language
from zajil.web.notices import Done, Notices
from zajil.web.page import Pages, Visitor
from zajil.web.services import WebServices
from zajil.web.text_templates import read_templates
from zajil.web.webmail import compose_reply
from zajil.web.webmail.compose_files import (
    LetterFile,
    open_files,
    uploaded,
)
from zajil.web.webmail.compose_form import (
    Letter,
    at_place,
    html_in_form,
    insert_template,
    letter_of_draft,
    read_letter,
    read_place,
    sign,
    split_files,
)
from zajil.web.webmail.compose_quote import quote_with_formatting
from zajil.web.webmail.compose_send import Doubtful, Sending
from zajil.web.webmail.compose_store import CannotSave, Letters
from zajil.web.webmail.contact_groups import load_group
from zajil.web.webmail.foreign_draft import find_lost
from zajil.web.webmail.mailboxes import load_boxes
from zajil.web.webmail.opened_message import open_message
from zajil.web.webmail.scheduled import read_time, write_time

_LONGEST_UNDO_S = 60
_ANYWAY = "-anyway"
"""At the end of an action: its author has read the warnings."""


class Writing:
    """The form, saving and sending what it holds."""

    def __init__(
        self, pages: Pages, services: WebServices, notices: Notices, openings: Openings
    ) -> None:
        self._pages = pages
        self._notices = notices
        self._openings = openings
        self._services = services
        self._store = services.store
        self._letters = Letters(services)
        self._sending = Sending(services, self._letters)

    # ---- the form -------------------------------------------------------------------------------

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show an empty form, a draft, or a form that answers or forwards a message."""
        query = request.query_params
        if (place := read_place(query.get("draft", ""))) is not None:
            loaded = await self._letters.load(account, place)
            if loaded is None:
                # It was saved since, which gave it another place, or sent.
                return RedirectResponse(await self._drafts_path(account), 303)
            draft, found = loaded
            word = _picture_word(visitor)
            letter = letter_of_draft(draft, place, account, visitor.choices, word)
            notice, saved_ms = find_lost(draft, letter, visitor.language), found.received_at_ms
            if "second" in query:
                notice = visitor.language.gettext(
                    "This draft has been changed or sent in another window. What you wrote here"
                    " is saved as a second draft."
                )
            return await self._form(visitor, account, letter, notice=notice, saved_ms=saved_ms)
        for kind in ("reply", "forward"):
            if (place := read_place(query.get(kind, ""))) is not None:
                begun = await self._begin(request, visitor, account, kind, place)
                begun = sign(begun, account, visitor.choices)
                return await self._form(visitor, account, begun)
        written = Letter(
            to=query.get("to", "")[:2000],
            cc=query.get("cc", "")[:2000],
            subject=query.get("subject", "")[:1000],
            body=query.get("body", "")[:10000].replace("\r\n", "\n"),
        )
        notice = ""
        if (name := query.get("group", "")[:1000]) != "":
            written, notice = await self._to_group(visitor, account, written, name)
        letter = sign(written, account, visitor.choices)
        return await self._form(visitor, account, letter, notice=notice)

    async def _to_group(
        self, visitor: Visitor, account: Account, letter: Letter, name: str
    ) -> tuple[Letter, str]:
        """Return a letter to a group of contacts, and who of them it does not reach."""
        group = await self._store.read(
            lambda conn: load_group(conn, account.account_id, name), account.account_id
        )
        most = self._services.acceptance.policy.max_recipients
        problem = group.problem(most, visitor.language)
        return replace(letter, to=group.recipients(most)), problem

    async def _begin(
        self, request: Request, visitor: Visitor, account: Account, kind: str, place: DraftPlace
    ) -> Letter:
        query, languages = request.query_params, self._pages.languages

        at = (place.mailbox_id, place.uid)
        _, data = await self._store.read(
            lambda conn: open_message(conn, self._store, account.account_id, at, bytes),
            account.account_id,
        )
        await self._openings.note_mailbox(actor_of(request, account), place.mailbox_id)
        view = show_message(data)
        if kind == "forward":
            enclosed = query.get("as") == "attachment"
            letter = compose_reply.forward(view, place, account, as_attachment=enclosed)
            if enclosed:
                return letter
            head = compose_reply.head_of_forward(view, visitor, languages)
            letter = replace(letter, body=compose_reply.quote_for_forward(view, head))
            return _as_chosen(letter, data, place, head, visitor)
        letter = compose_reply.reply(view, place, account, everybody="all" in query)
        if "list" in query and (address := compose_reply.list_address(data)):
            letter = compose_reply.reply_to_list(letter, address)
        head = compose_reply.head_of_reply(view, visitor, languages)
        letter = replace(letter, body=compose_reply.quote_for_reply(view, head))
        return _as_chosen(letter, data, place, head, visitor)

    async def _form(
        self,
        visitor: Visitor,
        account: Account,
        letter: Letter,
        problem: str = "",
        notice: str = "",
        saved_ms: int | None = None,
        status: int = 200,
        warnings: Sequence[str] = (),
        asked: str = "",
    ) -> Response:
        def load(conn: Any) -> tuple[Any, list[LetterFile]]:
            with ExitStack() as stack:
                refs = letter.all_refs
                files = open_files(conn, self._store, account.account_id, refs, stack)
            return load_boxes(conn, account.account_id, self._store.tables), files

        boxes, files = await self._store.read(load, account.account_id)
        files, pictures = split_files(letter, files)
        drafts, now_ms = boxes.with_role("drafts"), self._services.clock.now_ms()
        return self._pages.render(
            visitor,
            "compose.html",
            422 if problem or warnings else status,
            boxes=boxes,
            current=drafts if letter.draft else None,
            account=account,
            letter=letter,
            html=html_in_form(letter, pictures),
            files=files,
            pictures=pictures,
            templates=read_templates(visitor.settings),
            **_spelling(letter, visitor, self._pages.languages),
            problem=problem,
            notice=notice,
            warnings=warnings,
            asked=asked + _ANYWAY,
            saved_ms=saved_ms,
            earliest=write_time(now_ms, visitor.zone),
            send_at=write_time(now_ms + 3_600_000, visitor.zone),
            most_bytes=self._services.acceptance.limits.message_size,
        )

    async def lost(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show what was written once more: the form was of a session that is over."""
        letter = _read(await request.form(), visitor)
        notice = visitor.language.gettext(
            "You were logged out and in again. Check the message and send it again."
        )
        return await self._form(visitor, account, letter, notice=notice, status=403)

    # ---- saving ---------------------------------------------------------------------------------

    async def act(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Save, attach, or send."""
        form = await request.form()
        letter = _read(form, visitor)
        new, pictures = (uploaded(form.getlist(name)) for name in ("attach", "picture"))
        action = form.get("action", "send")
        is_sure = isinstance(action, str) and action.endswith(_ANYWAY)
        action = action.removesuffix(_ANYWAY) if isinstance(action, str) else ""
        is_send = action in ("send", "later") and not {"remove", "template"} & set(form)
        second = ""  # another window or program has saved this draft since, or it was sent
        if (chosen_text := _template(form.get("template"), visitor)) is not None:
            letter = insert_template(letter, chosen_text)
        try:
            if new or pictures or not is_send:
                if letter.draft and not await self._letters.is_there(account, letter.draft):
                    second = "&second=1"
                place = await self._letters.save(request, visitor, account, letter, new, pictures)
                if (loaded := await self._letters.load(account, place)) is None:
                    raise HTTPException(404)
                letter = at_place(letter, loaded[0], place)
        except CannotSave as error:
            return await self._form(visitor, account, letter, str(error))
        if not is_send:
            return RedirectResponse(f"/compose?draft={letter.place}{second}", 303)
        now_ms = self._services.clock.now_ms()
        release_ms = now_ms + visitor.choices.undo_seconds * 1000
        if action == "later":
            chosen = read_time(form.get("send_at"), visitor.zone, now_ms)
            if chosen is None:
                problem = visitor.language.gettext("Choose a date and time in the future.")
                return await self._form(visitor, account, letter, problem)
            release_ms = max(release_ms, chosen)
        try:
            mail_id = await self._sending.send(
                request, visitor, account, letter, release_ms, is_sure=is_sure
            )
        except CannotSave as error:
            return await self._form(visitor, account, letter, str(error))
        except Doubtful as doubt:
            return await self._form(visitor, account, letter, warnings=doubt.warnings, asked=action)
        source = read_place(letter.source)
        path = "/mail" if source is None else f"/mail/{source.mailbox_id}"
        waits_s = (release_ms - now_ms) // 1000
        response = _onward(request, path)
        done = "scheduled" if waits_s > _LONGEST_UNDO_S else "sent"
        self._notices.leave(response, Done(done, max(0, waits_s), undo=mail_id))
        return response

    async def _drafts_path(self, account: Account) -> str:
        box = await self._store.read(lambda conn: find_role(conn, account.account_id, "drafts"))
        return "/mail" if box is None else f"/mail/{box.mailbox_id}"


def _as_chosen(
    letter: Letter, data: bytes, place: DraftPlace, head: str, visitor: Visitor
) -> Letter:
    """Return a letter with the formatting of what it quotes, if its author writes so."""
    if visitor.choices.write != "rich":
        return letter
    return quote_with_formatting(letter, data, place, head, _picture_word(visitor))


def _spelling(
    letter: Letter, visitor: Visitor, languages: Mapping[str, Language]
) -> dict[str, object]:
    """Return in which language a browser checks the text: the reader's, if its script is so."""

    def written(direction: str) -> Language:
        if direction in ("auto", visitor.language.direction):
            return visitor.language
        others = (one for one in languages.values() if one.direction == direction)
        return next(others, visitor.language)

    return {
        "writing_language": written(find_direction(letter.body)),
        "languages_by_direction": {one: written(one).code for one in ("ltr", "rtl")},
    }


def _read(form: FormData, visitor: Visitor) -> Letter:
    return read_letter(form, _picture_word(visitor))


def _picture_word(visitor: Visitor) -> str:
    # TRANSLATORS: stands in plain text for a picture: [picture: photo.jpg]
    return visitor.language.gettext("picture")


def _template(name: object, visitor: Visitor) -> str | None:
    """Return the text of a template of the visitor; ``None``: none has this name."""
    found = (one.text for one in read_templates(visitor.settings) if one.name == name)
    return next(found, None)


def _onward(request: Request, path: str) -> Response:
    """Lead to the next page; a script is told its address, and goes there itself."""
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"next": path})
    return RedirectResponse(path, 303)
