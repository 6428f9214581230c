"""Send a letter: as a message of its author, with a copy in Sent."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import Any

from starlette.requests import Request

from zajil.accept.outcome import NotAccepted
from zajil.core.errors import Refused
from zajil.core.ids import ID_RANDOM_SIZE, AccountId, MailId, new_mail_id
from zajil.login.account import Account
from zajil.message.entity import size_of_pieces
from zajil.operations.contacts import note_recipients
from zajil.operations.drafts import remove_draft
from zajil.operations.messages import set_flag
from zajil.store.engine.errors import StoreError
from zajil.store.mail.intake import OwnCopy
from zajil.store.mail.mailboxes import Mailbox, find_role
from zajil.store.mail.room import Obstacle, find_obstacle
from zajil.store.people.written_to import known_domains
from zajil.submit.compose import BadForm, Composed, compose_message, read_people
from zajil.submit.draft import write_own_fields
from zajil.submit.hand_in import hand_in
from zajil.web.access import actor_of, peer_of
from zajil.web.page import Visitor
from zajil.web.services import WebServices
from zajil.web.webmail.compose_files import LetterFile
from zajil.web.webmail.compose_form import Letter, compose_form, note_of, read_place
from zajil.web.webmail.compose_store import CannotSave, Letters
from zajil.web.webmail.compose_warnings import find_warnings
from zajil.web.webmail.refusal_text import refusal_text

_FLAGS = {"reply": "\\Answered", "forward": "$Forwarded"}
"""What the message that a letter begins with is marked with, once it is sent."""


class Doubtful(Refused):
    """The letter can be sent, and its author should be asked first."""

    def __init__(self, warnings: Sequence[str]) -> None:
        super().__init__("; ".join(warnings))
        self.warnings = warnings


class Sending:
    """Sends letters."""

    def __init__(self, services: WebServices, letters: Letters) -> None:
        self._services = services
        self._letters = letters
        self._store = services.store

    async def send(
        self,
        request: Request,
        visitor: Visitor,
        account: Account,
        letter: Letter,
        release_ms: int,
        *,
        is_sure: bool,
    ) -> MailId:
        """Send a letter, and remove its draft.

        Args:
            request: for the address of the browser.
            visitor: for the language of what goes wrong.
            account: who sends.
            letter: what stands in the form.
            release_ms: until when its author can take it back.
            is_sure: the author has seen the warnings.

        Raises:
            CannotSave: it cannot be sent; nothing was.
            Doubtful: the author should be asked; nothing was sent.
        """
        gettext = visitor.language.gettext
        form = compose_form(letter, account, ())
        with ExitStack() as stack:
            files = await self._letters.open_files(account, letter, stack, gettext)
            composed = self._compose(visitor, account, letter, files)
            if not is_sure:
                await self._ask(visitor, account, letter)
            sent, obstacle = await self._find_sent(
                account.account_id, size_of_pieces(composed.pieces)
            )
            if obstacle is not None:
                raise CannotSave(gettext("Your mailbox is full. Delete messages, then send again."))
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
            raise CannotSave(refusal_text(outcome, visitor))
        await self._after(request, account, letter)
        return outcome.mail_id

    async def _ask(self, visitor: Visitor, account: Account, letter: Letter) -> None:
        """Do nothing if the letter looks as it should.

        Raises:
            Doubtful: otherwise.
        """
        known = await self._store.read(
            lambda conn: known_domains(conn, account.account_id), account.account_id
        )
        warnings = find_warnings(letter, account, known, visitor.language)
        if letter.draft and not await self._letters.is_there(account, letter.draft):
            gone = visitor.language.gettext(
                "This draft has been changed or sent in another window."
            )
            warnings.insert(0, gone)
        if warnings:
            raise Doubtful(warnings)

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
            form = compose_form(letter, account, files, is_sent=True)
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
            people = [
                one
                for field in (letter.to, letter.cc, letter.bcc)
                for one in read_people(field).people
            ]
            await note_recipients(context, actor, people)
        with suppress(StoreError):
            if letter.draft is not None:
                await remove_draft(context, actor, letter.draft)
