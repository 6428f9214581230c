"""``/compose``: write a letter, answer or forward one, keep it as a draft, send it.

A letter that was saved is a message in the mailbox for drafts; the form names it and its files, so
the server remembers nothing else of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from zajil.accept.outcome import NotAccepted
from zajil.core.errors import Refused
from zajil.core.ids import ID_RANDOM_SIZE, AccountId, new_mail_id
from zajil.login.account import Account
from zajil.message.address_list import parse_address_list
from zajil.message.build import BadValue
from zajil.message.entity import size_of_pieces
from zajil.operations.contacts import note_recipients
from zajil.operations.drafts import DraftPlace, find_draft, remove_draft, save_draft
from zajil.operations.messages import set_flag
from zajil.read.shown import show_message
from zajil.store.engine.errors import StoreError, StoreFull
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.blobs import NoSuchBlob
from zajil.store.mail.intake import OwnCopy
from zajil.store.mail.mailboxes import Mailbox, find_role, get_mailbox
from zajil.store.mail.messages import Message, get_messages, open_message, read_message
from zajil.store.mail.room import Obstacle, OverQuota, find_obstacle
from zajil.submit.compose import BadForm, Composed, compose_message
from zajil.submit.draft import ReadDraft, read_draft, write_draft, write_own_fields
from zajil.submit.hand_in import hand_in
from zajil.web.access import actor_of, peer_of
from zajil.web.notices import Done, Notices
from zajil.web.page import Pages, Visitor
from zajil.web.services import WebServices
from zajil.web.webmail import compose_reply
from zajil.web.webmail.compose_files import (
    LetterFile,
    data_of,
    open_files,
    upload_pieces,
    uploaded,
)
from zajil.web.webmail.compose_form import (
    Letter,
    compose_form,
    letter_of_draft,
    note_of,
    read_letter,
    read_place,
    refs_of,
    spell_place,
)
from zajil.web.webmail.mailboxes import load_boxes
from zajil.web.webmail.refusal_text import refusal_text
from zajil.web.webmail.scheduled import read_time, write_time

_FLAGS = {"reply": "\\Answered", "forward": "$Forwarded"}
"""What the message that a letter begins with is marked with, once it is sent."""


_LONGEST_UNDO_S = 60


class CannotSave(Refused):
    """A draft cannot be saved; the text says why, in the language of the visitor."""


class Writing:
    """The form, saving and sending what it holds."""

    def __init__(self, pages: Pages, services: WebServices, notices: Notices) -> None:
        self._pages = pages
        self._notices = notices
        self._services = services
        self._store = services.store

    # ---- the form -------------------------------------------------------------------------------

    async def show(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show an empty form, a draft, or a form that answers or forwards a message."""
        query = request.query_params
        if (place := read_place(query.get("draft", ""))) is not None:
            loaded = await self._load_draft(account, place)
            if loaded is None:
                # It was saved since, which gave it another place, or sent.
                return RedirectResponse(await self._drafts_path(account), 303)
            draft, found = loaded
            letter = letter_of_draft(draft, place, account)
            return await self._form(visitor, account, letter, saved_ms=found.received_at_ms)
        for kind in ("reply", "forward"):
            if (place := read_place(query.get(kind, ""))) is not None:
                begun = await self._begin(request, visitor, account, kind, place)
                return await self._form(visitor, account, begun)
        letter = Letter(
            to=query.get("to", "")[:2000],
            cc=query.get("cc", "")[:2000],
            subject=query.get("subject", "")[:1000],
            body=query.get("body", "")[:10000].replace("\r\n", "\n"),
        )
        return await self._form(visitor, account, letter)

    async def _begin(
        self, request: Request, visitor: Visitor, account: Account, kind: str, place: DraftPlace
    ) -> Letter:
        query, languages = request.query_params, self._pages.languages

        def load(conn: Any) -> bytes | None:
            # Security: the mailbox is looked up under the account; an id alone is never enough.
            if get_mailbox(conn, account.account_id, place.mailbox_id) is None:
                return None
            found = get_messages(conn, place.mailbox_id, [place.uid])
            try:
                return read_message(conn, self._store.blobs, found[0]) if found else None
            except NoSuchBlob:
                return None

        data = await self._store.read(load, account.account_id)
        if data is None:
            raise HTTPException(404)
        view = show_message(data)
        if kind == "forward":
            enclosed = query.get("as") == "attachment"
            letter = compose_reply.forward(view, place, account, as_attachment=enclosed)
            if enclosed:
                return letter
            body = compose_reply.quote_for_forward(view, visitor, languages)
            return replace(letter, body=body)
        letter = compose_reply.reply(view, place, account, everybody="all" in query)
        if "list" in query and (address := compose_reply.list_address(data)):
            letter = compose_reply.reply_to_list(letter, address)
        return replace(letter, body=compose_reply.quote_for_reply(view, visitor, languages))

    async def _form(
        self,
        visitor: Visitor,
        account: Account,
        letter: Letter,
        problem: str = "",
        notice: str = "",
        saved_ms: int | None = None,
        status: int = 200,
    ) -> Response:
        def load(conn: Any) -> tuple[Any, list[LetterFile]]:
            with ExitStack() as stack:
                files = open_files(conn, self._store, account.account_id, letter.refs, stack)
            return load_boxes(conn, account.account_id), files

        boxes, files = await self._store.read(load, account.account_id)
        drafts, now_ms = boxes.with_role("drafts"), self._services.clock.now_ms()
        return self._pages.render(
            visitor,
            "compose.html",
            422 if problem else status,
            boxes=boxes,
            current=drafts if letter.draft else None,
            account=account,
            letter=letter,
            files=files,
            problem=problem,
            notice=notice,
            saved_ms=saved_ms,
            earliest=write_time(now_ms, visitor.zone),
            send_at=write_time(now_ms + 3_600_000, visitor.zone),
            most_bytes=self._services.acceptance.limits.message_size,
        )

    async def lost(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Show what was written once more: the form was of a session that is over."""
        letter = read_letter(await request.form())
        notice = visitor.language.gettext(
            "You were logged out and in again. Check the message and send it again."
        )
        return await self._form(visitor, account, letter, notice=notice, status=403)

    # ---- saving ---------------------------------------------------------------------------------

    async def act(self, request: Request, visitor: Visitor, account: Account) -> Response:
        """Save, attach, or send."""
        form = await request.form()
        letter, new = read_letter(form), uploaded(form.getlist("attach"))
        action = form.get("action", "send")
        is_send = action in ("send", "later") and "remove" not in form
        try:
            if new or not is_send:
                place = await self.save(request, visitor, account, letter, new)
                if (loaded := await self._load_draft(account, place)) is None:
                    raise HTTPException(404)
                draft, _ = loaded
                letter = replace(letter, place=spell_place(place), refs=refs_of(draft, place))
        except CannotSave as error:
            return await self._form(visitor, account, letter, str(error))
        if not is_send:
            return RedirectResponse(f"/compose?draft={letter.place}", 303)
        now_ms = self._services.clock.now_ms()
        release_ms = now_ms + visitor.choices.undo_seconds * 1000
        if action == "later":
            chosen = read_time(form.get("send_at"), visitor.zone, now_ms)
            if chosen is None:
                problem = visitor.language.gettext("Choose a date and time in the future.")
                return await self._form(visitor, account, letter, problem)
            release_ms = max(release_ms, chosen)
        return await self._send(request, visitor, account, letter, release_ms)

    async def save(
        self,
        request: Request,
        visitor: Visitor,
        account: Account,
        letter: Letter,
        new: Sequence[UploadFile] = (),
    ) -> DraftPlace:
        """Save a letter as a draft.

        Raises:
            CannotSave: it is too large, or the mailbox is full.
        """
        gettext = visitor.language.gettext
        services = self._services
        now_ms, random = services.clock.now_ms(), services.random(ID_RANDOM_SIZE)
        with ExitStack() as stack:
            files = await self._open_files(account, letter, stack, gettext)
            built = compose_form(letter, account, files)
            try:
                added = [upload_pieces(one) for one in new]
                built = replace(built, files=(*built.files, *added))
                unique = new_mail_id(now_ms, random)
                pieces = write_draft(built, note_of(letter), now_ms=now_ms, unique=unique)
            except (BadForm, BadValue) as error:
                raise CannotSave(
                    gettext("The draft cannot be saved: %(what)s") % {"what": error}
                ) from None
            if size_of_pieces(pieces) > services.acceptance.limits.message_size:
                raise CannotSave(gettext("The files are too large for one message."))
            actor = actor_of(request, account)
            try:
                return await save_draft(services.operations, actor, pieces, letter.draft)
            except OverQuota:
                what = gettext("Your mailbox is full. Delete messages, then try again.")
                raise CannotSave(what) from None
            except NoSuchMailbox:
                raise CannotSave(gettext("You have no mailbox for drafts.")) from None
            except StoreFull:
                raise CannotSave(
                    gettext("The server has no space for new messages. Try again later.")
                ) from None

    async def _open_files(
        self, account: Account, letter: Letter, stack: ExitStack, gettext: Any
    ) -> tuple[LetterFile, ...]:
        files = await self._store.read(
            lambda conn: open_files(conn, self._store, account.account_id, letter.refs, stack),
            account.account_id,
        )
        if len(files) < len(letter.refs):
            raise CannotSave(
                gettext(
                    "A file of this message is no longer there: the draft was changed in another"
                    " window or program. Open it from Drafts, or attach the file again."
                )
            )
        return tuple(files)

    async def _load_draft(
        self, account: Account, place: DraftPlace
    ) -> tuple[ReadDraft, Message] | None:
        def load(conn: Any) -> tuple[ReadDraft, Message] | None:
            found = find_draft(conn, account.account_id, place)
            if found is None:
                return None
            with suppress(NoSuchBlob), open_message(conn, self._store.blobs, found[1]) as reader:
                return read_draft(data_of(reader)), found[1]
            return None

        return await self._store.read(load, account.account_id)

    async def _drafts_path(self, account: Account) -> str:
        box = await self._store.read(lambda conn: find_role(conn, account.account_id, "drafts"))
        return "/mail" if box is None else f"/mail/{box.mailbox_id}"

    # ---- sending --------------------------------------------------------------------------------

    async def _send(
        self,
        request: Request,
        visitor: Visitor,
        account: Account,
        letter: Letter,
        release_ms: int,
    ) -> Response:
        gettext = visitor.language.gettext
        form = compose_form(letter, account, ())
        with ExitStack() as stack:
            try:
                files = await self._open_files(account, letter, stack, gettext)
                composed = self._compose(visitor, account, letter, files)
            except CannotSave as error:
                return await self._form(visitor, account, letter, str(error))
            sent, obstacle = await self._find_sent(
                account.account_id, size_of_pieces(composed.pieces)
            )
            if obstacle is not None:
                problem = gettext("Your mailbox is full. Delete messages, then send again.")
                return await self._form(visitor, account, letter, problem)
            outcome = await hand_in(
                self._services.acceptance,
                account,
                form.sender,
                composed.recipients,
                composed.pieces,
                peer=peer_of(request),
                own_copy=None
                if sent is None
                else OwnCopy(sent.mailbox_id, prefix=write_own_fields(form, note_of(letter))),
                release_ms=release_ms,
            )
        if isinstance(outcome, NotAccepted):
            problem = refusal_text(outcome, visitor)
            return await self._form(visitor, account, letter, problem)
        await self._after(request, account, letter)
        source = read_place(letter.source)
        path = "/mail" if source is None else f"/mail/{source.mailbox_id}"
        waits_s = (release_ms - self._services.clock.now_ms()) // 1000
        response = _onward(request, path)
        action = "scheduled" if waits_s > _LONGEST_UNDO_S else "sent"
        self._notices.leave(response, Done(action, max(0, waits_s), undo=outcome.mail_id))
        return response

    def _compose(
        self,
        visitor: Visitor,
        account: Account,
        letter: Letter,
        files: tuple[LetterFile, ...],
    ) -> Composed:
        gettext = visitor.language.gettext
        now_ms, random = self._services.clock.now_ms(), self._services.random(ID_RANDOM_SIZE)
        try:
            form = compose_form(letter, account, files)
            return compose_message(form, now_ms=now_ms, unique=new_mail_id(now_ms, random))
        except BadForm as error:
            problem = gettext("The message cannot be sent: %(what)s") % {"what": error}
            if error.field in ("to", "cc", "bcc"):
                problem = gettext(
                    "“%(what)s” is not a valid email address. Use the form name@example.org."
                ) % {"what": error.wrong}
                if not error.wrong.strip():
                    problem = gettext("Enter at least one recipient.")
            raise CannotSave(problem) from None

    async def _find_sent(
        self, account_id: AccountId, size: int
    ) -> tuple[Mailbox | None, Obstacle | None]:
        caps = self._store.caps

        def find(conn: Any) -> tuple[Mailbox | None, Obstacle | None]:
            box = find_role(conn, account_id, "sent")
            if box is None:
                return None, None
            return box, find_obstacle(conn, caps, account_id, box.mailbox_id, 1, size=size)

        return await self._store.read(find)

    async def _after(self, request: Request, account: Account, letter: Letter) -> None:
        """Remove the draft and mark the message that the letter begins with."""
        context, actor = self._services.operations, actor_of(request, account)
        # The letter is on its way: whatever fails now must not look as if it were not.
        with suppress(StoreError):
            source, flag = read_place(letter.source), _FLAGS.get(letter.kind or "reply")
            if source is not None and flag is not None:
                await set_flag(context, actor, source.mailbox_id, (source.uid,), flag, is_set=True)
        with suppress(StoreError):
            if letter.draft is not None:
                await remove_draft(context, actor, letter.draft)
        with suppress(StoreError):
            written = ", ".join([letter.to, letter.cc, letter.bcc]).replace("،", ",")
            await note_recipients(context, actor, parse_address_list(written).people)


def _onward(request: Request, path: str) -> Response:
    """Lead to the next page; a script is told its address, and goes there itself."""
    if "application/json" in request.headers.get("accept", ""):
        return JSONResponse({"next": path})
    return RedirectResponse(path, 303)
