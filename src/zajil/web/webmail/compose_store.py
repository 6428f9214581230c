"""Letters in the mailbox for drafts: saved with their files, and read again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Any

from starlette.requests import Request

from zajil.core.errors import Refused
from zajil.core.ids import ID_RANDOM_SIZE, new_mail_id
from zajil.login.account import Account
from zajil.message.build import BadValue
from zajil.message.entity import size_of_pieces
from zajil.operations.drafts import DraftPlace, find_draft, save_draft
from zajil.store.engine.errors import StoreFull
from zajil.store.mail.append import NoSuchMailbox
from zajil.store.mail.blobs import NoSuchBlob
from zajil.store.mail.messages import Message, open_message
from zajil.store.mail.room import OverQuota
from zajil.submit.compose import BadForm, ComposeForm
from zajil.submit.draft import ReadDraft, read_draft, write_draft
from zajil.web.access import actor_of
from zajil.web.page import Visitor
from zajil.web.services import WebServices
from zajil.web.uploads import UploadedFile
from zajil.web.webmail.compose_files import LetterFile, data_of, open_files, upload_pieces
from zajil.web.webmail.compose_form import Letter, compose_form, note_of


class CannotSave(Refused):
    """A letter cannot be saved or sent; the text says why, in the language of the visitor."""


class Letters:
    """Drafts of accounts."""

    def __init__(self, services: WebServices) -> None:
        self._services = services
        self._store = services.store

    async def save(
        self,
        request: Request,
        visitor: Visitor,
        account: Account,
        letter: Letter,
        new: Sequence[UploadedFile] = (),
        pictures: Sequence[UploadedFile] = (),
    ) -> DraftPlace:
        """Save a letter as a draft.

        Args:
            request: for the address of the browser.
            visitor: for the language of what goes wrong.
            account: who writes.
            letter: what stands in the form.
            new: files to attach.
            pictures: files that become pictures in the text, where the editor puts them.

        Raises:
            CannotSave: it is too large, or the mailbox is full.
        """
        gettext = visitor.language.gettext
        services = self._services
        now_ms, random = services.clock.now_ms(), services.random(ID_RANDOM_SIZE)
        with ExitStack() as stack:
            files = await self.open_files(account, letter, stack, gettext)
            built = compose_form(letter, account, files)
            try:
                unique = new_mail_id(now_ms, random)
                built = _with_uploads(built, new, pictures, unique)
                pieces = write_draft(built, note_of(letter), now_ms=now_ms, unique=unique)
            except StoreFull:
                raise CannotSave(_no_space(gettext)) from None
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
                raise CannotSave(_no_space(gettext)) from None

    async def open_files(
        self, account: Account, letter: Letter, stack: ExitStack, gettext: Any
    ) -> tuple[LetterFile, ...]:
        """Open the files of a letter; ``stack`` closes them.

        Raises:
            CannotSave: one of them is gone.
        """
        files = await self._store.read(
            lambda conn: open_files(conn, self._store, account.account_id, letter.all_refs, stack),
            account.account_id,
        )
        if len(files) < len(letter.all_refs):
            raise CannotSave(
                gettext(
                    "A file of this message is no longer there: the draft was changed in another"
                    " window or program. Open it from Drafts, or attach the file again."
                )
            )
        return tuple(files)

    async def is_there(self, account: Account, place: DraftPlace) -> bool:
        """Check whether a draft is where it was saved last."""
        return await self._store.read(
            lambda conn: find_draft(conn, account.account_id, place) is not None
        )

    async def load(self, account: Account, place: DraftPlace) -> tuple[ReadDraft, Message] | None:
        """Return a draft and its row; ``None``: there is none at this place."""

        def load(conn: Any) -> tuple[ReadDraft, Message] | None:
            found = find_draft(conn, account.account_id, place)
            if found is None:
                return None
            with suppress(NoSuchBlob), open_message(conn, self._store.blobs, found[1]) as reader:
                return read_draft(data_of(reader)), found[1]
            return None

        return await self._store.read(load, account.account_id)


def _no_space(gettext: Any) -> str:
    return str(gettext("The server has no space for new messages. Try again later."))


def _with_uploads(
    form: ComposeForm, new: Sequence[UploadedFile], pictures: Sequence[UploadedFile], unique: str
) -> ComposeForm:
    """Add files to a letter.

    Raises:
        BadValue: the name of one cannot be written.
        StoreFull: one could not be kept.
    """
    files = [*form.files, *[upload_pieces(one)[0] for one in new]]
    shown = list(form.pictures)
    for number, one in enumerate(pictures, 1):
        # A letter without formatting has no place for a picture.
        name = f"{unique}.{number}@{form.sender.domain}" if form.html else ""
        pieces, is_picture = upload_pieces(one, name)
        (shown if is_picture else files).append(pieces)
    return replace(form, files=tuple(files), pictures=tuple(shown))
